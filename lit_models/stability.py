"""Stable recurrences (Miller & Hardt 2019): contraction constants, and projections that bring them below 1.

A recurrence φ is stable if ‖φ(s, x) - φ(s̃, x)‖ ≤ λ ‖s - s̃‖ for one λ < 1, all states s, s̃ and all inputs. The
constants here are upper bounds computed from the weights.

**ElmanRNN**, 2-norm of h: tanh, relu and identity have Lipschitz constant 1, so λ = ‖W‖₂ and L_x = ‖U‖₂.

**LSTM**, ∞-norm of (h, c). Matrix norms are largest absolute row sums; W is a gate's part of ``weight_hh``, U of
``weight_ih``, b the sum of its two biases, and z the candidate (g in PyTorch). With ‖x‖∞ ≤ B_x and ‖h‖∞ < 1 the forget
gate stays below F = max_j σ(Σ|W_f[j]| + B_x Σ|U_f[j]| + b_f[j]), so from c = 0 on ‖c‖∞ ≤ 1/(1 - F). The difference of
two states after one step with the same input (σ has Lipschitz constant ¼; i, f, o, |z|, |tanh| are at most 1):

    c' - c̃' = f (c - c̃) + (f - f̃) c̃ + (i - ĩ) z + ĩ (z - z̃)
    ‖δc'‖ ≤ F ‖δc‖ + (¼ ‖W_f‖ / (1 - F) + ¼ ‖W_i‖ + ‖W_z‖) ‖δh‖
    h' - h̃' = (o - õ) tanh(c') + õ (tanh(c') - tanh(c̃'))
    ‖δh'‖ ≤ ¼ ‖W_o‖ ‖δh‖ + ‖δc'‖

so λ = F + ¼ ‖W_f‖ / (1 - F) + ¼ ‖W_i‖ + ‖W_z‖ + ¼ ‖W_o‖, and L_x is the same sum over U without F. The four conditions
‖W_i‖, ‖W_o‖ < 1 - F, ‖W_z‖ < (1 - F)/4, ‖W_f‖ < (1 - F)² give each of the four terms less than ¼ (1 - F): λ < 1.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from rnnbench.lit_models.encoder import Embedding
from rnnbench.lit_models.network import Network
from rnnbench.lit_models.recurrence import Recurrence
from rnnbench.lit_models.recurrences.elman import ElmanRNN
from rnnbench.lit_models.recurrences.gated import LSTM
from rnnbench.lit_models.recurrences.stacked import StackedRNN
from rnnbench.lit_models.recurrences.truncation import FeedForwardTruncation

Norm = Literal["2", "inf"]
Cell = ElmanRNN | LSTM

#: The order of a norm as ``torch.linalg.vector_norm`` takes it.
ORDERS: dict[Norm, float] = {"2": 2.0, "inf": math.inf}

#: By how much a projection stays inside of the inequalities; the value of Revay's ``project_norm_ball``.
MARGIN = 1e-3

#: Largest forget gate of a projected LSTM (Miller & Hardt 2019; unverified, from memory).
FORGET_BOUND = 0.64

#: Largest ‖U_f‖∞ B_x of a unit whose forget gate has to be brought down (as above; unverified, from memory).
FORGET_INPUT_SHARE = 0.25

# What a projection has moved lies on its limit up to rounding, and must not be moved again.
_SLACK = MARGIN / 100


@dataclass(frozen=True)
class Contraction:
    """How much one step brings two states closer: ‖φ(s, x) - φ(s̃, x̃)‖ ≤ λ ‖s - s̃‖ + L_x ‖x - x̃‖.

    Attributes:
        constant: λ, an upper bound; at 1 or above nothing is known of the map's contraction.
        norm: ``2``, or ``inf`` over the whole state (h, c).
        input_lipschitz: L_x, in the same norm of states and inputs.
        offset: ‖φ(0, 0)‖ in the same norm: 0 without biases.
        forget_bound: F of an LSTM; None for other recurrences.
        input_bound: B_x, the largest norm of inputs for which all this holds.
    """

    constant: float
    norm: Norm
    input_lipschitz: float
    offset: float
    forget_bound: float | None
    input_bound: float

    def truncation_bound(self, k: int) -> float:
        """Return λ^k (L_x B_x + ‖φ(0, 0)‖) / (1 - λ), which ‖h_t - h_t^k‖ cannot exceed; NaN if λ is 1 or more.

        The papers' formula with the term that biases add (Miller & Hardt 2019 assume φ(0, 0) = 0).
        """
        if self.constant >= 1:
            return math.nan
        drive = self.input_lipschitz * self.input_bound + self.offset
        return self.constant**k * drive / (1 - self.constant)


def contraction_norm(recurrence: Recurrence) -> Norm | None:
    """Return the norm in which a contraction constant is known: ``2`` for ElmanRNN, ``inf`` for LSTM, else None."""
    # Not isinstance: a subclass may have another step.
    return {ElmanRNN: "2", LSTM: "inf"}.get(type(recurrence))  # type: ignore[return-value]


def contraction(recurrence: Recurrence, input_bound: float) -> Contraction | None:
    """Return the contraction constant of a recurrence, computed in double precision.

    Args:
        recurrence: a lone one, not an ensemble's.
        input_bound: B_x, bound of ‖x‖₂ for ElmanRNN and of ‖x‖∞ for LSTM.

    Returns:
        The contraction, or None where no constant is known (all but ElmanRNN and LSTM).

    Raises:
        ValueError: the bound is negative or not finite, or a weight is not finite.

    >>> halving = ElmanRNN(1, 2)
    >>> with torch.no_grad():
    ...     _ = [parameter.zero_() for parameter in halving.parameters()]
    ...     _ = halving.weight_hh.copy_(0.5 * torch.eye(2))
    >>> contraction(halving, input_bound=1.0)
    Contraction(constant=0.5, norm='2', input_lipschitz=0.0, offset=0.0, forget_bound=None, input_bound=1.0)
    """
    _check_input_bound(input_bound)
    norm = contraction_norm(recurrence)
    if norm is None:
        return None
    cell = copy.deepcopy(recurrence).double()
    for name, value in cell.named_parameters():
        if not value.isfinite().all():
            raise ValueError(f"{name} of {type(recurrence).__name__} has an infinite or NaN entry: finite ones allowed")
    with torch.no_grad():
        weight_ih, weight_hh, bias = cell.weight_ih, cell.weight_hh, cell.bias_ih + cell.bias_hh
        origin = cell.step(weight_ih.new_zeros(1, cell.input_size), cell.initial_state(1))
        offset = torch.linalg.vector_norm(origin, ORDERS[norm]).item()
        if norm == "2":
            constant, lipschitz = (torch.linalg.matrix_norm(weight, 2).item() for weight in (weight_hh, weight_ih))
            return Contraction(constant, norm, lipschitz, offset, None, float(input_bound))
        gates = (weight_ih.chunk(4, -2)[1], weight_hh.chunk(4, -2)[1], bias.chunk(4, -1)[1])
        highest = _preactivations(*gates, input_bound).max()
        forget = torch.sigmoid(highest)
        # Not 1 - σ(a), which rounds to 0; nor 0, by which one cannot divide.
        rest = torch.sigmoid(-highest).clamp(min=torch.finfo(torch.float64).tiny)
        constant = (forget + _sum_of_gates(weight_hh, rest)).item()
        lipschitz = _sum_of_gates(weight_ih, rest).item()
    return Contraction(constant, norm, lipschitz, offset, forget.item(), float(input_bound))


def stable_cells(module: nn.Module, input_bound: float) -> list[tuple[Cell, float]]:
    """Return the recurrences within a module that a projection makes stable, each with the bound of its inputs.

    Layers above the first of a stack read outputs of the layer below, whose entries lie within (-1, 1) for an LSTM;
    an ElmanRNN needs no bound.

    Args:
        module: an ElmanRNN, an LSTM, a StackedRNN or FeedForwardTruncation of them, or a Network with one of these.
        input_bound: B_x of what the recurrence reads.

    Raises:
        ValueError: the module is or contains another recurrence, or the bound is negative or not finite.
    """
    _check_input_bound(input_bound)
    return list(_cells(module, input_bound))


@torch.no_grad()
def project_stable(module: nn.Module, input_bound: float, forget_bound: float = FORGET_BOUND) -> None:
    """Make a recurrence stable in place; what is stable already stays bit-equal, so projecting twice does nothing more.

    Parameters may be an ensemble's stacks [M, ...]: each instance is projected as if it were alone. One whose weights
    are not finite stays as it is.

    Args:
        module: as in ``stable_cells``.
        input_bound: B_x, the largest ‖x‖∞ of what an LSTM reads; does not matter for an ElmanRNN. The entries of a
            network's embedding are clipped to it.
        forget_bound: largest F of an LSTM.

    Raises:
        ValueError: the recurrence cannot be projected, or a bound is impossible.
    """
    if isinstance(module, Network) and isinstance(module.encoder, Embedding):
        # Inputs that are learned must keep to their bound too.
        module.encoder.weight.clamp_(-input_bound, input_bound)
    for cell, bound in stable_cells(module, input_bound):
        if type(cell) is ElmanRNN:
            cell.weight_hh.copy_(clip_singular_values(cell.weight_hh, 1 - MARGIN))
            continue
        parameters = (cell.weight_ih, cell.weight_hh, cell.bias_ih, cell.bias_hh)
        for parameter, projected in zip(parameters, project_lstm(*parameters, bound, forget_bound), strict=True):
            parameter.copy_(projected)


def clip_singular_values(weight: Tensor, largest: float) -> Tensor:
    """Return matrices [..., N, N] with singular values of at most ``largest`` (Miller & Hardt 2019).

    Those that are at most that already stay bit-equal; so do matrices that are not finite.
    """
    # LAPACK raises on what is not finite, and an ensemble must not fail by one instance.
    finite = weight.isfinite().all(-1, keepdim=True).all(-2, keepdim=True)
    left, values, right = torch.linalg.svd(torch.where(finite, weight, 0.0))
    too_large = (values > largest * (1 + _SLACK)).any(-1)[..., None, None]
    return torch.where(too_large, (left * values.clamp(max=largest).unsqueeze(-2)) @ right, weight)


def project_lstm(
    weight_ih: Tensor, weight_hh: Tensor, bias_ih: Tensor, bias_hh: Tensor, input_bound: float, forget_bound: float
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return the parameters of LSTMs that fulfil the four conditions, rows that do not need it left bit-equal.

    First F: of each unit whose forget gate may exceed ``forget_bound``, the row of W_f is scaled down to
    (1 - forget_bound)², that of U_f to ``FORGET_INPUT_SHARE`` / B_x, and, if that is not enough, the biases are lowered
    to where it is. Then, with F as it is now, the rows of W_i, W_o, W_z and W_f that break their condition are scaled
    down to it; less W_f only lowers F, so all conditions hold at the end. Nothing is ever scaled up.

    Args:
        weight_ih: [..., 4N, D], rows in the order i, f, z, o.
        weight_hh: [..., 4N, N].
        bias_ih: [..., 4N].
        bias_hh: [..., 4N].
        input_bound: B_x.
        forget_bound: largest F, between 0 and 1.

    Returns:
        The four tensors, in the same order.

    Raises:
        ValueError: ``forget_bound`` is not between 0 and 1.
    """
    if not 0 < forget_bound < 1:
        raise ValueError(f"forget_bound is {forget_bound}: a number between 0 and 1 is allowed")
    biases = [list(bias.chunk(4, -1)) for bias in (bias_ih, bias_hh)]
    inputs, states = list(weight_ih.chunk(4, -2)), list(weight_hh.chunk(4, -2))
    highest = math.log(forget_bound / (1 - forget_bound)) - MARGIN
    bias = biases[0][1] + biases[1][1]
    over = _preactivations(inputs[1], states[1], bias, input_bound) > highest + _SLACK
    only_over = over.unsqueeze(-1)
    states[1] = torch.where(only_over, _scale_rows(states[1], (1 - MARGIN) * (1 - forget_bound) ** 2), states[1])
    if input_bound > 0:
        inputs[1] = torch.where(only_over, _scale_rows(inputs[1], FORGET_INPUT_SHARE / input_bound), inputs[1])
    room = highest - _preactivations(inputs[1], states[1], torch.zeros_like(bias), input_bound)
    for each in biases:
        # Only the sum of the two counts; halves of the room lose no digits to a large difference of the two.
        each[1] = torch.where(over & (bias > room), room / 2, each[1])
    largest = _preactivations(inputs[1], states[1], biases[0][1] + biases[1][1], input_bound).amax(-1)
    rest = (1 - MARGIN) * torch.sigmoid(-largest)[..., None, None]
    limits = (rest, rest * torch.sigmoid(-largest)[..., None, None], rest / 4, rest)
    states = [_scale_rows(rows, limit) for rows, limit in zip(states, limits, strict=True)]
    return torch.cat(inputs, -2), torch.cat(states, -2), torch.cat(biases[0], -1), torch.cat(biases[1], -1)


