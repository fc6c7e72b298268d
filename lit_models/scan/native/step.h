/* What the steps of all kernels share: the sums a = joint [x; s; 1], and their gradients with respect to x, s and joint;
   for one number type REAL. Columns are sequences, padded with columns that count for nothing. */

struct NAMED(step) {
    const struct arguments *given;
    /* rows of [x; s; 1], of x, and of the gradient of a */
    int64_t width, units, sums, columns;
    const REAL *joint, *own, *cross, *gain, *to_state;
    REAL *x, *following, *activation, *cell;
    const REAL *delta, *gradient;
    REAL *before, *d_inputs, *d_joint;
    REAL *transposed;
};

/* R x of one unit, zero without residual, or its transpose: then the factor of the unit that it is paired with counts. */
INLINE VEC NAMED(residual)(const struct NAMED(step) *w, const REAL *x, int64_t unit, int64_t column, int transposed) {
    if (!w->own) return (VEC){0};
    VEC found = w->own[unit] * NAMED(load)(x + unit * w->columns + column);
    if (w->cross) {
        REAL factor = w->cross[transposed ? unit ^ 1 : unit];
        found += factor * NAMED(load)(x + (unit ^ 1) * w->columns + column);
    }
    return found;
}

INLINE void NAMED(state_tile)(
    const int rows, const int vectors, const struct NAMED(step) *w, int64_t row, int64_t column
) {
    int64_t outputs = w->units + w->given->features;
    VEC tile[TILE_ROWS][TILE_VECTORS];
    for (int r = 0; r < rows; r++)
        for (int v = 0; v < vectors; v++)
            tile[r][v] = row + r < w->units ? NAMED(residual)(w, w->delta, row + r, column + v * WIDTH, 1) : (VEC){0};
    NAMED(add_products)(
        rows, vectors, w->sums, w->to_state + row, 1, outputs, w->gradient + column, w->columns, tile);
    for (int r = 0; r < rows; r++) {
        for (int v = 0; v < vectors; v++) {
            int64_t at = column + v * WIDTH, unit = row + r;
            if (unit < w->units) {
                NAMED(store)(w->before + unit * w->columns + at, tile[r][v]);
            } else {
                REAL *to = w->d_inputs + (unit - w->units) * w->columns + at;
                NAMED(store)(to, NAMED(load)(to) + tile[r][v]);
            }
        }
    }
}

INLINE void NAMED(weight_tile)(
    const int rows, const int vectors, const struct NAMED(step) *w, int64_t row, int64_t column
) {
    /* The sum of a step's sequences first: added one by one to that of all steps, small terms would lose digits. */
    VEC tile[TILE_ROWS][TILE_VECTORS] = {{{0}}};
    NAMED(add_products)(
        rows, vectors, w->given->batch, w->gradient + row * w->columns, w->columns, 1, w->transposed + column,
        w->given->row, tile);
    for (int r = 0; r < rows; r++) {
        for (int v = 0; v < vectors; v++) {
            REAL *to = w->d_joint + (row + r) * w->given->row + column + v * WIDTH;
            NAMED(store)(to, NAMED(load)(to) + tile[r][v]);
        }
    }
}

/* Sequences of an instance's block: of the last one there may be fewer. */
INLINE int64_t NAMED(sequences)(const struct arguments *g, int64_t instance) {
    int64_t left = g->whole - instance % g->blocks * g->batch;
    return left < g->batch ? left : g->batch;
}

/* Copy the inputs of a step and ones below the state; the columns that pad it have zeros. */
static void NAMED(set_inputs)(const struct arguments *g, REAL *x, int64_t step, int64_t instance) {
    int64_t size = g->features * g->columns, copy = instance % g->copies, sequences = NAMED(sequences)(g, instance);
    memcpy(x + g->units * g->columns, (const REAL *)g->inputs + (step * g->copies + copy) * size, size * sizeof(REAL));
    REAL *ones = x + (g->units + g->features) * g->columns;
    for (int64_t column = 0; column < g->columns; column++) ones[column] = column < sequences;
}

/* What is kept of a step, in the chunk that holds it, [n, M, rows, columns]. */
static REAL *NAMED(kept_of)(const struct arguments *g, int64_t step, int64_t instance) {
    if (!g->activations) return NULL;
    int64_t place = step % g->chunk * g->instances + instance, rows = (IS_LSTM(g) ? 5 : 1) * g->units;
    return (REAL *)g->activations[step / g->chunk] + place * rows * g->columns;
}

INLINE int64_t NAMED(place_of_outputs)(const struct arguments *g, int64_t step, int64_t instance) {
    int64_t network = step * (g->instances / g->blocks) + instance / g->blocks;
    return network * g->units * g->whole + instance % g->blocks * g->batch;
}

/* Add the gradient of a step's outputs to that of its state. */
static void NAMED(add_gradient_of_outputs)(const struct arguments *g, REAL *delta, int64_t step, int64_t instance) {
    if (!g->grad_outputs) return;
    const REAL *from = (const REAL *)g->grad_outputs + NAMED(place_of_outputs)(g, step, instance);
    int64_t sequences = NAMED(sequences)(g, instance);
    for (int64_t i = 0; i < g->units; i++)
        for (int64_t c = 0; c < sequences; c++) delta[i * g->columns + c] += from[i * g->whole + c];
}

/* Hand a step's state out, without what pads its columns. */
static void NAMED(store_outputs)(const struct arguments *g, const REAL *x, int64_t step, int64_t instance) {
    if (!g->outputs) return;
    REAL *to = (REAL *)g->outputs + NAMED(place_of_outputs)(g, step, instance);
    int64_t sequences = NAMED(sequences)(g, instance);
    for (int64_t i = 0; i < g->units; i++) memcpy(to + i * g->whole, x + i * g->columns, sequences * sizeof(REAL));
}

/* From the gradient of a: add those of a step's inputs and of joint, and set that of the state before. */
static void NAMED(backward_products)(struct NAMED(step) *w, int64_t step, int64_t instance) {
    const struct arguments *g = w->given;
    if (g->d_inputs) {
        int64_t copy = instance % g->copies;
        w->d_inputs = (REAL *)g->d_inputs + (step * g->copies + copy) * g->features * g->columns;
    }
    EACH_TILE(NAMED(state_tile), w, (g->d_inputs ? g->units + g->features : g->units), g->columns)
    if (!g->d_joint) return;
    w->d_joint = (REAL *)g->d_joint + instance / g->blocks * w->sums * g->row;
    for (int64_t k = 0; k < w->width; k++)
        for (int64_t c = 0; c < g->batch; c++) w->transposed[c * g->row + k] = w->x[k * g->columns + c];
    EACH_TILE(NAMED(weight_tile), w, w->sums, g->row)
}
