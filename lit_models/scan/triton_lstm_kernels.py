"""The kernels of the LSTM: one program walks some sequences of one instance through all steps.

The four gates of a unit stand beside each other, column 4 n + k for k in (i, f, o, g): a thread then holds all of a
unit's gates. Per-step tensors are [M, T, B, ...] in memory.
"""

# The values of kernels have no Python types; most of their arguments are sizes and strides, which the names tell.
# ruff: noqa: ANN001, ANN201, ANN202, D417, SIM108

from __future__ import annotations

import triton
import triton.language as tl

from lit_models.scan.triton_parts import load_matrix, product, sigmoid, streamed_product, tanh


@triton.jit
def _part_gates(gates):
    """Return i, f, o and g [rows, N] of [rows, 4 N]."""
    even, odd = tl.split(tl.reshape(gates, [gates.shape[0], gates.shape[1] // 4, 2, 2]))
    write, read = tl.split(even)
    keep, candidate = tl.split(odd)
    return write, keep, read, candidate


@triton.jit
def _join_gates(write, keep, read, candidate):
    """Return [rows, 4 N] of i, f, o and g [rows, N]."""
    gates = tl.join(tl.join(write, read), tl.join(keep, candidate))
    return tl.reshape(gates, [write.shape[0], 4 * write.shape[1]])


@triton.jit(do_not_specialize=["steps"])
def lstm_forward(
    drive,
    weight,
    input_weight,
    state,
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
    UNITS: tl.constexpr,
    PADDED: tl.constexpr,
    ROWS: tl.constexpr,
    FEATURES: tl.constexpr,
    BLOCK: tl.constexpr,
    KEEP_GATES: tl.constexpr,
    KEEP_HIDDENS: tl.constexpr,
):
    """Walk c' = f c + i g, h' = o tanh(c').

    Args:
        drive: one or two inputs [T, M or 1, B, FEATURES]; without FEATURES V s + b [T, M, B, 4 UNITS].
        weight: [M, PADDED, 4 PADDED], padded by zeros; read again at each step in blocks of BLOCK rows, unless 0.
        input_weight: the columns of V, and then b, [M, FEATURES + 1, 4 PADDED], padded by zeros.
        state: [2, M, B, UNITS], the first h and c on entry and the last on return.
        gates: i, f, o and g of each step, [M, T, B, 4 UNITS]; kept with KEEP_GATES, as ``cells``.
        hiddens: h' of each step, [M, T, B, UNITS].
        cells: c' of each step, likewise.
    """
    instance = tl.program_id(0)
    row, unit = tl.program_id(1) * ROWS + tl.arange(0, ROWS), tl.arange(0, PADDED)
    column = tl.arange(0, 4 * PADDED)
    inside = row < batch
    mask = inside[:, None] & (unit < UNITS)[None, :]
    gate_mask = inside[:, None] & (column < 4 * UNITS)[None, :]
    offsets = row[:, None] * UNITS + unit[None, :]
    gate_offsets = row[:, None] * (4 * UNITS) + column[None, :]
    long_instance = instance.to(tl.int64)
    size = batch * UNITS
    of_cells = state + (tl.cast(tl.num_programs(0), tl.int64) + long_instance) * size
    state += long_instance * size
    drive += long_instance * drive_by_instance
    gates += long_instance * gates_by_instance
    hiddens += long_instance * hiddens_by_instance
    cells += long_instance * cells_by_instance
    weight += long_instance * PADDED * (4 * PADDED)
    input_weight += long_instance * ((FEATURES + 1) * 4 * PADDED)

    if BLOCK == 0:
        tile = load_matrix(weight, PADDED, 4 * PADDED)
    if FEATURES:
        by_first = tl.load(input_weight + column)[None, :]
        first = tl.load(drive + row * drive_by_row, mask=inside, other=0.0)
        if FEATURES == 2:
            by_second = tl.load(input_weight + 4 * PADDED + column)[None, :]
            second = tl.load(drive + row * drive_by_row + drive_by_unit, mask=inside, other=0.0)
        shift = tl.load(input_weight + FEATURES * 4 * PADDED + column)[None, :]
    else:
        drive_offsets = row[:, None] * drive_by_row + column[None, :] * drive_by_unit
        arriving = tl.load(drive + drive_offsets, mask=gate_mask, other=0.0)

    h = tl.load(state + offsets, mask=mask, other=0.0)
    c = tl.load(of_cells + offsets, mask=mask, other=0.0)
    step = 0
    while step < steps:
        # The next step's inputs are on their way while this step computes; after the last one, its own again.
        following = drive + tl.cast(tl.minimum(step + 1, steps - 1), tl.int64) * drive_by_step
        # Of pointers that a `while` carries, the compiler forgets how they are aligned.
        here = tl.cast(step, tl.int64) * size
        if FEATURES:
            a = first[:, None] * by_first + shift
            first = tl.load(following + row * drive_by_row, mask=inside, other=0.0)
            if FEATURES == 2:
                a += second[:, None] * by_second
                second = tl.load(following + row * drive_by_row + drive_by_unit, mask=inside, other=0.0)
        else:
            a = arriving
            arriving = tl.load(following + drive_offsets, mask=gate_mask, other=0.0)
        if BLOCK == 0:
            a += product(h, tile)
        else:
            a += streamed_product(h, weight, 4 * PADDED, BLOCK)
        write, keep, read, candidate = _part_gates(a)
        write, keep, read, candidate = sigmoid(write), sigmoid(keep), sigmoid(read), tanh(candidate)
        c = keep * c + write * candidate
        h = read * tanh(c)
        if KEEP_GATES:
            joined = _join_gates(write, keep, read, candidate)
            tl.store(gates + 4 * here + gate_offsets, joined, mask=gate_mask)
            tl.store(cells + here + offsets, c, mask=mask)
        if KEEP_HIDDENS:
            tl.store(hiddens + here + offsets, h, mask=mask)
        step += 1
    tl.store(state + offsets, h, mask=mask)
    tl.store(of_cells + offsets, c, mask=mask)


@triton.jit(do_not_specialize=["steps"])
def lstm_backward(
    arrivals,
    weight,
    delta,
    gates,
    cells,
    pulled,
    steps,
    batch,
    arrivals_by_instance,
    arrivals_by_step,
    arrivals_by_row,
    arrivals_by_unit,
    gates_by_instance,
    cells_by_instance,
    pulled_by_instance,
    UNITS: tl.constexpr,
    PADDED: tl.constexpr,
    ROWS: tl.constexpr,
    BLOCK: tl.constexpr,
    ARRIVE: tl.constexpr,
):
    """Walk back.

    Args:
        arrivals: with ARRIVE the gradients of outputs [T, M, B, UNITS], by strides.
        weight: [M, 4 PADDED, PADDED], padded by zeros; read again at each step in blocks of BLOCK rows, unless 0.
        delta: gradients of the final h and c [2, M, B, UNITS] on entry, of the first on return.
        gates: i, f, o and g of each step [M, T, B, 4 UNITS].
        cells: c before the first step and after each [M, T + 1, B, UNITS].
        pulled: is given the gradients of the gates before their activations, [M, T, B, 4 UNITS].
    """
    instance = tl.program_id(0)
    row, unit = tl.program_id(1) * ROWS + tl.arange(0, ROWS), tl.arange(0, PADDED)
    column = tl.arange(0, 4 * PADDED)
    inside = row < batch
    mask = inside[:, None] & (unit < UNITS)[None, :]
    gate_mask = inside[:, None] & (column < 4 * UNITS)[None, :]
    offsets = row[:, None] * UNITS + unit[None, :]
    gate_offsets = row[:, None] * (4 * UNITS) + column[None, :]
    long_instance = instance.to(tl.int64)
    size = batch * UNITS
    of_cells = delta + (tl.cast(tl.num_programs(0), tl.int64) + long_instance) * size
    delta += long_instance * size
    gates += long_instance * gates_by_instance
    cells += long_instance * cells_by_instance
    pulled += long_instance * pulled_by_instance
    weight += long_instance * PADDED * (4 * PADDED)

    if BLOCK == 0:
        tile = load_matrix(weight, 4 * PADDED, PADDED)
    last = tl.cast(steps - 1, tl.int64)
    if ARRIVE:
        arrivals += long_instance * arrivals_by_instance
        arrival_offsets = row[:, None] * arrivals_by_row + unit[None, :] * arrivals_by_unit
        arrival = tl.load(arrivals + last * arrivals_by_step + arrival_offsets, mask=mask, other=0.0)
    joined = tl.load(gates + 4 * last * size + gate_offsets, mask=gate_mask, other=0.0)
    c = tl.load(cells + (last + 1) * size + offsets, mask=mask, other=0.0)

    dh = tl.load(delta + offsets, mask=mask, other=0.0)
    dc = tl.load(of_cells + offsets, mask=mask, other=0.0)
    step = steps - 1
    while step >= 0:
        here, before = tl.cast(step, tl.int64), tl.cast(tl.maximum(step - 1, 0), tl.int64)
        if ARRIVE:
            dh += arrival
            arrival = tl.load(arrivals + before * arrivals_by_step + arrival_offsets, mask=mask, other=0.0)
        write, keep, read, candidate = _part_gates(joined)
        joined = tl.load(gates + 4 * before * size + gate_offsets, mask=gate_mask, other=0.0)
        squashed = tanh(c)
        c = tl.load(cells + here * size + offsets, mask=mask, other=0.0)
        dc += dh * read * (1.0 - squashed * squashed)
        d_gates = _join_gates(
            dc * candidate * write * (1.0 - write),
            dc * c * keep * (1.0 - keep),
            dh * squashed * read * (1.0 - read),
            dc * write * (1.0 - candidate * candidate),
        )
        dc *= keep
        tl.store(pulled + 4 * here * size + gate_offsets, d_gates, mask=gate_mask)
        if BLOCK == 0:
            dh = product(d_gates, tile)
        else:
            dh = streamed_product(d_gates, weight, PADDED, BLOCK)
        step -= 1
    tl.store(delta + offsets, dh, mask=mask)
    tl.store(of_cells + offsets, dc, mask=mask)