def _check_input_bound(input_bound: float) -> None:
    if not 0 <= input_bound < math.inf:
        raise ValueError(f"input_bound is {input_bound}: a finite number of at least 0 is allowed")


def _cells(module: nn.Module, input_bound: float) -> Iterator[tuple[Cell, float]]:
    if isinstance(module, Network | FeedForwardTruncation):
        yield from _cells(module.recurrence, input_bound)
    elif isinstance(module, StackedRNN):
        for index, layer in enumerate(module.layers):
            yield from _cells(layer, 1.0 if index else input_bound)
    elif type(module) in (ElmanRNN, LSTM):
        yield module, input_bound
    else:
        raise ValueError(
            f"recurrence is {type(module).__name__}: no projection makes it stable; ElmanRNN, LSTM, and StackedRNN and "
            "FeedForwardTruncation of them are allowed"
        )


def _row_sums(weight: Tensor) -> Tensor:
    """Return the absolute row sums [..., R] of matrices [..., R, C]."""
    return weight.abs().sum(-1)


def _scale_rows(weight: Tensor, limit: Tensor | float) -> Tensor:
    """Return matrices [..., R, C] whose absolute row sums are at most the limit [..., 1, 1]."""
    sums = _row_sums(weight).unsqueeze(-1)
    return weight * torch.where(sums > limit * (1 + _SLACK), limit / sums, 1.0)


def _preactivations(weight_ih: Tensor, weight_hh: Tensor, bias: Tensor, input_bound: float) -> Tensor:
    """Return the largest preactivation of every unit of one gate [..., N], for ‖h‖∞ ≤ 1 and ‖x‖∞ ≤ B_x."""
    return _row_sums(weight_hh) + _row_sums(weight_ih) * input_bound + bias


def _sum_of_gates(weight: Tensor, rest: Tensor) -> Tensor:
    """Return ¼ ‖W_f‖ / (1 - F) + ¼ ‖W_i‖ + ‖W_z‖ + ¼ ‖W_o‖ of a weight [4N, ...] and 1 - F."""
    write, keep, candidate, read = (_row_sums(rows).max() for rows in weight.chunk(4, -2))
    return keep / (4 * rest) + write / 4 + candidate + read / 4
