/* x' = R x + gain act(a), or tanh(R x) in the place of R x, with a = joint [x; s; 1]; for one number type REAL. Columns
   are sequences, padded with columns whose states stay zero.

   The backward pass follows, with d the gradient of x', that of a up to a factor of each unit, which its matrices hold. */

/* All of x' but what the activation gives. */
INLINE VEC NAMED(residual_term)(const struct NAMED(step) *w, int64_t unit, int64_t column) {
    VEC found = NAMED(residual)(w, w->x, unit, column, 0);
    if (w->given->squashes) found = NAMED(tanh)(found);
    return found;
}

INLINE void NAMED(residual_forward_tile)(
    const int rows, const int vectors, const struct NAMED(step) *w, int64_t row, int64_t column
) {
    VEC tile[TILE_ROWS][TILE_VECTORS] = {{{0}}};
    NAMED(add_products)(
        rows, vectors, w->width, w->joint + row * w->width, w->width, 1, w->x + column, w->columns, tile);
    for (int r = 0; r < rows; r++) {
        for (int v = 0; v < vectors; v++) {
            int64_t unit = row + r, at = column + v * WIDTH;
            VEC a = tile[r][v];
            if (w->given->activation == TANH) a = NAMED(tanh)(a);
            else if (w->given->activation == RELU) a = NAMED(choose)(a < 0, (VEC){0}, a);
            VEC next = w->gain[unit] * a;
            if (w->own) next += NAMED(residual_term)(w, unit, at);
            NAMED(store)(w->following + unit * w->columns + at, next);
            if (w->activation) NAMED(store)(w->activation + unit * w->columns + at, a);
        }
    }
}

/* Compute the states of a chunk of `count` steps again. */
static void NAMED(recompute)(struct NAMED(step) *w, REAL *states, int64_t start, int64_t count, int64_t m) {
    const struct arguments *g = w->given;
    int64_t size = g->units * g->columns, whole = w->width * g->columns;
    memcpy(states, (const REAL *)g->firsts + (start / g->chunk * g->instances + m) * size, size * sizeof(REAL));
    for (int64_t k = 0; k < count; k++) {
        const REAL *activation = NAMED(kept_of)(g, start + k, m);
        w->x = states + k * whole;
        NAMED(set_inputs)(g, w->x, start + k, m);
        for (int64_t i = 0; i < g->units && k + 1 < count; i++) {
            for (int64_t c = 0; c < g->columns; c += WIDTH) {
                int64_t at = i * g->columns + c;
                VEC gained = w->gain[i] * NAMED(load)(activation + at);
                if (w->own) gained += NAMED(residual_term)(w, i, c);
                NAMED(store)(w->x + whole + at, gained);
            }
        }
    }
}

/* From the gradient of x' in `delta`, add to those of gain, own and cross; set that of a, and delta to that of R x. */
static void NAMED(residual_backward_step)(
    struct NAMED(step) *w, REAL *delta, REAL *gradient, const REAL *activation, int64_t m
) {
    const struct arguments *g = w->given;
    int64_t first = m / g->blocks * g->units;
    for (int64_t i = 0; i < g->units; i++) {
        VEC gained = {0}, owned = {0}, crossed = {0};
        for (int64_t c = 0; c < g->columns; c += WIDTH) {
            int64_t at = i * g->columns + c;
            VEC d = NAMED(load)(delta + at), s = NAMED(load)(activation + at), slope = NAMED(splat)(1);
            gained += d * s;
            if (g->activation == TANH) slope = 1 - s * s;
            /* As PyTorch's: of what is no number the gradient passes. */
            else if (g->activation == RELU) slope = NAMED(choose)(s <= 0, (VEC){0}, slope);
            NAMED(store)(gradient + at, d * slope);
            if (g->squashes) {
                VEC squashed = NAMED(tanh)(NAMED(residual)(w, w->x, i, c, 0));
                d *= 1 - squashed * squashed;
                NAMED(store)(delta + at, d);
            }
            owned += d * NAMED(load)(w->x + at);
            if (w->cross) crossed += d * NAMED(load)(w->x + (i ^ 1) * g->columns + c);
        }
        if (g->d_gain) ((REAL *)g->d_gain)[first + i] += NAMED(total)(gained);
        if (g->d_own) ((REAL *)g->d_own)[first + i] += NAMED(total)(owned);
        if (g->d_cross) ((REAL *)g->d_cross)[first + i] += NAMED(total)(crossed);
    }
}
