/* The forward and the backward pass of all kernels: one instance after the other; for one number type REAL. */

static struct NAMED(step) NAMED(begin)(const struct arguments *g, int64_t instance) {
    struct NAMED(step) w = {.given = g, .width = g->units + g->features + 1, .units = g->units};
    w.sums = g->gates * g->units;
    w.columns = g->columns;
    int64_t constants = instance / g->blocks * g->units, rows = instance / g->blocks * w.sums;
    w.joint = (const REAL *)g->joint + rows * w.width;
    w.own = g->own ? (const REAL *)g->own + constants : NULL;
    w.cross = g->cross ? (const REAL *)g->cross + constants : NULL;
    w.gain = (const REAL *)g->gain + constants;
    if (g->to_state) w.to_state = (const REAL *)g->to_state + rows * (g->units + g->features);
    return w;
}

static REAL *NAMED(state_of)(const struct arguments *g, int64_t instance) {
    return (REAL *)g->state + (IS_LSTM(g) ? 2 : 1) * instance * g->units * g->columns;
}

INLINE void NAMED(swap)(REAL **one, REAL **other) {
    REAL *first = *one;
    *one = *other;
    *other = first;
}

/* Numbers of scratch: states of a chunk and one more, with their inputs; gradients of two states and of a; a transposed
   step; and tanh(c) of an LSTM. */
EXPORT int64_t NAMED(scratch)(const struct arguments *g) {
    int64_t width = g->units + g->features + 1, rows = 2 + g->gates + IS_LSTM(g);
    return ((g->chunk + 1) * width + rows * g->units) * g->columns + g->batch * g->row;
}

EXPORT void NAMED(forward)(const struct arguments *g) {
    int64_t size = g->units * g->columns;
    for (int64_t m = 0; m < g->instances; m++) {
        struct NAMED(step) w = NAMED(begin)(g, m);
        REAL *state = NAMED(state_of)(g, m);
        w.x = g->scratch;
        w.following = w.x + w.width * g->columns;
        w.cell = state + size;
        memcpy(w.x, state, size * sizeof(REAL));
        for (int64_t t = 0; t < g->steps; t++) {
            if (g->firsts && t % g->chunk == 0) {
                REAL *first = (REAL *)g->firsts + (t / g->chunk * g->instances + m) * size;
                memcpy(first, w.x, size * sizeof(REAL));
            }
            NAMED(set_inputs)(g, w.x, t, m);
            w.activation = NAMED(kept_of)(g, t, m);
            if (IS_LSTM(g)) EACH_UNIT(NAMED(lstm_forward_tile), &w, g->units, g->columns)
            else EACH_TILE(NAMED(residual_forward_tile), &w, g->units, g->columns)
            NAMED(swap)(&w.x, &w.following);
            NAMED(store_outputs)(g, w.x, t, m);
        }
        memcpy(state, w.x, size * sizeof(REAL));
    }
}

EXPORT void NAMED(backward)(const struct arguments *g) {
    int64_t size = g->units * g->columns, width = g->units + g->features + 1;
    REAL *states = g->scratch, *delta = states + (g->chunk + 1) * width * g->columns, *before = delta + size;
    REAL *gradient = before + size, *transposed = gradient + g->gates * size;
    REAL *tanh_of_cell = transposed + g->batch * g->row;
    memset(transposed, 0, g->batch * g->row * sizeof(REAL));
    for (int64_t m = 0; m < g->instances; m++) {
        struct NAMED(step) w = NAMED(begin)(g, m);
        REAL *state = NAMED(state_of)(g, m);
        memcpy(delta, state, size * sizeof(REAL));
        w.cell = state + size;
        w.gradient = gradient;
        w.transposed = transposed;
        const REAL *last_cell = IS_LSTM(g) ? NAMED(kept_of)(g, g->steps - 1, m) + 4 * size : NULL;
        for (int64_t at = 0; last_cell && at < size; at += WIDTH)
            NAMED(store)(tanh_of_cell + at, NAMED(tanh)(NAMED(load)(last_cell + at)));
        for (int64_t start = (g->steps - 1) / g->chunk * g->chunk; start >= 0; start -= g->chunk) {
            int64_t count = g->steps - start < g->chunk ? g->steps - start : g->chunk;
            if (!IS_LSTM(g)) NAMED(recompute)(&w, states, start, count, m);
            for (int64_t t = start + count - 1; t >= start; t--) {
                w.x = states + (t - start) * width * g->columns;
                NAMED(add_gradient_of_outputs)(g, delta, t, m);
                if (IS_LSTM(g)) {
                    NAMED(lstm_backward_step)(&w, delta, gradient, tanh_of_cell, t, m);
                    NAMED(set_inputs)(g, w.x, t, m);
                } else {
                    NAMED(residual_backward_step)(&w, delta, gradient, NAMED(kept_of)(g, t, m), m);
                }
                w.delta = delta;
                w.before = before;
                NAMED(backward_products)(&w, t, m);
                NAMED(swap)(&before, &delta);
            }
        }
        memcpy(state, delta, size * sizeof(REAL));
    }
}
