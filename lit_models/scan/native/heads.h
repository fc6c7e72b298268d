/* Heads whose state is a matrix S [d, d], rows for keys and columns for values, for one number type REAL:

   S' = diag(w) S + b uᵀ + k vᵀ with u = Sᵀ p, and y = S'ᵀ q

   DeltaNet (Yang et al. 2024): p = α k̂, w = α, b = -β k̂, k = β k̂, in some updates a step, of which the first decays.
   RWKV-7 (Peng et al. 2025): p = -κ, b = a ∘ κ.

   Heads and sequences are scanned one vector of sequences after the other, so that S stays in the caches. */

INLINE void NAMED(update_columns)(
    const int count, int64_t d, int64_t first, const VEC *from, VEC *to, VEC *s, VEC *outputs
) {
    VEC known[4] = {{0}}, sum[4] = {{0}};
    for (int64_t i = 0; i < d; i++)
        for (int c = 0; c < count; c++) known[c] += s[READ * d + i] * from[i * d + first + c];
    for (int64_t i = 0; i < d; i++)
        for (int c = 0; c < count; c++) {
            VEC found = s[DECAY * d + i] * from[i * d + first + c] + s[WRITE * d + i] * known[c];
            found += s[KEY * d + i] * s[VALUE * d + first + c];
            to[i * d + first + c] = found;
            sum[c] += s[QUERY * d + i] * found;
        }
    for (int c = 0; c < count; c++) {
        s[KNOWN * d + first + c] = known[c];
        outputs[first + c] = sum[c];
    }
}

static void NAMED(update)(int64_t d, const VEC *from, VEC *to, VEC *s, VEC *outputs) {
    int64_t first = 0;
    for (; first + 4 <= d; first += 4) NAMED(update_columns)(4, d, first, from, to, s, outputs);
    for (; first < d; first++) NAMED(update_columns)(1, d, first, from, to, s, outputs);
}

INLINE void NAMED(columns_back)(
    const int count, int64_t d, int64_t first, VEC *delta, const VEC *s, const VEC *d_outputs, VEC *found
) {
    VEC d_value[4] = {{0}}, d_known[4] = {{0}};
    for (int64_t i = 0; i < d; i++)
        for (int c = 0; c < count; c++) {
            VEC whole = delta[i * d + first + c] + s[QUERY * d + i] * d_outputs[first + c];
            delta[i * d + first + c] = whole;
            d_value[c] += s[KEY * d + i] * whole;
            d_known[c] += s[WRITE * d + i] * whole;
        }
    for (int c = 0; c < count; c++) {
        found[VALUE * d + first + c] = d_value[c];
        found[KNOWN * d + first + c] = d_known[c];
    }
}

/* Take the gradient of S' to that of S, and set those of an update's vectors. */
static void NAMED(update_back)(
    int64_t d, const VEC *from, const VEC *to, VEC *delta, const VEC *s, const VEC *d_outputs, VEC *found
) {
    int64_t first = 0;
    for (; first + 4 <= d; first += 4) NAMED(columns_back)(4, d, first, delta, s, d_outputs, found);
    for (; first < d; first++) NAMED(columns_back)(1, d, first, delta, s, d_outputs, found);
    for (int64_t i = 0; i < d; i++) {
        VEC d_read = {0}, d_decay = {0}, d_write = {0}, d_key = {0}, d_query = {0};
        for (int64_t e = 0; e < d; e++) {
            VEC whole = delta[i * d + e], before = from[i * d + e], d_known = found[KNOWN * d + e];
            d_query += to[i * d + e] * d_outputs[e];
            d_key += whole * s[VALUE * d + e];
            d_write += whole * s[KNOWN * d + e];
            d_decay += whole * before;
            d_read += before * d_known;
            delta[i * d + e] = s[DECAY * d + i] * whole + s[READ * d + i] * d_known;
        }
        found[READ * d + i] = d_read;
        found[DECAY * d + i] = d_decay;
        found[WRITE * d + i] = d_write;
        found[KEY * d + i] = d_key;
        found[QUERY * d + i] = d_query;
    }
}

