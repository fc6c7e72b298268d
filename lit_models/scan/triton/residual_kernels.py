"""The kernels of the residual family: one program scans some sequences of one instance through all steps.

The formulas are those of ``eager.residual``. Per-step tensors are [M, T, B, N] in memory.
"""

# The values of kernels have no Python types; most of their arguments are sizes and strides, which the names tell.
# ruff: noqa: ANN001, ANN201, ANN202, D417, SIM108

import triton
import triton.language as tl

from rnnbench.lit_models.scan.triton.primitives import (
    activate,
    apply_pairs,
    load_square,
    place_rows,
    product,
    streamed_product,
    swap_pairs,
    vjp,
)


@triton.jit
def _load_units(vector, UNITS: tl.constexpr, PADDED: tl.constexpr):
    """Return one instance's [1, PADDED] of a contiguous [M, UNITS]; zeros where units pad."""
    unit = tl.arange(0, PADDED)
    return tl.load(vector + tl.program_id(0) * UNITS + unit, mask=unit < UNITS, other=0.0)[None, :]


@triton.jit
def _load_column(matrix, column, UNITS: tl.constexpr, PADDED: tl.constexpr, COLUMNS: tl.constexpr):
    """Return one column, as [1, PADDED], of one instance's matrix in a contiguous [M, UNITS, COLUMNS]."""
    unit = tl.arange(0, PADDED)
    return tl.load(matrix + (tl.program_id(0) * UNITS + unit) * COLUMNS + column, mask=unit < UNITS, other=0.0)[None, :]


@triton.jit(do_not_specialize=["steps"])
def residual_forward(
    drive,
    weight,
    input_weight,
    bias,
    gamma,
    own,
    cross,
    dense,
    state,
    final,
    states,
    couplings,
    steps,
    batch,
    drive_by_instance,
    drive_by_step,
    drive_by_row,
    drive_by_unit,
    states_by_instance,
    couplings_by_instance,
    UNITS: tl.constexpr,
    PADDED: tl.constexpr,
    ROWS: tl.constexpr,
    FEATURES: tl.constexpr,
    BLOCK: tl.constexpr,
    DOT: tl.constexpr,
    FORM: tl.constexpr,
    ACTIVATION: tl.constexpr,
    PAIRED: tl.constexpr,
    DENSE: tl.constexpr,
    KEEP_STATES: tl.constexpr,
    KEEP_COUPLINGS: tl.constexpr,
):
    """Scan x' = act(a), R x + γ act(a) or act(R x) + γ act(a), with a = W x + V s + b.

    Args:
        drive: one or two inputs s [T, M or 1, B, FEATURES]; without FEATURES V s + b [T, M, B, UNITS], rows contiguous.
        weight: W [M, UNITS, UNITS]; with BLOCK its transpose [M, PADDED, PADDED], padded by zeros and read again at
            each step in blocks of BLOCK rows.
        input_weight: V [M, UNITS, FEATURES].
        bias: b [M, UNITS], as ``gamma``, ``own`` and ``cross``.
        dense: R, like ``weight``.
        state: [M, B, UNITS], the first.
        final: is given the last; it may be ``state``.
        states: [M, T + 1, B, UNITS] before the first step and after each.
        couplings: act(a) of each step, [M, T, B, UNITS].
    """
    SQUARE: tl.constexpr = PADDED * PADDED if BLOCK else UNITS * UNITS
    instance, row, inside, mask, offsets = place_rows(batch, ROWS, UNITS, PADDED)
    size = batch * UNITS
    state += instance * size
    states += instance * states_by_instance
    couplings += instance * couplings_by_instance
    drive += instance * drive_by_instance
    weight += instance * SQUARE
    dense += instance * SQUARE

    x = tl.load(state + offsets, mask=mask, other=0.0)
    if KEEP_STATES:
        tl.store(states + offsets, x, mask=mask)
    states += size
    if BLOCK == 0:
        # Transposed, so that outputs are beside each other.
        tile = load_square(weight, 1, UNITS, UNITS, PADDED)
        if DENSE:
            dense_tile = load_square(dense, 1, UNITS, UNITS, PADDED)
    if FORM != "plain":
        strength = _load_units(gamma, UNITS, PADDED)
        if not DENSE:
            diagonal = _load_units(own, UNITS, PADDED)
            beside = _load_units(cross, UNITS, PADDED) if PAIRED else diagonal
    if FEATURES:
        shift = _load_units(bias, UNITS, PADDED)
        by_first = _load_column(input_weight, 0, UNITS, PADDED, FEATURES)
        first = tl.load(drive + row * drive_by_row, mask=inside, other=0.0)
        if FEATURES == 2:
            by_second = _load_column(input_weight, 1, UNITS, PADDED, FEATURES)
            second = tl.load(drive + row * drive_by_row + drive_by_unit, mask=inside, other=0.0)
    else:
        arriving = tl.load(drive + offsets, mask=mask, other=0.0)

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
            arriving = tl.load(following + offsets, mask=mask, other=0.0)
        if BLOCK == 0:
            a += product(x, tile, DOT)
        else:
            a += streamed_product(x, weight, PADDED, BLOCK)
        coupling = activate(a, ACTIVATION)
        if FORM == "plain":
            x = coupling
        else:
            if not DENSE:
                x = apply_pairs(x, diagonal, beside, PAIRED)
            elif BLOCK == 0:
                x = product(x, dense_tile, DOT)
            else:
                x = streamed_product(x, dense, PADDED, BLOCK)
            if FORM == "A":
                x = activate(x, ACTIVATION)
            x += strength * coupling
        if KEEP_COUPLINGS:
            tl.store(couplings + here + offsets, coupling, mask=mask)
        if KEEP_STATES:
            tl.store(states + here + offsets, x, mask=mask)
        step += 1
    tl.store(final + instance * size + offsets, x, mask=mask)


