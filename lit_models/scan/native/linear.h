/* Steps of recurrences that are linear in their state, forward and backward; for one number type REAL.

   The inputs give P rows of each step, [P, steps, batch] of an instance; states are [S, batch]. Vectors are of sequences,
   fewer than fill them at the end. With `back`, a step takes the gradient of its state to that of the state before, and
   sets that of the rows. Of few inputs D, rows are computed here, joint [x; 1], for less than it costs to read them. */


typedef REAL NAMED(loose) __attribute__((vector_size(VECTOR_BYTES), aligned(sizeof(REAL)), may_alias));

INLINE VEC NAMED(get)(const REAL *from, int64_t count) {
    VEC found = {0};
    if (count >= WIDTH) return *(const NAMED(loose) *)from;
    memcpy(&found, from, count * sizeof(REAL));
    return found;
}

INLINE void NAMED(put)(REAL *to, VEC value, int64_t count) {
    if (count >= WIDTH) *(NAMED(loose) *)to = value;
    else memcpy(to, &value, count * sizeof(REAL));
}

/* What a step of some sequences works on. */
struct NAMED(linear) {
    const struct arguments *given;
    /* for each instance: inputs, or rows; weights and factors of units; states before and after */
    const REAL *rows, *joint, *own, *gain, *before, *after;
    /* gradients of inputs, or rows, and of the state */
    REAL *d_rows, *following, *delta;
    /* of each weight and factor, a vector of sums */
    VEC *d_joint, *d_own, *d_gain;
    /* inputs and one, and their gradients */
    VEC x[WIDEST], *d_x;
    int64_t step, column, left;
};

#define PLACE(w, k) (((k) * (w)->given->steps + (w)->step) * (w)->given->batch + (w)->column)
INLINE VEC NAMED(given_row)(const struct NAMED(linear) *w, const REAL *rows, int64_t k) {
    return NAMED(get)(rows + PLACE(w, k), w->left);
}
INLINE VEC NAMED(row)(const struct NAMED(linear) *w, int64_t k) {
    int64_t width = w->given->width;
    if (!width) return NAMED(given_row)(w, w->rows, k);
    VEC found = {0};
    for (int64_t d = 0; d < width; d++) found += w->joint[k * width + d] * w->x[d];
    return found;
}
INLINE void NAMED(set_row)(const struct NAMED(linear) *w, int64_t k, VEC value) {
    int64_t width = w->given->width;
    if (!width) NAMED(put)(w->d_rows + PLACE(w, k), value, w->left);
    for (int64_t d = 0; d < width; d++) w->d_joint[k * width + d] += value * w->x[d];
    for (int64_t d = 0; w->d_x && d < width; d++) w->d_x[d] += w->joint[k * width + d] * value;
}
INLINE VEC NAMED(at)(const struct NAMED(linear) *w, const REAL *state, int64_t k) {
    return NAMED(get)(state + k * w->given->batch + w->column, w->left);
}
INLINE void NAMED(set)(const struct NAMED(linear) *w, REAL *state, int64_t k, VEC value) {
    NAMED(put)(state + k * w->given->batch + w->column, value, w->left);
}
/* Gradients of the last step alone decay to denormal numbers, which take several times as long as others. */
INLINE VEC NAMED(flushed)(VEC value) {
    const REAL small = sizeof(REAL) == 4 ? (REAL)1e-31 : (REAL)1e-292;
    INTS negligible = (value < small) & (value > -small);
    return NAMED(choose)(negligible, (VEC){0}, value);
}
INLINE void NAMED(set_delta)(const struct NAMED(linear) *w, int64_t k, VEC value) {
    NAMED(set)(w, w->delta, k, NAMED(flushed)(value));
}

INLINE VEC NAMED(absolute)(VEC x) { return (VEC)((INTS)x & ~(INTS)-(VEC){0}); }

INLINE VEC NAMED(root)(VEC x) {
    for (int64_t k = 0; k < WIDTH; k++) x[k] = sizeof(REAL) == 4 ? __builtin_sqrtf(x[k]) : __builtin_sqrt(x[k]);
    return x;
}

/* The logistic functions of x and of -x, both to the last digits. */
INLINE VEC NAMED(both_logistics)(VEC x, VEC *of_minus) {
    VEC e = NAMED(exponential)(-NAMED(absolute)(x)), large = NAMED(reciprocal)(1 + e), small = e * large;
    *of_minus = NAMED(choose)(x < 0, large, small);
    return NAMED(choose)(x < 0, small, large);
}

