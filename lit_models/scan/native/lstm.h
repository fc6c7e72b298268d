/* c' = f c + i g, h' = o tanh(c') with i, f, o = sigma(a) and g = tanh(a) of a = joint [h; x; 1], whose rows are the
   four of each unit, in this order; for one number type REAL. A step keeps i, f, o, g and c'. */

INLINE void NAMED(gates_tile)(const int vectors, const struct NAMED(step) *w, int64_t unit, int64_t column) {
    int64_t size = w->units * w->columns;
    VEC tile[TILE_ROWS][TILE_VECTORS] = {{{0}}};
    NAMED(add_products)(
        4, vectors, w->width, w->joint + 4 * unit * w->width, w->width, 1, w->x + column, w->columns, tile);
    for (int v = 0; v < vectors; v++) {
        int64_t at = unit * w->columns + column + v * WIDTH;
        VEC input_gate = NAMED(logistic)(tile[0][v]), forget_gate = NAMED(logistic)(tile[1][v]);
        VEC output_gate = NAMED(logistic)(tile[2][v]), candidate = NAMED(tanh)(tile[3][v]);
        VEC cell = forget_gate * NAMED(load)(w->cell + at) + input_gate * candidate;
        NAMED(store)(w->cell + at, cell);
        NAMED(store)(w->following + at, output_gate * NAMED(tanh)(cell));
        if (!w->activation) continue;
        REAL *kept = w->activation + at;
        NAMED(store)(kept, input_gate);
        NAMED(store)(kept + size, forget_gate);
        NAMED(store)(kept + 2 * size, output_gate);
        NAMED(store)(kept + 3 * size, candidate);
        NAMED(store)(kept + 4 * size, cell);
    }
}

/* Numbers of scratch: two states with their inputs; gradients of two states and of a; tanh(c); and a transposed step. */
EXPORT int64_t NAMED(scratch_lstm)(const struct arguments *g) {
    int64_t width = g->units + g->features + 1;
    return (2 * width + 7 * g->units) * g->columns + g->batch * g->row;
}

static struct NAMED(step) NAMED(begin_lstm)(const struct arguments *g, int64_t instance) {
    struct NAMED(step) w = {.given = g, .width = g->units + g->features + 1, .units = g->units};
    w.sums = 4 * g->units;
    w.columns = g->columns;
    int64_t rows = instance / g->blocks * w.sums;
    w.joint = (const REAL *)g->joint + rows * w.width;
    if (g->to_state) w.to_state = (const REAL *)g->to_state + rows * (g->units + g->features);
    return w;
}

EXPORT void NAMED(forward_lstm)(const struct arguments *g) {
    int64_t size = g->units * g->columns;
    for (int64_t m = 0; m < g->instances; m++) {
        struct NAMED(step) w = NAMED(begin_lstm)(g, m);
        REAL *state = (REAL *)g->state + 2 * m * size;
        w.x = g->scratch;
        w.following = w.x + w.width * g->columns;
        w.cell = state + size;
        memcpy(w.x, state, size * sizeof(REAL));
        for (int64_t t = 0; t < g->steps; t++) {
            NAMED(set_inputs)(g, w.x, t, m);
            w.activation = NAMED(kept_of)(g, t, m, 5 * g->units);
            EACH_UNIT(NAMED(gates_tile), &w, g->units, g->columns)
            REAL *next = w.following;
            w.following = w.x;
            w.x = next;
            NAMED(store_outputs)(g, w.x, t, m);
        }
        memcpy(state, w.x, size * sizeof(REAL));
    }
}

/* From the gradients of h' and c' in `delta` and `cell`, set that of a, and `cell` to that of c; x becomes the h of the
   step, and `tanh_of_cell`, that of c', becomes that of c. */
static void NAMED(vjp_lstm)(
    struct NAMED(step) *w, const REAL *delta, REAL *gradient, REAL *tanh_of_cell, const REAL *kept, const REAL *kept_before,
    const REAL *initial
) {
    int64_t size = w->units * w->columns;
    for (int64_t i = 0; i < w->units; i++) {
        for (int64_t c = 0; c < w->columns; c += WIDTH) {
            int64_t at = i * w->columns + c;
            VEC input_gate = NAMED(load)(kept + at), forget_gate = NAMED(load)(kept + size + at);
            VEC output_gate = NAMED(load)(kept + 2 * size + at), candidate = NAMED(load)(kept + 3 * size + at);
            VEC before = NAMED(load)(kept_before ? kept_before + 4 * size + at : initial + size + at);
            VEC d = NAMED(load)(delta + at), s = NAMED(load)(tanh_of_cell + at);
            VEC d_cell = NAMED(load)(w->cell + at) + d * output_gate * (1 - s * s);
            REAL *to = gradient + 4 * i * w->columns + c;
            NAMED(store)(to, d_cell * candidate * (input_gate - input_gate * input_gate));
            NAMED(store)(to + w->columns, d_cell * before * (forget_gate - forget_gate * forget_gate));
            NAMED(store)(to + 2 * w->columns, d * s * (output_gate - output_gate * output_gate));
            NAMED(store)(to + 3 * w->columns, d_cell * input_gate * (1 - candidate * candidate));
            NAMED(store)(w->cell + at, d_cell * forget_gate);
            VEC hidden;
            if (kept_before) {
                VEC squashed = NAMED(tanh)(before);
                NAMED(store)(tanh_of_cell + at, squashed);
                hidden = NAMED(load)(kept_before + 2 * size + at) * squashed;
            } else {
                hidden = NAMED(load)(initial + at);
            }
            NAMED(store)(w->x + at, hidden);
        }
    }
}

EXPORT void NAMED(backward_lstm)(const struct arguments *g) {
    int64_t size = g->units * g->columns, width = g->units + g->features + 1, last = g->steps - 1;
    REAL *x = g->scratch, *delta = x + width * g->columns, *before = delta + size, *tanh_of_cell = before + size;
    REAL *gradient = tanh_of_cell + size, *transposed = gradient + 4 * size;
    memset(transposed, 0, g->batch * g->row * sizeof(REAL));
    for (int64_t m = 0; m < g->instances; m++) {
        struct NAMED(step) w = NAMED(begin_lstm)(g, m);
        REAL *state = (REAL *)g->state + 2 * m * size;
        const REAL *initial = (const REAL *)g->firsts + 2 * m * size;
        const REAL *kept = NAMED(kept_of)(g, last, m, 5 * g->units);
        memcpy(delta, state, size * sizeof(REAL));
        w.x = x;
        w.cell = state + size;
        w.gradient = gradient;
        w.transposed = transposed;
        for (int64_t at = 0; at < size; at += WIDTH)
            NAMED(store)(tanh_of_cell + at, NAMED(tanh)(NAMED(load)(kept + 4 * size + at)));
        for (int64_t t = last; t >= 0; t--) {
            const REAL *kept_before = t ? NAMED(kept_of)(g, t - 1, m, 5 * g->units) : NULL;
            NAMED(add_gradient_of_outputs)(g, delta, t, m);
            NAMED(vjp_lstm)(&w, delta, gradient, tanh_of_cell, kept, kept_before, initial);
            NAMED(set_inputs)(g, x, t, m);
            w.before = before;
            NAMED(backward_products)(&w, t, m);
            REAL *next = before;
            before = delta;
            delta = next;
            kept = kept_before;
        }
        memcpy(state, delta, size * sizeof(REAL));
    }
}