@triton.jit
def _folded(x, DOT: tl.constexpr):
    """Return a tile with its rows added up in part, for a sum over all of them: with DOT a thread has two of a unit."""
    if DOT:
        x = tl.sum(tl.reshape(x, [2, x.shape[0] // 2, x.shape[1]]), 0)
    return x


@triton.jit
def _store_sum(total, partial, UNITS: tl.constexpr):
    """Store a tile's sum over its rows as one program's part [UNITS] of a gradient."""
    unit = tl.arange(0, total.shape[1])
    tl.store(partial + unit, tl.sum(total, 0), mask=unit < UNITS)


@triton.jit(do_not_specialize=["steps"])
def residual_backward(
    arrivals,
    weight,
    gamma,
    own,
    cross,
    dense,
    mapped,
    given,
    delta,
    states,
    couplings,
    slopes,
    inner,
    partials,
    steps,
    batch,
    arrivals_by_instance,
    arrivals_by_step,
    states_by_instance,
    couplings_by_instance,
    slopes_by_instance,
    UNITS: tl.constexpr,
    PADDED: tl.constexpr,
    ROWS: tl.constexpr,
    BLOCK: tl.constexpr,
    DOT: tl.constexpr,
    FORM: tl.constexpr,
    ACTIVATION: tl.constexpr,
    PAIRED: tl.constexpr,
    DENSE: tl.constexpr,
    ARRIVE: tl.constexpr,
    WANT_GAMMA: tl.constexpr,
    WANT_OWN: tl.constexpr,
    WANT_CROSS: tl.constexpr,
    WANT_DENSE: tl.constexpr,
):
    """Backpropagate: δ = (gradient of x'), g = act'(a) δ; that of x is Rᵀ δ (of A: Rᵀ act'(R x) δ) + Wᵀ γ g.

    Args:
        arrivals: with ARRIVE the gradients of outputs [T, M, B, UNITS], rows contiguous.
        weight: W [M, UNITS, UNITS]; with BLOCK γ W [M, PADDED, PADDED], padded by zeros and read again at each step in
            blocks of BLOCK rows.
        gamma: γ [M, UNITS], as ``own`` and ``cross``.
        dense: R, like ``weight``.
        mapped: with DENSE and of form A, R x of each step [M, T, B, UNITS], laid out as ``slopes``.
        given: gradient of the final state [M, B, UNITS].
        delta: is given that of the first; it may be ``given``.
        states: [M, T, B, UNITS] before each step; of the plain form not read.
        couplings: act(a) of each step, [M, T, B, UNITS].
        slopes: is given g of each step [M, T, B, UNITS].
        inner: with WANT_DENSE, is given the gradient of R x of each step, laid out as ``slopes``.
        partials: [3, M, programs, UNITS], is given those of γ, ``own`` and ``cross`` that are wanted.
    """
    SQUARE: tl.constexpr = PADDED * PADDED if BLOCK else UNITS * UNITS
    instance, _, _, mask, offsets = place_rows(batch, ROWS, UNITS, PADDED)
    size = batch * UNITS
    given += instance * size
    delta += instance * size
    states += instance * states_by_instance
    couplings += instance * couplings_by_instance
    slopes += instance * slopes_by_instance
    inner += instance * slopes_by_instance
    mapped += instance * slopes_by_instance
    weight += instance * SQUARE
    dense += instance * SQUARE
    READ_STATES: tl.constexpr = WANT_OWN or WANT_CROSS or (FORM == "A" and not DENSE)
    READ_TURNED: tl.constexpr = FORM == "A" and DENSE
    # There are not registers enough to have these a step ahead.
    READ_LATE: tl.constexpr = DOT and PAIRED and FORM == "A"

    if BLOCK == 0:
        tile = load_square(weight, UNITS, 1, UNITS, PADDED)
        if FORM != "plain":
            tile *= tl.reshape(_load_units(gamma, UNITS, PADDED), [PADDED, 1])
        if DENSE:
            dense_tile = load_square(dense, UNITS, 1, UNITS, PADDED)
    if FORM != "plain" and not DENSE:
        diagonal = _load_units(own, UNITS, PADDED)
        beside = _load_units(cross, UNITS, PADDED) if PAIRED else diagonal
    last = tl.cast(steps - 1, tl.int64)
    ROWS_OF_SUMS: tl.constexpr = ROWS // 2 if DOT else ROWS
    if WANT_GAMMA:
        by_gamma = tl.zeros([ROWS_OF_SUMS, PADDED], tl.float32)
    if WANT_OWN:
        by_own = tl.zeros([ROWS_OF_SUMS, PADDED], tl.float32)
    if WANT_CROSS:
        by_cross = tl.zeros([ROWS_OF_SUMS, PADDED], tl.float32)
    if ARRIVE:
        arrivals += instance * arrivals_by_instance
        if not READ_LATE:
            arrival = tl.load(arrivals + last * arrivals_by_step + offsets, mask=mask, other=0.0)
    coupling = tl.load(couplings + last * size + offsets, mask=mask, other=0.0)
    if READ_STATES and not READ_LATE:
        x = tl.load(states + last * size + offsets, mask=mask, other=0.0)
    if READ_TURNED:
        before_act = tl.load(mapped + last * size + offsets, mask=mask, other=0.0)

    d = tl.load(given + offsets, mask=mask, other=0.0)
    step = steps - 1
    while step >= 0:
        here, before = tl.cast(step, tl.int64), tl.cast(tl.maximum(step - 1, 0), tl.int64)
        if READ_LATE:
            x = tl.load(states + here * size + offsets, mask=mask, other=0.0)
            if ARRIVE:
                d += tl.load(arrivals + here * arrivals_by_step + offsets, mask=mask, other=0.0)
        elif ARRIVE:
            d += arrival
            arrival = tl.load(arrivals + before * arrivals_by_step + offsets, mask=mask, other=0.0)
        g = vjp(d, coupling, ACTIVATION)
        if WANT_GAMMA:
            by_gamma += _folded(d * coupling, DOT)
        coupling = tl.load(couplings + before * size + offsets, mask=mask, other=0.0)
        tl.store(slopes + here * size + offsets, g, mask=mask)
        if FORM != "plain":
            if READ_TURNED:
                d = vjp(d, activate(before_act, ACTIVATION), ACTIVATION)
                before_act = tl.load(mapped + before * size + offsets, mask=mask, other=0.0)
            if READ_STATES:
                if FORM == "A":
                    d = vjp(d, activate(apply_pairs(x, diagonal, beside, PAIRED), ACTIVATION), ACTIVATION)
                if WANT_OWN:
                    by_own += _folded(d * x, DOT)
                if WANT_CROSS:
                    by_cross += _folded(d * swap_pairs(x), DOT)
                if not READ_LATE:
                    x = tl.load(states + before * size + offsets, mask=mask, other=0.0)
            if WANT_DENSE:
                tl.store(inner + here * size + offsets, d, mask=mask)
            if not DENSE:
                through = diagonal * d
                if PAIRED:
                    through += swap_pairs(beside * d)
            elif BLOCK == 0:
                through = product(d, dense_tile, DOT)
            else:
                through = streamed_product(d, dense, PADDED, BLOCK)
        if BLOCK == 0:
            d = product(g, tile, DOT)
        else:
            d = streamed_product(g, weight, PADDED, BLOCK)
        if FORM != "plain":
            d += through
        step -= 1
    tl.store(delta + offsets, d, mask=mask)

    program = (instance * tl.num_programs(1) + tl.program_id(1)) * UNITS
    kind = tl.cast(tl.num_programs(0), tl.int64) * tl.num_programs(1) * UNITS
    if WANT_GAMMA:
        _store_sum(by_gamma, partials + program, UNITS)
    if WANT_OWN:
        _store_sum(by_own, partials + kind + program, UNITS)
    if WANT_CROSS:
        _store_sum(by_cross, partials + 2 * kind + program, UNITS)