/* log(1 + exp(x)) = max(x, 0) + log(1 + e) with e = exp(-|x|), by the series of 2 artanh(e / (2 + e)). */
INLINE VEC NAMED(softplus)(VEC x) {
    VEC e = NAMED(exponential)(-NAMED(absolute)(x)), s = e / (2 + e), square = s * s, sum = {0};
#pragma GCC unroll 17
    for (int k = sizeof(REAL) == 4 ? 7 : 16; k > 0; k--) sum = square * (sum + (REAL)(1.0 / (2 * k + 1)));
    return NAMED(choose)(x < 0, (VEC){0}, x) + 2 * (s + s * sum);
}

/* The candidates of minGRU and minLSTM: a + 1/2 from zero on, else the logistic function. */
INLINE VEC NAMED(candidate)(VEC a, VEC *slope) {
    VEC minus, low = NAMED(both_logistics)(a, &minus);
    *slope = NAMED(choose)(a >= 0, NAMED(splat)(1), low * minus);
    return NAMED(choose)(a >= 0, a + (REAL)0.5, low);
}

INLINE VEC NAMED(min_gru)(const struct NAMED(linear) *w, int64_t n, VEC before, VEC d, const int back) {
    int64_t units = w->given->units;
    VEC slope, shut, open = NAMED(both_logistics)(NAMED(row)(w, n), &shut);
    VEC candidate = NAMED(candidate)(NAMED(row)(w, units + n), &slope);
    if (!back) return shut * before + open * candidate;
    NAMED(set_row)(w, n, d * (candidate - before) * (open * shut));
    NAMED(set_row)(w, units + n, d * open * slope);
    return d * shut;
}

/* f / (f + i) of f and i through the logistic function: (1 + 1 / exp i) over the sum of that and 1 + 1 / exp f, all
   scaled so that none overflows. */
INLINE VEC NAMED(min_lstm)(const struct NAMED(linear) *w, int64_t n, VEC before, VEC d, const int back) {
    int64_t units = w->given->units;
    VEC forget = NAMED(row)(w, n), enter = NAMED(row)(w, units + n), slope;
    VEC candidate = NAMED(candidate)(NAMED(row)(w, 2 * units + n), &slope);
    VEC least = NAMED(choose)(forget < enter, forget, enter);
    least = NAMED(choose)(least > 0, (VEC){0}, least);
    VEC one = NAMED(exponential)(least);
    VEC by_enter = one + NAMED(exponential)(least - enter), by_forget = one + NAMED(exponential)(least - forget);
    VEC inverse = NAMED(reciprocal)(by_enter + by_forget), kept = by_enter * inverse, open = by_forget * inverse;
    if (!back) return kept * before + open * candidate;
    VEC d_gate = d * (before - candidate) * (kept * open);
    NAMED(set_row)(w, n, d_gate * NAMED(logistic)(-forget));
    NAMED(set_row)(w, units + n, -d_gate * NAMED(logistic)(-enter));
    NAMED(set_row)(w, 2 * units + n, d * open * slope);
    return d * kept;
}

/* `own` is c log a, negative; log a_t is its product with the recurrence gate. */
INLINE VEC NAMED(rg_lru)(const struct NAMED(linear) *w, int64_t n, VEC before, VEC d, const int back) {
    const REAL least = sizeof(REAL) == 4 ? -87 : -708;
    int64_t units = w->given->units;
    VEC x = NAMED(row)(w, n), shut, closed, power;
    VEC gate = NAMED(both_logistics)(NAMED(row)(w, units + n), &shut), enter;
    enter = NAMED(both_logistics)(NAMED(row)(w, 2 * units + n), &closed);
    VEC log_decay = w->own[n] * gate, twice = 2 * log_decay;
    VEC rest = NAMED(reduced_exponential)(NAMED(choose)(twice < least, NAMED(splat)(least), twice), &power);
    VEC decay = NAMED(exponential)(log_decay), scale = NAMED(root)((1 - power) - power * rest);
    if (!back) return decay * before + scale * enter * x;
    VEC d_log = d * decay * (before - enter * x * decay / scale);
    NAMED(set_row)(w, n, d * scale * enter);
    NAMED(set_row)(w, units + n, d_log * log_decay * shut);
    NAMED(set_row)(w, 2 * units + n, d * scale * x * (enter * closed));
    if (w->d_own) w->d_own[n] += d_log * gate;
    return d * decay;
}

