"""Contraction constants of recurrences, upper bounds computed from their weights.

A recurrence φ is *stable* if ‖φ(s, x) - φ(s̃, x)‖ ≤ λ ‖s - s̃‖ for one λ < 1, all states s, s̃ and all inputs x (Miller &
Hardt 2019). Their full text was not read: what follows is derived here.

**ElmanRNN**, 2-norm of h: tanh, relu and identity have Lipschitz constant 1, so λ = ‖W‖₂ and L_x = ‖U‖₂.

**LSTM**, ∞-norm of (h, c). Matrix norms are largest absolute row sums; W is a gate's part of ``weight_hh``, U of
``weight_ih``, b the sum of its two biases, and z the candidate (g in PyTorch). With ‖x‖∞ ≤ B_x and ‖h‖∞ < 1 the forget
gate stays below F = max_j σ(Σ|W_f[j]| + B_x Σ|U_f[j]| + b_f[j]); since ‖c'‖∞ ≤ F ‖c‖∞ + 1, from c = 0 on
‖c‖∞ ≤ 1/(1 - F). The difference of two states after one step with the same input (σ has Lipschitz constant ¼; i, f, o,
|z|, |tanh| are at most 1):

    c' - c̃' = f (c - c̃) + (f - f̃) c̃ + (i - ĩ) z + ĩ (z - z̃)
    ‖δc'‖ ≤ F ‖δc‖ + (¼ ‖W_f‖ / (1 - F) + ¼ ‖W_i‖ + ‖W_z‖) ‖δh‖
    h' - h̃' = (o - õ) tanh(c') + õ (tanh(c') - tanh(c̃'))
    ‖δh'‖ ≤ ¼ ‖W_o‖ ‖δh‖ + ‖δc'‖

so λ = F + ¼ ‖W_f‖ / (1 - F) + ¼ ‖W_i‖ + ‖W_z‖ + ¼ ‖W_o‖, and L_x is the same sum over U without F.
"""

import copy
import math
from dataclasses import dataclass
from typing import Literal, TypeAlias

import torch
from torch import Tensor

from rnnbench.datamodules.checks import check_number
from rnnbench.lit_models.recurrence import Recurrence
from rnnbench.lit_models.recurrences.elman import ElmanRNN
from rnnbench.lit_models.recurrences.gated import LSTM

Norm: TypeAlias = Literal["2", "inf"]

#: The order of a norm as ``torch.linalg.vector_norm`` takes it.
ORDERS: dict[Norm, float] = {"2": 2.0, "inf": math.inf}

_NORMS: dict[type[Recurrence], Norm] = {ElmanRNN: "2", LSTM: "inf"}


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
    """Return the norm in which a contraction constant is known: ``2`` for ElmanRNN, ``inf`` for LSTM, else None.

    >>> contraction_norm(ElmanRNN(1, 2)), contraction_norm(LSTM(1, 2))
    ('2', 'inf')
    """
    # Not isinstance: a subclass may have another step.
    return _NORMS.get(type(recurrence))


def contraction(recurrence: Recurrence, input_bound: float) -> Contraction | None:
    """Return the contraction constant of a recurrence, not an ensemble's, computed in double precision.

    ``input_bound`` is B_x, bound of ‖x‖₂ for ElmanRNN and of ‖x‖∞ for LSTM; of all others no constant is known: None.

    Raises:
        ValueError: the bound is negative or not finite, or a weight is not finite.

    >>> halving = ElmanRNN(1, 2)
    >>> with torch.no_grad():
    ...     _ = [parameter.zero_() for parameter in halving.parameters()]
    ...     _ = halving.weight_hh.copy_(0.5 * torch.eye(2))
    >>> contraction(halving, input_bound=1.0)
    Contraction(constant=0.5, norm='2', input_lipschitz=0.0, offset=0.0, forget_bound=None, input_bound=1.0)
    """
    check_number("input_bound", input_bound, low=0)
    norm = contraction_norm(recurrence)
    if norm is None or not isinstance(recurrence, ElmanRNN | LSTM):
        return None
    cell = copy.deepcopy(recurrence).double()
    for name, value in cell.named_parameters():
        if not value.isfinite().all():
            raise ValueError(f"{name} of {type(recurrence).__name__} must be finite, but has an infinite or NaN entry")
    with torch.no_grad():
        weight_ih, weight_hh, bias = cell.weight_ih, cell.weight_hh, cell.bias_ih + cell.bias_hh
        origin = cell.step(weight_ih.new_zeros(1, cell.input_size), cell.initial_state(1))
        offset = torch.linalg.vector_norm(origin, ORDERS[norm]).item()
        if norm == "2":
            constant, lipschitz = (torch.linalg.matrix_norm(weight, 2).item() for weight in (weight_hh, weight_ih))
            return Contraction(constant, norm, lipschitz, offset, None, float(input_bound))
        forget_gate = (weight_ih.chunk(4, -2)[1], weight_hh.chunk(4, -2)[1], bias.chunk(4, -1)[1])
        highest = largest_preactivations(*forget_gate, input_bound).max()
        forget = torch.sigmoid(highest)
        # Not 1 - σ(a), which rounds to 0; nor 0, by which one cannot divide.
        rest = torch.sigmoid(-highest).clamp(min=torch.finfo(torch.float64).tiny)
        constant = (forget + _sum_of_gates(weight_hh, rest)).item()
        lipschitz = _sum_of_gates(weight_ih, rest).item()
    return Contraction(constant, norm, lipschitz, offset, forget.item(), float(input_bound))


def row_sums(weight: Tensor) -> Tensor:
    """Return the absolute row sums [..., R] of matrices [..., R, C]."""
    return weight.abs().sum(-1)


def largest_preactivations(weight_ih: Tensor, weight_hh: Tensor, bias: Tensor, input_bound: float) -> Tensor:
    """Return the largest preactivation of every unit of one gate [..., N], for ‖h‖∞ ≤ 1 and ‖x‖∞ ≤ B_x."""
    return row_sums(weight_hh) + row_sums(weight_ih) * input_bound + bias


def _sum_of_gates(weight: Tensor, rest: Tensor) -> Tensor:
    """Return ¼ ‖W_f‖ / (1 - F) + ¼ ‖W_i‖ + ‖W_z‖ + ¼ ‖W_o‖ of a weight [4N, ...] and 1 - F."""
    input_gate, forget_gate, candidate, output_gate = (row_sums(rows).max() for rows in weight.chunk(4, -2))
    return forget_gate / (4 * rest) + input_gate / 4 + candidate + output_gate / 4