INLINE VEC NAMED(silu)(VEC x, VEC *slope) {
    VEC minus, logistic = NAMED(both_logistics)(x, &minus);
    *slope = logistic * (1 + x * minus);
    return x * logistic;
}

/* Divide d numbers by their norm, and return what they are multiplied by: see `unit` of recurrences/_common.py. */
INLINE VEC NAMED(normalise)(int64_t d, VEC *vectors) {
    VEC sum = NAMED(splat)((REAL)1e-6);
    for (int64_t i = 0; i < d; i++) sum += vectors[i] * vectors[i];
    VEC scale = 1 / NAMED(root)(sum);
    for (int64_t i = 0; i < d; i++) vectors[i] *= scale;
    return scale;
}

INLINE VEC NAMED(dot)(int64_t d, const VEC *left, const VEC *right) {
    VEC sum = {0};
    for (int64_t i = 0; i < d; i++) sum += left[i] * right[i];
    return sum;
}

INLINE VEC NAMED(unit_silu)(const struct NAMED(linear) *w, int64_t row, int64_t d, VEC *to) {
    VEC slope;
    for (int64_t i = 0; i < d; i++) to[i] = NAMED(silu)(NAMED(row)(w, row + i), &slope);
    return NAMED(normalise)(d, to);
}

/* Set the gradients of rows from those of `unit`, which `scale` made of their SiLU. */
INLINE void NAMED(unit_silu_back)(
    const struct NAMED(linear) *w, int64_t row, int64_t d, const VEC *unit, VEC scale, const VEC *d_unit
) {
    VEC along = NAMED(dot)(d, unit, d_unit), slope;
    for (int64_t i = 0; i < d; i++) {
        NAMED(silu)(NAMED(row)(w, row + i), &slope);
        NAMED(set_row)(w, row + i, scale * (d_unit[i] - unit[i] * along) * slope);
    }
}

/* Rows are q [N], k and v [H, n, d], what β is of [H, n] and α of [H]; `own` are the largest β and, if they decay, rates
   of the heads. With `found`, gradients of an update's vectors, set those of the rows. */
static void NAMED(delta_gates)(const struct NAMED(linear) *w, int64_t head, int64_t update, VEC *s, VEC *found) {
    int64_t units = w->given->units, d = w->given->features, count = w->given->gates, heads = units / d;
    int64_t place = head * count + update, keys = units + place * d, values = keys + count * units;
    int64_t strengths = units + 2 * count * units, decays = strengths + count * heads + head;
    int decaying = w->given->owned > 1 && update == 0, last = update == count - 1;
    VEC key[d], shut, slope, strength = NAMED(both_logistics)(NAMED(row)(w, strengths + place), &shut) * w->own[0];
    VEC scale = NAMED(unit_silu)(w, keys, d, key), decay = NAMED(splat)(1), raw = {0}, rate = {0};
    if (decaying) {
        raw = NAMED(row)(w, decays);
        rate = NAMED(choose)(raw > 20, raw, NAMED(softplus)(raw));
        decay = NAMED(exponential)(-w->own[1 + head] * rate);
    }
    if (!found) {
        for (int64_t i = 0; i < d; i++) {
            s[READ * d + i] = decay * key[i];
            s[DECAY * d + i] = decay;
            s[KEY * d + i] = strength * key[i];
            s[WRITE * d + i] = -s[KEY * d + i];
            s[VALUE * d + i] = NAMED(silu)(NAMED(row)(w, values + i), &slope);
            s[QUERY * d + i] = (VEC){0};
        }
        if (last) NAMED(unit_silu)(w, head * d, d, s + QUERY * d);
        return;
    }
    VEC d_key[d], d_decay = {0}, d_strength = {0};
    for (int64_t i = 0; i < d; i++) {
        VEC written = found[KEY * d + i] - found[WRITE * d + i];
        d_key[i] = decay * found[READ * d + i] + strength * written;
        d_strength += key[i] * written;
        d_decay += key[i] * found[READ * d + i] + found[DECAY * d + i];
        NAMED(silu)(NAMED(row)(w, values + i), &slope);
        NAMED(set_row)(w, values + i, found[VALUE * d + i] * slope);
    }
    NAMED(unit_silu_back)(w, keys, d, key, scale, d_key);
    NAMED(set_row)(w, strengths + place, d_strength * strength * shut);
    if (decaying) {
        VEC d_log = d_decay * decay;
        NAMED(set_row)(w, decays, -w->own[1 + head] * d_log * NAMED(logistic)(raw));
        if (w->d_own) w->d_own[1 + head] -= d_log * rate;
    }
    if (last) {
        VEC query[d];
        scale = NAMED(unit_silu)(w, head * d, d, query);
        NAMED(unit_silu_back)(w, head * d, d, query, scale, found + QUERY * d);
    }
}