/* h' = A h + u, with the entries of A, blocks of so many rows as there are `features`, and u as rows. */
INLINE void NAMED(block)(const struct NAMED(linear) *w, int64_t first, const int back) {
    int64_t units = w->given->units, size = w->given->features;
    VEC before[size], found[size];
    for (int64_t i = 0; i < size; i++) {
        before[i] = NAMED(at)(w, w->before, first + i);
        found[i] = back ? (VEC){0} : NAMED(row)(w, units * size + first + i);
    }
    for (int64_t i = 0; i < size; i++) {
        VEC d = back ? NAMED(at)(w, w->delta, first + i) : (VEC){0};
        if (back) NAMED(set_row)(w, units * size + first + i, d);
        for (int64_t j = 0; j < size; j++) {
            VEC entry = NAMED(row)(w, (first + i) * size + j);
            if (back) {
                NAMED(set_row)(w, (first + i) * size + j, d * before[j]);
                found[j] += entry * d;
            } else {
                found[i] += entry * before[j];
            }
        }
    }
    for (int64_t i = 0; i < size; i++) {
        if (back) NAMED(set_delta)(w, first + i, found[i]);
        else NAMED(set)(w, w->following, first + i, found[i]);
    }
}

/* S6: rows are x and what the time step is the softplus of, for each unit, then B and C of K `features`; the state is y,
   then h of each unit. `own` are rates, `gain` is the factor of x in y. */
INLINE void NAMED(selective)(const struct NAMED(linear) *w, int64_t n, const int back) {
    int64_t units = w->given->units, size = w->given->features;
    VEC x = NAMED(row)(w, n), raw = NAMED(row)(w, units + n);
    /* As PyTorch's softplus. */
    INTS linear = raw > 20;
    VEC step = NAMED(choose)(linear, raw, NAMED(softplus)(raw)), driven = step * x;
    VEC sum = w->gain[n] * x, d_step = {0}, d_driven = {0};
    if (back) sum = NAMED(at)(w, w->delta, n);
    for (int64_t k = 0; k < size; k++) {
        int64_t place = units + n * size + k, enter = 2 * units + k, leave = enter + size;
        REAL rate = w->own[n * size + k];
        VEC decay = NAMED(exponential)(-rate * step), decayed = decay * NAMED(at)(w, w->before, place);
        if (!back) {
            VEC h = decayed + driven * NAMED(row)(w, enter);
            NAMED(set)(w, w->following, place, h);
            sum += h * NAMED(row)(w, leave);
            continue;
        }
        VEC d = NAMED(at)(w, w->delta, place) + sum * NAMED(row)(w, leave);
        NAMED(set_row)(w, leave, NAMED(given_row)(w, w->d_rows, leave) + sum * NAMED(at)(w, w->after, place));
        NAMED(set_row)(w, enter, NAMED(given_row)(w, w->d_rows, enter) + d * driven);
        d_driven += d * NAMED(row)(w, enter);
        d_step -= d * decayed * rate;
        if (w->d_own) w->d_own[n * size + k] -= d * decayed * step;
        NAMED(set_delta)(w, place, d * decay);
    }
    if (!back) {
        NAMED(set)(w, w->following, n, sum);
        return;
    }
    VEC slope = NAMED(choose)(linear, NAMED(splat)(1), NAMED(logistic)(raw));
    NAMED(set_row)(w, n, d_driven * step + sum * w->gain[n]);
    NAMED(set_row)(w, units + n, (d_step + d_driven * x) * slope);
    if (w->d_gain) w->d_gain[n] += sum * x;
    NAMED(set)(w, w->delta, n, (VEC){0});
}

/* A step of all units, for some sequences. */
INLINE void NAMED(linear_units)(struct NAMED(linear) *w, const int back) {
    const struct arguments *g = w->given;
    if (back && g->activation == SELECTIVE)
        for (int64_t k = 2 * g->units; k < 2 * (g->units + g->features); k++) NAMED(set_row)(w, k, (VEC){0});
    for (int64_t n = 0; n < g->units; n += g->activation == BLOCKS ? g->features : 1) {
        if (g->activation == BLOCKS) {
            NAMED(block)(w, n, back);
        } else if (g->activation == SELECTIVE) {
            NAMED(selective)(w, n, back);
        } else {
            VEC before = NAMED(at)(w, w->before, n), d = back ? NAMED(at)(w, w->delta, n) : (VEC){0}, found;
            if (g->activation == MIN_GRU) found = NAMED(min_gru)(w, n, before, d, back);
            else if (g->activation == MIN_LSTM) found = NAMED(min_lstm)(w, n, before, d, back);
            else found = NAMED(rg_lru)(w, n, before, d, back);
            if (back) NAMED(set_delta)(w, n, found);
            else NAMED(set)(w, w->following, n, found);
        }
    }
}

