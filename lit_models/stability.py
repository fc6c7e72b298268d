"""Projections that keep recurrences stable: each contraction constant λ below a wanted λ* ≤ 1.

The constants and their derivation are in ``rnnbench.lit_models.contraction``. An **ElmanRNN** has its singular values
clipped at λ*. An **LSTM** needs

    λ = F + ¼ ‖W_f‖ / (1 - F) + ¼ ‖W_i‖ + ‖W_z‖ + ¼ ‖W_o‖ < λ*

First the forget gate is kept from opening beyond a bound below λ*. Then each of the four terms gets an equal share,
¼ (λ* - F), of what F leaves:

    ‖W_f‖ < (1 - F)(λ* - F),   ‖W_i‖ < λ* - F,   ‖W_o‖ < λ* - F,   ‖W_z‖ < ¼ (λ* - F)

For λ* = 1 these are the bounds (1 - F)², 1 - F, 1 - F and ¼ (1 - F) that are ascribed to Miller & Hardt 2019, whose
full text was not read. The algebra confirms the equal shares; λ*, the bound of F, and how W_f, U_f and the biases
share what lowers F are our choices.
"""

import math
from collections.abc import Iterator
from typing import TypeAlias

import torch
from torch import Tensor, nn

from rnnbench.datamodules.checks import check_number
from rnnbench.lit_models.contraction import largest_preactivations, row_sums
from rnnbench.lit_models.encoder import Embedding
from rnnbench.lit_models.network import Network
from rnnbench.lit_models.recurrences.elman import ElmanRNN
from rnnbench.lit_models.recurrences.gated import LSTM
from rnnbench.lit_models.recurrences.stacked import StackedRNN
from rnnbench.lit_models.recurrences.truncation import FeedForwardTruncation

Cell: TypeAlias = ElmanRNN | LSTM

#: λ*, which the contraction constant of a projected recurrence stays below.
CONTRACTION = 1.0

#: Largest forget gate of a projected LSTM as a share of λ* (our choice; the papers' value is not known).
FORGET_SHARE = 0.64

#: Largest share of λ* that can be asked for: what F leaves of it is all that the other weights get.
LARGEST_FORGET_SHARE = 0.99

#: By how much a projection stays inside of the inequalities (our choice).
MARGIN = 1e-3

#: Largest ‖U_f‖∞ B_x of a unit whose forget gate has to be brought down (our choice).
FORGET_INPUT_SHARE = 0.25

# What a projection has moved lies on its limit up to rounding, and must not be moved again.
_SLACK = MARGIN / 100


def forget_bound_for(contraction: float, forget_bound: float | None, prefix: str = "") -> float:
    """Return the largest F of an LSTM: what was given, or ``FORGET_SHARE`` of λ*.

    Raises:
        ValueError: not 0 < F ≤ 0.99 λ* and λ* ≤ 1; names of both settings begin with ``prefix``.

    >>> forget_bound_for(0.5, None)
    0.32
    >>> forget_bound_for(0.5, 0.64)
    Traceback (most recent call last):
    ValueError: forget_bound must be at most 0.99 of contraction, 0.5, got 0.64
    """
    check_number(f"{prefix}contraction", contraction, above=0, high=1)
    if forget_bound is None:
        return FORGET_SHARE * contraction
    check_number(f"{prefix}forget_bound", forget_bound, above=0)
    if forget_bound > LARGEST_FORGET_SHARE * contraction:
        most = f"{LARGEST_FORGET_SHARE:g} of {prefix}contraction, {contraction:g}"
        raise ValueError(f"{prefix}forget_bound must be at most {most}, got {forget_bound:g}")
    return forget_bound


def stable_cells(module: nn.Module, input_bound: float) -> list[tuple[Cell, float]]:
    """Return the recurrences within a module that a projection makes stable, each with the bound of its inputs.

    Layers above the first of a stack read outputs of the layer below, whose entries lie within (-1, 1) for an LSTM, or
    the sum of those of all layers below; an ElmanRNN needs no bound. The module is an ElmanRNN, an LSTM, a StackedRNN
    or FeedForwardTruncation of them, or a Network with one of these; ``input_bound`` is B_x of what the recurrence
    reads.

    Raises:
        ValueError: the module is or contains another recurrence, or the bound is negative or not finite.

    >>> [bound for _, bound in stable_cells(StackedRNN(3, lambda size: LSTM(size, 2), num_layers=2), input_bound=20.0)]
    [20.0, 1.0]
    """
    check_number("input_bound", input_bound, low=0)
    return list(_cells(module, input_bound))


@torch.no_grad()
def project_stable(
    module: nn.Module, input_bound: float, contraction: float = CONTRACTION, forget_bound: float | None = None
) -> None:
    """Make a recurrence stable in place; what is stable already stays bit-equal, so projecting twice does nothing more.

    Parameters may be an ensemble's stacks [M, ...]: each instance is projected as if it were alone. One whose weights
    are not finite stays as it is. The module and B_x, the largest ‖x‖∞ of what it reads, to which a network's embedding
    is clipped, are as in ``stable_cells``; ``contraction`` is λ*, below which the constant of every layer is brought,
    and ``forget_bound`` the largest F of an LSTM, below λ* (``FORGET_SHARE`` of it if None).

    Raises:
        ValueError: the recurrence cannot be projected, or a bound is impossible.

    >>> network = ElmanRNN(1, 2)
    >>> _ = network.weight_hh.data.copy_(torch.tensor([[3.0, 0.0], [0.0, 0.25]]))
    >>> project_stable(network, input_bound=1.0, contraction=0.5)
    >>> network.weight_hh.tolist()
    [[0.49950000643730164, 0.0], [0.0, 0.25]]
    """
    forget_bound = forget_bound_for(contraction, forget_bound)
    cells = stable_cells(module, input_bound)
    if isinstance(module, Network) and isinstance(module.encoder, Embedding):
        # Inputs that are learned must keep to their bound too.
        module.encoder.weight.clamp_(-input_bound, input_bound)
    for cell, bound in cells:
        if isinstance(cell, ElmanRNN):
            cell.weight_hh.copy_(clip_singular_values(cell.weight_hh, (1 - MARGIN) * contraction))
            continue
        _project_lstm(cell, bound, contraction, forget_bound)