/* Rows are r, k, v, and what w and a are of, [N] each; `own` is ξ, `gain` is ρ. */
static void NAMED(rwkv_gates)(const struct NAMED(linear) *w, int64_t head, VEC *s, VEC *found) {
    /* 1/√e, as LARGEST_RATE of recurrences/rwkv7.py. */
    const REAL largest = (REAL)0.6065306597126334;
    int64_t units = w->given->units, d = w->given->features, first = head * d;
    const REAL *scales = w->own + first, *mixes = w->gain + first;
    VEC removed[d], keys[d];
    for (int64_t i = 0; i < d; i++) {
        keys[i] = NAMED(row)(w, units + first + i);
        removed[i] = keys[i] * scales[i];
    }
    VEC scale = NAMED(normalise)(d, removed), d_removed[d];
    for (int64_t i = 0; i < d; i++) {
        VEC slow, shut, fast = NAMED(both_logistics)(NAMED(row)(w, 3 * units + first + i), &slow);
        VEC rate = NAMED(both_logistics)(NAMED(row)(w, 4 * units + first + i), &shut);
        VEC decay = NAMED(exponential)(-largest * fast), mixed = 1 - shut * mixes[i];
        if (!found) {
            s[READ * d + i] = -removed[i];
            s[DECAY * d + i] = decay;
            s[WRITE * d + i] = rate * removed[i];
            s[KEY * d + i] = keys[i] * mixed;
            s[VALUE * d + i] = NAMED(row)(w, 2 * units + first + i);
            s[QUERY * d + i] = NAMED(row)(w, first + i);
            continue;
        }
        VEC d_write = found[WRITE * d + i], d_key = found[KEY * d + i] * keys[i];
        d_removed[i] = rate * d_write - found[READ * d + i];
        NAMED(set_row)(w, first + i, found[QUERY * d + i]);
        NAMED(set_row)(w, 2 * units + first + i, found[VALUE * d + i]);
        NAMED(set_row)(w, 3 * units + first + i, -largest * found[DECAY * d + i] * decay * fast * slow);
        NAMED(set_row)(w, 4 * units + first + i, (d_write * removed[i] + d_key * mixes[i]) * rate * shut);
        found[KEY * d + i] *= mixed;
        if (w->d_gain) w->d_gain[first + i] -= d_key * shut;
    }
    if (!found) return;
    VEC along = NAMED(dot)(d, removed, d_removed);
    for (int64_t i = 0; i < d; i++) {
        VEC d_scaled = scale * (d_removed[i] - removed[i] * along);
        NAMED(set_row)(w, units + first + i, found[KEY * d + i] + d_scaled * scales[i]);
        if (w->d_own) w->d_own[first + i] += d_scaled * keys[i];
    }
}

INLINE void NAMED(head_gates)(const struct NAMED(linear) *w, int64_t head, int64_t update, VEC *s, VEC *found) {
    if (w->given->activation == DELTA) NAMED(delta_gates)(w, head, update, s, found);
    else NAMED(rwkv_gates)(w, head, s, found);
}

