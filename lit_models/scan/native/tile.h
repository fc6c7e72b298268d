/* Vectors, the logistic function, and sums of products of a tile; for one number type REAL. */

#define VEC NAMED(vec)
#define INTS NAMED(ints)
#define WIDTH ((int64_t)(VECTOR_BYTES / sizeof(REAL)))

typedef REAL VEC __attribute__((vector_size(VECTOR_BYTES), may_alias));
typedef INTEGER INTS __attribute__((vector_size(VECTOR_BYTES), may_alias));

/* Arrays start at, and rows are multiples of, 64 bytes. */
INLINE VEC NAMED(load)(const REAL *from) { return *(const VEC *)from; }
INLINE void NAMED(store)(REAL *to, VEC value) { *(VEC *)to = value; }
INLINE VEC NAMED(splat)(REAL value) { return (VEC){0} + value; }

/* One or the other, where a comparison gave all ones or all zeros. */
INLINE VEC NAMED(choose)(INTS mask, VEC one, VEC other) { return (VEC)((mask & (INTS)one) | (~mask & (INTS)other)); }

INLINE REAL NAMED(total)(VEC value) {
    REAL sum = 0;
    for (int64_t k = 0; k < WIDTH; k++) sum += value[k];
    return sum;
}

/* x = n log(2) + r, |r| <= log(2) / 2: returns exp(r) - 1 by its series to the last digit, and 2^n. x is not so low that
   there is no such number. */
INLINE VEC NAMED(reduced_exponential)(VEC x, VEC *power) {
    const int single = sizeof(REAL) == 4;
    const REAL big = single ? (REAL)12582912.0 : (REAL)6755399441055744.0, most = single ? 87 : 708;
    const REAL high = single ? (REAL)0.693359375 : (REAL)6.93147180369123816490e-01;
    const REAL low = single ? (REAL)-2.12194440e-4 : (REAL)1.90821492927058770002e-10;
    x = NAMED(choose)(x > most, NAMED(splat)(most), x);
    VEC shifted = x * (REAL)1.44269504088896340736 + big, n = shifted - big;
    VEC r = x - n * high;
    r -= n * low;
    VEC sum = NAMED(splat)(1);
#pragma GCC unroll 16
    for (int k = single ? 7 : 13; k > 1; k--) sum = 1 + sum * (r * (REAL)(1.0 / k));
    /* n stands in the low bits of `shifted`. */
    *power = (VEC)((INTS)NAMED(splat)(1) + ((INTS)shifted << (single ? 23 : 52)));
    return sum * r;
}

INLINE VEC NAMED(exponential)(VEC x) {
    const REAL least = sizeof(REAL) == 4 ? -87 : -708;
    VEC power, rest = NAMED(reduced_exponential)(NAMED(choose)(x < least, NAMED(splat)(least), x), &power);
    return power + power * rest;
}

INLINE VEC NAMED(reciprocal)(VEC x) {
#ifdef __AVX512F__
    if (sizeof(REAL) == 4) {
        /* One step of Newton's method: twice as fast as a division. */
        VEC guess = (VEC)_mm512_rcp14_ps((__m512)x);
        return guess * (2 - x * guess);
    }
#endif
    return 1 / x;
}

INLINE VEC NAMED(logistic)(VEC x) { return NAMED(reciprocal)(1 + NAMED(exponential)(-x)); }

/* With the sign of x, from e = exp(2|x|) - 1, which keeps the digits of a small x: e / (e + 2). For e < 0 rounding e + 2
   would have one sign over long stretches: 3e-8 of a small tanh, which adds up over many steps. */
INLINE VEC NAMED(tanh)(VEC x) {
    INTS sign = (INTS)x & (INTS)-(VEC){0};
    VEC power, rest = NAMED(reduced_exponential)(2 * (VEC)((INTS)x ^ sign), &power);
    VEC e = power * rest + (power - 1);
    return (VEC)((INTS)(e * NAMED(reciprocal)(e + 2)) | sign);
}

/* Add to a tile, for each of its rows r and columns c, the sum over k of left[r, k] right[k, c]. */
INLINE void NAMED(add_products)(
    const int rows, const int vectors, int64_t count, const REAL *left, int64_t row_stride, int64_t stride,
    const REAL *right, int64_t right_stride, VEC tile[TILE_ROWS][TILE_VECTORS]
) {
    for (int64_t k = 0; k < count; k++, left += stride, right += right_stride) {
        VEC values[TILE_VECTORS];
#pragma GCC unroll 4
        for (int v = 0; v < vectors; v++) values[v] = NAMED(load)(right + v * WIDTH);
#pragma GCC unroll 6
        for (int r = 0; r < rows; r++) {
            REAL factor = left[r * row_stride];
#pragma GCC unroll 4
            for (int v = 0; v < vectors; v++) tile[r][v] += factor * values[v];
        }
    }
}

/* Call work(rows, vectors, context, row, column) for tiles of an array, their sizes constants wherever it is called. */
#define EACH_TILE(work, context, height, width) EACH_COLUMNS(TILES_OF_ROWS, work, context, height, width)
#define TILES_OF_ROWS(work, context, height, column, vectors)                                                      \
    {                                                                                                              \
        int64_t row = 0;                                                                                           \
        for (; row + TILE_ROWS <= (height); row += TILE_ROWS) work(TILE_ROWS, vectors, context, row, column);      \
        for (; row + 2 <= (height); row += 2) work(2, vectors, context, row, column);                              \
        if (row < (height)) work(1, vectors, context, row, column);                                                \
    }

/* Call work(vectors, context, unit, column) for each unit and some columns. */
#define EACH_UNIT(work, context, height, width) EACH_COLUMNS(UNITS, work, context, height, width)
#define UNITS(work, context, height, column, vectors)                                                              \
    for (int64_t unit = 0; unit < (height); unit++) work(vectors, context, unit, column);

/* Go through the rows of four vectors of columns at a time, then of two and of one. */
#define EACH_COLUMNS(rows, work, context, height, width)                                                           \
    {                                                                                                              \
        int64_t column = 0, end = (width);                                                                         \
        for (; TILE_VECTORS == 4 && column + 4 * WIDTH <= end; column += 4 * WIDTH)                                \
            rows(work, context, height, column, (TILE_VECTORS < 4 ? 2 : 4))                                        \
        for (; column + 2 * WIDTH <= end; column += 2 * WIDTH)                                                     \
            rows(work, context, height, column, 2)                                                                 \
        for (; column < end; column += WIDTH) rows(work, context, height, column, 1)                               \
    }