static void NAMED(linear_step)(struct NAMED(linear) *w, const int back) {
    for (w->column = 0; w->column < w->given->batch; w->column += WIDTH) {
        w->left = w->given->batch - w->column;
        VEC d_x[WIDEST] = {{0}};
        w->d_x = back && w->d_rows ? d_x : NULL;
        for (int64_t d = 0; d < w->given->width; d++)
            w->x[d] = d < w->given->width - 1 ? NAMED(given_row)(w, w->rows, d) : NAMED(splat)(1);
        if (back) NAMED(linear_units)(w, 1);
        else NAMED(linear_units)(w, 0);
        for (int64_t d = 0; w->d_x && d < w->given->width - 1; d++)
            NAMED(put)(w->d_rows + PLACE(w, d), NAMED(given_row)(w, w->d_rows, d) + d_x[d], w->left);
    }
}

static struct NAMED(linear) NAMED(begin_linear)(const struct arguments *g, int64_t instance) {
    struct NAMED(linear) w = {.given = g};
    int64_t rows = (g->width ? instance % g->copies * (g->width - 1) : instance * g->row) * g->steps * g->batch;
    if (g->width) w.joint = (const REAL *)g->joint + instance * g->row * g->width;
    w.rows = (const REAL *)g->inputs + rows;
    if (g->own) w.own = (const REAL *)g->own + instance * g->owned;
    if (g->gain) w.gain = (const REAL *)g->gain + instance * g->units;
    if (g->d_inputs) w.d_rows = (REAL *)g->d_inputs + rows;
    return w;
}

#include "heads.h"

/* Scan from `state` on, which becomes the last one; outputs are its first `units` rows. */
EXPORT void NAMED(linear_forward)(const struct arguments *g) {
    int64_t size = g->columns * g->batch, outputs = g->units * g->batch;
    for (int64_t m = 0; m < g->instances; m++) {
        struct NAMED(linear) w = NAMED(begin_linear)(g, m);
        w.following = (REAL *)g->state + m * size;
        w.before = w.following;
        if (HAS_HEADS(g)) {
            NAMED(all_heads)(&w, m, (VEC *)g->scratch, 0);
            continue;
        }
        for (w.step = 0; w.step < g->steps; w.step++) {
            NAMED(linear_step)(&w, 0);
            if (g->outputs)
                memcpy((REAL *)g->outputs + (w.step * g->instances + m) * outputs, w.following, outputs * sizeof(REAL));
        }
    }
}

INLINE void NAMED(add_totals)(void *to, int64_t start, const VEC *sums, int64_t count) {
    for (int64_t k = 0; to && k < count; k++) ((REAL *)to)[start + k] += NAMED(total)(sums[k]);
}

/* From the states `firsts` on compute all states again, then take `state`, the gradient of the last one, to that of the
   first. `scratch` has room for a vector of each weight and factor of units, and for the states of all steps; with heads,
   for one head's and what it works on. */
EXPORT void NAMED(linear_backward)(const struct arguments *g) {
    int64_t size = g->columns * g->batch, weights = g->row * g->width, count = g->owned + g->units + weights;
    VEC *sums = (VEC *)g->scratch;
    REAL *states = (REAL *)(sums + count);
    for (int64_t m = 0; m < g->instances; m++) {
        struct NAMED(linear) w = NAMED(begin_linear)(g, m);
        w.before = (const REAL *)g->firsts + m * size;
        for (w.step = 0; w.step < g->steps && !HAS_HEADS(g); w.step++) {
            w.following = states + w.step * size;
            NAMED(linear_step)(&w, 0);
            w.before = w.following;
        }
        memset(sums, 0, count * sizeof(VEC));
        w.d_joint = sums + g->owned + g->units;
        w.d_own = g->d_own ? sums : NULL;
        w.d_gain = g->d_gain ? sums + g->owned : NULL;
        w.delta = (REAL *)g->state + m * size;
        if (HAS_HEADS(g)) NAMED(all_heads)(&w, m, sums + count, 1);
        for (w.step = g->steps - 1; w.step >= 0 && !HAS_HEADS(g); w.step--) {
            w.before = w.step ? states + (w.step - 1) * size : (const REAL *)g->firsts + m * size;
            w.after = states + w.step * size;
            const REAL *from = (const REAL *)g->grad_outputs;
            if (from) from += (w.step * g->instances + m) * g->units * g->batch;
            for (int64_t k = 0; from && k < g->units * g->batch; k++) w.delta[k] += from[k];
            NAMED(linear_step)(&w, 1);
        }
        NAMED(add_totals)(g->d_own, m * g->owned, sums, g->owned);
        NAMED(add_totals)(g->d_gain, m * g->units, sums + g->owned, g->units);
        if (weights) NAMED(add_totals)(g->d_joint, m * weights, w.d_joint, weights);
    }
}
