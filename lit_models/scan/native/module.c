/* Scans of residual networks, of LSTMs and of recurrences that are linear in their state, for float and double. Called through ctypes; see call.py. */

#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <stdint.h>
#include <string.h>
#ifdef __AVX512F__
#include <immintrin.h>
#endif

#ifdef _WIN32
#define EXPORT __declspec(dllexport)
#else
#define EXPORT __attribute__((visibility("default")))
#endif
#define INLINE static inline __attribute__((always_inline))
#define JOIN_(a, b) a##b
#define JOIN(a, b) JOIN_(a, b)
#define NAMED(name) JOIN(name, SUFFIX)

/* Sizes and arrays of a scan, as Arguments in library.py. Arrays that are not wanted are null. */
struct arguments {
    int64_t steps, instances, copies, units, features, batch, columns, chunk;
    /* so many instances in a row are one network on blocks of its `whole` sequences, `batch` each but for the last */
    int64_t blocks, whole;
    /* rows of a for each unit, 4 of an LSTM; updates in a step of a delta rule; else 1 */
    int64_t squashes, activation, gates;
    /* of linear recurrences: factors of an instance's units in own; and columns of joint, where rows are joint [x; 1] of
       inputs [copies, D, T, batch], else 0, where rows are given, inputs [M, row, T, batch] */
    int64_t owned, width;
    /* inputs [T, copies, D, columns]; of a network, M / blocks in all, joint [N, N + D + 1], own, cross, gain [N] */
    const void *inputs, *joint, *own, *cross, *gain;
    /* state [M, N, columns]; first states of the chunks [C, M, N, columns]; activations of each [n, M, N, columns] */
    void *state, *firsts, **activations;
    /* outputs and their gradients [T, M / blocks, N, whole] */
    void *outputs;
    const void *grad_outputs;
    /* to_state [M, gates N, N + D]; gradients of inputs, of joint [M, N, row], of gain, own and cross [M, N] */
    const void *to_state;
    void *d_inputs, *d_joint, *d_gain, *d_own, *d_cross;
    int64_t row;
    /* room for numbers; `scratch` says how many */
    void *scratch;
};

/* What library.py compares when it loads a build: the sources that it was made of, and the size of what is shared. */
EXPORT const char *sources(void) { return SOURCES; }
EXPORT int64_t size_of_arguments(void) { return sizeof(struct arguments); }

enum { TANH, RELU, IDENTITY };
/* Most columns of joint of which a linear recurrence computes its rows itself, as in linear.py. */
enum { WIDEST = 4 };
enum { MIN_GRU, MIN_LSTM, RG_LRU, BLOCKS, SELECTIVE, DELTA, RWKV7 };
#define HAS_HEADS(g) ((g)->activation >= DELTA)
/* Vectors of d of a head's update, and places of their gradients: p, w, b, k, v, u and q of heads.h. */
enum { READ, DECAY, WRITE, KEY, VALUE, KNOWN, QUERY, UPDATE_VECTORS };
#define IS_LSTM(g) ((g)->gates > 1)

/* A vector fills a register: wider ones GCC takes apart in memory. Rows and vectors of a tile, which is summed up in
   registers. */
#if defined(__AVX512F__)
enum { VECTOR_BYTES = 64, TILE_ROWS = 6, TILE_VECTORS = 4 };
#elif defined(__AVX2__)
enum { VECTOR_BYTES = 32, TILE_ROWS = 6, TILE_VECTORS = 2 };
#else
enum { VECTOR_BYTES = 16, TILE_ROWS = 4, TILE_VECTORS = 2 };
#endif

#define REAL float
#define INTEGER int32_t
#define SUFFIX _float
#include "tile.h"
#include "step.h"
#include "residual.h"
#include "lstm.h"
#include "scan.h"
#include "linear.h"
#undef REAL
#undef INTEGER
#undef SUFFIX

#define REAL double
#define INTEGER int64_t
#define SUFFIX _double
#include "tile.h"
#include "step.h"
#include "residual.h"
#include "lstm.h"
#include "scan.h"
#include "linear.h"

/* What setuptools wants of an extension; nothing is imported from it. */
static struct PyModuleDef definition = {PyModuleDef_HEAD_INIT, MODULE_NAME, NULL, -1, NULL, NULL, NULL, NULL, NULL};

PyMODINIT_FUNC JOIN(PyInit_, MODULE)(void) { return PyModule_Create(&definition); }
