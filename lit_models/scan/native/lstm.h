/* c' = f c + i g, h' = o tanh(c') with i, f, o = sigma(a) and g = tanh(a) of a = joint [h; x; 1], whose rows are the
   four of each unit, in this order; for one number type REAL. A step keeps i, f, o, g and c'. */

INLINE void NAMED(lstm_forward_tile)(const int vectors, const struct NAMED(step) *w, int64_t unit, int64_t column) {
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

/* From the gradients of h' and c' in `delta` and `cell`, set that of a, and `cell` to that of c; x becomes the h of the
   step, and `tanh_of_cell`, that of c', becomes that of c. */
static void NAMED(lstm_backward_step)(
    struct NAMED(step) *w, const REAL *delta, REAL *gradient, REAL *tanh_of_cell, int64_t step, int64_t instance
) {
    int64_t size = w->units * w->columns;
    const REAL *kept = NAMED(kept_of)(w->given, step, instance);
    const REAL *kept_before = step ? NAMED(kept_of)(w->given, step - 1, instance) : NULL;
    const REAL *initial = (const REAL *)w->given->firsts + 2 * instance * size;
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