def clip_singular_values(weight: Tensor, largest: float) -> Tensor:
    """Return matrices [..., N, N] with singular values of at most ``largest`` (Miller & Hardt 2019).

    Those that are at most that already stay bit-equal; so do matrices that are not finite.

    >>> clip_singular_values(torch.tensor([[3.0, 0.0], [0.0, -0.25]]), 0.5).tolist()
    [[0.5, 0.0], [0.0, -0.25]]
    """
    # LAPACK raises on what is not finite, and an ensemble must not fail by one instance.
    finite = weight.isfinite().all(-1, keepdim=True).all(-2, keepdim=True)
    left, values, right = torch.linalg.svd(torch.where(finite, weight, 0.0))
    too_large = (values > largest * (1 + _SLACK)).any(-1)[..., None, None]
    return torch.where(too_large, (left * values.clamp(max=largest).unsqueeze(-2)) @ right, weight)


def _project_lstm(cell: LSTM, input_bound: float, contraction: float, forget_bound: float) -> None:
    """Make LSTMs satisfy the four inequalities, rows that do not need it left bit-equal.

    First F: of each unit whose forget gate may exceed ``forget_bound``, the row of W_f is scaled down to its inequality
    there, that of U_f to ``FORGET_INPUT_SHARE`` / B_x, and, if that is not enough, the biases are lowered to where it
    is. Then, with F as it is now, the rows of W_i, W_o, W_z and W_f that break their inequality are scaled down to it;
    less W_f only lowers F, so all inequalities hold at the end. Nothing is ever scaled up.
    """
    margin = 1 - MARGIN
    biases = [list(bias.chunk(4, -1)) for bias in (cell.bias_ih, cell.bias_hh)]
    inputs, states = list(cell.weight_ih.chunk(4, -2)), list(cell.weight_hh.chunk(4, -2))
    highest = math.log(forget_bound / (1 - forget_bound)) - MARGIN
    bias = biases[0][1] + biases[1][1]
    over = largest_preactivations(inputs[1], states[1], bias, input_bound) > highest + _SLACK
    only_over = over.unsqueeze(-1)
    lowered = _scale_rows(states[1], margin * (1 - forget_bound) * (contraction - forget_bound))
    states[1] = torch.where(only_over, lowered, states[1])
    if input_bound > 0:
        inputs[1] = torch.where(only_over, _scale_rows(inputs[1], FORGET_INPUT_SHARE / input_bound), inputs[1])
    room = highest - largest_preactivations(inputs[1], states[1], torch.zeros_like(bias), input_bound)
    for each in biases:
        # Only the sum of the two counts; halves of the room lose no digits to a large difference of the two.
        each[1] = torch.where(over & (bias > room), room / 2, each[1])
    largest = largest_preactivations(inputs[1], states[1], biases[0][1] + biases[1][1], input_bound).amax(-1)
    closed = torch.sigmoid(-largest)[..., None, None]
    # λ* - F without a loss of digits: for λ* = 1, F may be close to it.
    rest = margin * (closed if contraction == 1 else contraction - torch.sigmoid(largest)[..., None, None])
    limits = (rest, rest * closed, rest / 4, rest)
    states = [_scale_rows(rows, limit) for rows, limit in zip(states, limits, strict=True)]
    cell.weight_ih.copy_(torch.cat(inputs, -2))
    cell.weight_hh.copy_(torch.cat(states, -2))
    cell.bias_ih.copy_(torch.cat(biases[0], -1))
    cell.bias_hh.copy_(torch.cat(biases[1], -1))


def _cells(module: nn.Module, input_bound: float) -> Iterator[tuple[Cell, float]]:
    if isinstance(module, Network | FeedForwardTruncation):
        yield from _cells(module.recurrence, input_bound)
    elif isinstance(module, StackedRNN):
        for index, layer in enumerate(module.layers):
            # With residual connections, a layer reads the sum of all outputs below it.
            below = float(index) if module.depth_residual else 1.0
            yield from _cells(layer, below if index else input_bound)
    elif isinstance(module, ElmanRNN | LSTM) and type(module) in (ElmanRNN, LSTM):  # a subclass may have another step
        yield module, input_bound
    else:
        raise ValueError(
            f"recurrence must be ElmanRNN or LSTM, or StackedRNN or FeedForwardTruncation of them, to be made stable, "
            f"got {type(module).__name__}"
        )


def _scale_rows(weight: Tensor, limit: Tensor | float) -> Tensor:
    """Return matrices [..., R, C] whose absolute row sums are at most the limit [..., 1, 1]."""
    sums = row_sums(weight).unsqueeze(-1)
    return weight * torch.where(sums > limit * (1 + _SLACK), limit / sums, 1.0)
