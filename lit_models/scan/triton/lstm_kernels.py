"""The kernels of the LSTM: one program scans some sequences of one instance through all steps.

In memory the gates stand one after the other, in the order i, f, o, g; per-step tensors are [M, T, B, ...]. Where no
tensor cores multiply, the four of a unit stand beside each other in the weights, column 4 n + k: a thread then holds
all of a unit's gates.
"""

# The values of kernels have no Python types; most of their arguments are sizes and strides, which the names tell.
# ruff: noqa: ANN001, ANN201, ANN202, D417

import triton
import triton.language as tl

from rnnbench.lit_models.scan.triton.primitives import place_rows, product, sigmoid, streamed_product, tanh


@triton.jit
def _part_gates(gates):
    """Return i, f, o and g [rows, N] of [rows, 4 N]."""
    even, odd = tl.split(tl.reshape(gates, [gates.shape[0], gates.shape[1] // 4, 2, 2]))
    input_gate, output_gate = tl.split(even)
    forget_gate, candidate = tl.split(odd)
    return input_gate, forget_gate, output_gate, candidate


@triton.jit
def _join_gates(input_gate, forget_gate, output_gate, candidate):
    """Return [rows, 4 N] of i, f, o and g [rows, N]."""
    gates = tl.join(tl.join(input_gate, output_gate), tl.join(forget_gate, candidate))
    return tl.reshape(gates, [input_gate.shape[0], 4 * input_gate.shape[1]])


@triton.jit
def _load_four(places, distance, mask):
    """Return what belongs to i, f, o and g, from places that are so far from each other."""
    of_input_gate = tl.load(places, mask=mask, other=0.0)
    of_forget_gate = tl.load(places + distance, mask=mask, other=0.0)
    of_output_gate = tl.load(places + 2 * distance, mask=mask, other=0.0)
    of_candidate = tl.load(places + 3 * distance, mask=mask, other=0.0)
    return of_input_gate, of_forget_gate, of_output_gate, of_candidate


@triton.jit
def _store_four(places, distance, mask, input_gate, forget_gate, output_gate, candidate):
    """Store i, f, o and g at places that are so far from each other."""
    tl.store(places, input_gate, mask=mask)
    tl.store(places + distance, forget_gate, mask=mask)
    tl.store(places + 2 * distance, output_gate, mask=mask)
    tl.store(places + 3 * distance, candidate, mask=mask)


@triton.jit
def _load_matrices(weight, TRANSPOSED: tl.constexpr, SIZE: tl.constexpr, DEPTH: tl.constexpr, PADDED: tl.constexpr):
    """Return the four matrices [PADDED, PADDED] of the gates, with TRANSPOSED transposed."""
    unit = tl.arange(0, PADDED)
    inside, row, column = unit < SIZE, unit[:, None], unit[None, :]
    places = weight + (column * DEPTH + row if TRANSPOSED else row * DEPTH + column)
    return _load_four(places, SIZE * DEPTH, inside[:, None] & inside[None, :])


@triton.jit
def _load_beside(weight, TRANSPOSED: tl.constexpr, SIZE: tl.constexpr, DEPTH: tl.constexpr, PADDED: tl.constexpr):
    """Return [4 PADDED, PADDED] with the four rows of a unit beside each other, or TRANSPOSED the transpose."""
    row, unit = tl.arange(0, 4 * PADDED), tl.arange(0, PADDED)
    place, inside = ((row % 4) * SIZE + row // 4) * DEPTH, row // 4 < SIZE
    if TRANSPOSED:
        places, mask = weight + unit[:, None] + place[None, :], (unit < SIZE)[:, None] & inside[None, :]
    else:
        places, mask = weight + place[:, None] + unit[None, :], inside[:, None] & (unit < SIZE)[None, :]
    return tl.load(places, mask=mask, other=0.0)


@triton.jit
def _load_column(weight, column, SIZE: tl.constexpr, DEPTH: tl.constexpr, PADDED: tl.constexpr):
    """Return one column's part of each gate, [1, PADDED]."""
    unit = tl.arange(0, PADDED)
    return _load_four(weight + (unit * DEPTH + column)[None, :], SIZE * DEPTH, (unit < SIZE)[None, :])


@triton.jit(do_not_specialize=["steps"])
def lstm_forward(
    drive,
    weight,
    streamed,
    state,
    final,
    gates,
    hiddens,
    cells,
    steps,
    batch,
    drive_by_instance,
    drive_by_step,
    drive_by_row,
    drive_by_unit,
    gates_by_instance,
    hiddens_by_instance,
    cells_by_instance,
    SIZE: tl.constexpr,
    DEPTH: tl.constexpr,
    UNITS: tl.constexpr,
    PADDED: tl.constexpr,
    ROWS: tl.constexpr,
    FEATURES: tl.constexpr,
    BLOCK: tl.constexpr,
    DOT: tl.constexpr,
    KEEP_GATES: tl.constexpr,
    KEEP_HIDDENS: tl.constexpr,
):
    """Scan c' = f c + i g, h' = o tanh(c').

    Args:
        drive: one or two inputs [T, M or 1, B, FEATURES]; without FEATURES V s + b [T, M, B, 4 UNITS], rows contiguous.
        weight: W, V and b as [M, 4 SIZE, DEPTH].
        streamed: with BLOCK the transpose of W with the four rows of a unit beside each other, [M, PADDED, 4 PADDED],
            padded by zeros and read again at each step in blocks of BLOCK rows.
        state: [2, M, B, UNITS], the first h and c.
        final: is given the last; it may be ``state``.
        gates: i, f, o and g of each step, [M, T, B, 4 UNITS]; kept with KEEP_GATES, as ``cells``.
        hiddens: h before the first step and after each, [M, T + 1, B, UNITS].
        cells: c, likewise.
    """
    instance, row, inside, mask, offsets = place_rows(batch, ROWS, UNITS, PADDED)
    gate_offsets = row[:, None] * (4 * UNITS) + tl.arange(0, PADDED)[None, :]
    size = batch * UNITS
    of_cells = state + (tl.cast(tl.num_programs(0), tl.int64) + instance) * size
    state += instance * size
    final_cells = final + (tl.cast(tl.num_programs(0), tl.int64) + instance) * size
    final += instance * size
    drive += instance * drive_by_instance
    gates += instance * gates_by_instance
    hiddens += instance * hiddens_by_instance
    cells += instance * cells_by_instance
    weight += instance * (4 * SIZE * DEPTH)
    streamed += instance * PADDED * (4 * PADDED)

    if DOT:
        to_i, to_f, to_o, to_g = _load_matrices(weight, True, SIZE, DEPTH, PADDED)
    elif BLOCK == 0:
        tile = _load_beside(weight, True, SIZE, DEPTH, PADDED)
    if FEATURES:
        first = tl.load(drive + row * drive_by_row, mask=inside, other=0.0)
        first_i, first_f, first_o, first_g = _load_column(weight, SIZE, SIZE, DEPTH, PADDED)
        if FEATURES == 2:
            second = tl.load(drive + row * drive_by_row + drive_by_unit, mask=inside, other=0.0)
            second_i, second_f, second_o, second_g = _load_column(weight, SIZE + 1, SIZE, DEPTH, PADDED)
        bias_i, bias_f, bias_o, bias_g = _load_column(weight, DEPTH - 1, SIZE, DEPTH, PADDED)
    else:
        next_i, next_f, next_o, next_g = _load_four(drive + gate_offsets, UNITS, mask)

    h = tl.load(state + offsets, mask=mask, other=0.0)
    c = tl.load(of_cells + offsets, mask=mask, other=0.0)
    if KEEP_HIDDENS:
        tl.store(hiddens + offsets, h, mask=mask)
    if KEEP_GATES:
        tl.store(cells + offsets, c, mask=mask)
    hiddens += size
    cells += size
    step = 0
    while step < steps:
        # The next step's inputs are on their way while this step computes; after the last one, its own again.
        following = drive + tl.cast(tl.minimum(step + 1, steps - 1), tl.int64) * drive_by_step
        # Of pointers that a `while` carries, the compiler forgets how they are aligned.
        here = tl.cast(step, tl.int64) * size
        if FEATURES:
            one = first[:, None]
            i, f, o, g = one * first_i + bias_i, one * first_f + bias_f, one * first_o + bias_o, one * first_g + bias_g
            first = tl.load(following + row * drive_by_row, mask=inside, other=0.0)
            if FEATURES == 2:
                two = second[:, None]
                i, f, o, g = i + two * second_i, f + two * second_f, o + two * second_o, g + two * second_g
                second = tl.load(following + row * drive_by_row + drive_by_unit, mask=inside, other=0.0)
        else:
            i, f, o, g = next_i, next_f, next_o, next_g
            next_i, next_f, next_o, next_g = _load_four(following + gate_offsets, UNITS, mask)
        if DOT:
            by_i, by_f = product(h, to_i, DOT), product(h, to_f, DOT)
            by_o, by_g = product(h, to_o, DOT), product(h, to_g, DOT)
        elif BLOCK == 0:
            by_i, by_f, by_o, by_g = _part_gates(product(h, tile, DOT))
        else:
            by_i, by_f, by_o, by_g = _part_gates(streamed_product(h, streamed, 4 * PADDED, BLOCK))
        i, f, o, g = sigmoid(i + by_i), sigmoid(f + by_f), sigmoid(o + by_o), tanh(g + by_g)
        c = f * c + i * g
        h = o * tanh(c)
        if KEEP_GATES:
            _store_four(gates + 4 * here + gate_offsets, UNITS, mask, i, f, o, g)
            tl.store(cells + here + offsets, c, mask=mask)
        if KEEP_HIDDENS:
            tl.store(hiddens + here + offsets, h, mask=mask)
        step += 1
    tl.store(final + offsets, h, mask=mask)
    tl.store(final_cells + offsets, c, mask=mask)


@triton.jit(do_not_specialize=["steps"])
def lstm_backward(
    arrivals,
    weight,
    streamed,
    given,
    delta,
    gates,
    cells,
    slopes,
    steps,
    batch,
    arrivals_by_instance,
    arrivals_by_step,
    gates_by_instance,
    cells_by_instance,
    slopes_by_instance,
    SIZE: tl.constexpr,
    DEPTH: tl.constexpr,
    UNITS: tl.constexpr,
    PADDED: tl.constexpr,
    ROWS: tl.constexpr,
    BLOCK: tl.constexpr,
    DOT: tl.constexpr,
    ARRIVE: tl.constexpr,
):
    """Backpropagate.

    Args:
        arrivals: with ARRIVE the gradients of outputs [T, M, B, UNITS], rows contiguous.
        weight: W, V and b as [M, 4 SIZE, DEPTH].
        streamed: with BLOCK W with the four rows of a unit beside each other, [M, 4 PADDED, PADDED], padded by zeros
            and read again at each step in blocks of BLOCK rows.
        given: gradients of the final h and c [2, M, B, UNITS].
        delta: is given those of the first; it may be ``given``.
        gates: i, f, o and g of each step [M, T, B, 4 UNITS].
        cells: c before the first step and after each [M, T + 1, B, UNITS].
        slopes: is given the gradients of the gates before their activations, [M, T, B, 4 UNITS].
    """
    instance, row, _, mask, offsets = place_rows(batch, ROWS, UNITS, PADDED)
    gate_offsets = row[:, None] * (4 * UNITS) + tl.arange(0, PADDED)[None, :]
    size = batch * UNITS
    of_cells = (tl.cast(tl.num_programs(0), tl.int64) + instance) * size
    given_cells, of_cells = given + of_cells, delta + of_cells
    given += instance * size
    delta += instance * size
    gates += instance * gates_by_instance
    cells += instance * cells_by_instance
    slopes += instance * slopes_by_instance
    weight += instance * (4 * SIZE * DEPTH)
    streamed += instance * PADDED * (4 * PADDED)

    if DOT:
        to_i, to_f, to_o, to_g = _load_matrices(weight, False, SIZE, DEPTH, PADDED)
    elif BLOCK == 0:
        tile = _load_beside(weight, False, SIZE, DEPTH, PADDED)
    last = tl.cast(steps - 1, tl.int64)
    if ARRIVE:
        arrivals += instance * arrivals_by_instance
        if not DOT:
            arrival = tl.load(arrivals + last * arrivals_by_step + offsets, mask=mask, other=0.0)
    next_i, next_f, next_o, next_g = _load_four(gates + 4 * last * size + gate_offsets, UNITS, mask)
    c = tl.load(cells + (last + 1) * size + offsets, mask=mask, other=0.0)

    dh = tl.load(given + offsets, mask=mask, other=0.0)
    dc = tl.load(given_cells + offsets, mask=mask, other=0.0)
    step = steps - 1
    while step >= 0:
        here, before = tl.cast(step, tl.int64), tl.cast(tl.maximum(step - 1, 0), tl.int64)
        if ARRIVE and DOT:
            # There are not registers enough to have them a step ahead.
            dh += tl.load(arrivals + here * arrivals_by_step + offsets, mask=mask, other=0.0)
        elif ARRIVE:
            dh += arrival
            arrival = tl.load(arrivals + before * arrivals_by_step + offsets, mask=mask, other=0.0)
        i, f, o, g = next_i, next_f, next_o, next_g
        next_i, next_f, next_o, next_g = _load_four(gates + 4 * before * size + gate_offsets, UNITS, mask)
        squashed = tanh(c)
        c = tl.load(cells + here * size + offsets, mask=mask, other=0.0)
        dc += dh * o * (1.0 - squashed * squashed)
        di, df = dc * g * i * (1.0 - i), dc * c * f * (1.0 - f)
        do, dg = dh * squashed * o * (1.0 - o), dc * i * (1.0 - g * g)
        dc *= f
        _store_four(slopes + 4 * here * size + gate_offsets, UNITS, mask, di, df, do, dg)
        if DOT:
            dh = product(do, to_o, DOT) + product(di, to_i, DOT)
            dh = dh + product(dg, to_g, DOT) + product(df, to_f, DOT)
        elif BLOCK == 0:
            dh = product(_join_gates(di, df, do, dg), tile, DOT)
        else:
            dh = streamed_product(_join_gates(di, df, do, dg), streamed, PADDED, BLOCK)
        step -= 1
    tl.store(delta + offsets, dh, mask=mask)
    tl.store(of_cells + offsets, dc, mask=mask)