INLINE void NAMED(get_rows)(const struct NAMED(linear) *w, const REAL *from, int64_t count, VEC *to) {
    for (int64_t k = 0; k < count; k++) to[k] = NAMED(at)(w, from, k);
}
INLINE void NAMED(put_rows)(const struct NAMED(linear) *w, REAL *to, int64_t count, const VEC *from) {
    for (int64_t k = 0; k < count; k++) NAMED(set)(w, to, k, from[k]);
}

/* Scan one head of some sequences from the state `firsts` [S, batch] on, which becomes the last one. */
static void NAMED(head_forward)(struct NAMED(linear) *w, int64_t head, int64_t instance, VEC *room) {
    const struct arguments *g = w->given;
    int64_t d = g->features, batch = g->batch;
    REAL *state = w->following + (g->units + head * d * d) * batch;
    VEC *memory = room, *s = memory + d * d, *outputs = s + UPDATE_VECTORS * d;
    NAMED(get_rows)(w, state, d * d, memory);
    for (w->step = 0; w->step < g->steps; w->step++) {
        for (int64_t update = 0; update < g->gates; update++) {
            NAMED(head_gates)(w, head, update, s, NULL);
            NAMED(update)(d, memory, memory, s, outputs);
        }
        REAL *to = (REAL *)g->outputs;
        if (to) NAMED(put_rows)(w, to + ((w->step * g->instances + instance) * g->units + head * d) * batch, d, outputs);
    }
    NAMED(put_rows)(w, state, d * d, memory);
    NAMED(put_rows)(w, w->following + head * d * batch, d, outputs);
}

static void NAMED(head_backward)(struct NAMED(linear) *w, int64_t head, int64_t instance, VEC *room) {
    const struct arguments *g = w->given;
    int64_t d = g->features, batch = g->batch, size = d * d, width = UPDATE_VECTORS * d, updates = g->gates;
    int64_t place = (g->units + head * size) * batch;
    VEC *delta = room, *found = delta + size, *d_outputs = found + width, *vectors = d_outputs + d;
    VEC *states = vectors + g->steps * updates * width;
    NAMED(get_rows)(w, w->before + place, size, states);
    for (w->step = 0; w->step < g->steps; w->step++)
        for (int64_t update = 0; update < updates; update++) {
            int64_t k = w->step * updates + update;
            NAMED(head_gates)(w, head, update, vectors + k * width, NULL);
            NAMED(update)(d, states + k * size, states + (k + 1) * size, vectors + k * width, d_outputs);
        }
    NAMED(get_rows)(w, w->delta + place, size, delta);
    NAMED(get_rows)(w, w->delta + head * d * batch, d, d_outputs);
    for (w->step = g->steps - 1; w->step >= 0; w->step--) {
        const REAL *from = (const REAL *)g->grad_outputs;
        if (from) from += ((w->step * g->instances + instance) * g->units + head * d) * batch;
        for (int64_t i = 0; from && i < d; i++) d_outputs[i] += NAMED(at)(w, from, i);
        for (int64_t update = updates - 1; update >= 0; update--) {
            int64_t k = w->step * updates + update;
            const VEC *before = states + k * size;
            NAMED(update_back)(d, before, before + size, delta, vectors + k * width, d_outputs, found);
            NAMED(head_gates)(w, head, update, NULL, found);
            for (int64_t i = 0; i < d; i++) d_outputs[i] = (VEC){0};
        }
        /* Not in each step, for the time that it takes. */
        for (int64_t k = 0; w->step % 8 == 0 && k < size; k++) delta[k] = NAMED(flushed)(delta[k]);
    }
    NAMED(put_rows)(w, w->delta + place, size, delta);
    NAMED(put_rows)(w, w->delta + head * d * batch, d, d_outputs);
}

static void NAMED(all_heads)(struct NAMED(linear) *w, int64_t instance, VEC *room, const int back) {
    int64_t heads = w->given->units / w->given->features;
    for (w->column = 0; w->column < w->given->batch; w->column += WIDTH) {
        w->left = w->given->batch - w->column;
        for (int64_t head = 0; head < heads; head++) {
            if (back) NAMED(head_backward)(w, head, instance, room);
            else NAMED(head_forward)(w, head, instance, room);
        }
    }
}
