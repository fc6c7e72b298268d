"""What stable recurrences are held to, for tests: the inequalities, and contraction on random states."""

from __future__ import annotations

import functools
import math

import torch
from torch import Tensor

from rnnbench.lit_models.recurrence import Recurrence
from rnnbench.lit_models.recurrences.elman import ElmanRNN
from rnnbench.lit_models.recurrences.gated import LSTM
from rnnbench.lit_models.stability import FORGET_BOUND, contraction

ELMAN = functools.partial(ElmanRNN, hidden_size=6)
LONG = functools.partial(LSTM, hidden_size=6)
FACTORIES = {"ElmanRNN": ELMAN, "LSTM": LONG}
BOUND = 1.0


def weights(module: torch.nn.Module) -> dict[str, Tensor]:
    return {name: value.detach().clone() for name, value in module.named_parameters()}


def same(ours: dict[str, Tensor], theirs: dict[str, Tensor]) -> bool:
    return ours.keys() == theirs.keys() and all(torch.equal(ours[name], theirs[name]) for name in ours)


def wild(recurrence: Recurrence, scale: float = 3.0) -> Recurrence:
    """Give a recurrence large weights and biases."""
    with torch.no_grad():
        for parameter in recurrence.parameters():
            parameter.copy_(scale * torch.randn_like(parameter))
    return recurrence


def norm(rows: Tensor) -> float:
    return rows.abs().sum(1).max().item()


def inequalities(recurrence: Recurrence, input_bound: float) -> list[bool]:
    """Whether each inequality of Miller & Hardt holds, written out here once more, in double precision."""
    values = {name: value.detach().double() for name, value in recurrence.named_parameters()}
    if isinstance(recurrence, ElmanRNN):
        return [torch.linalg.svdvals(values["weight_hh"]).max().item() < 1]
    n = recurrence.hidden_size
    w_i, w_f, w_z, w_o = (values["weight_hh"][index * n : (index + 1) * n] for index in range(4))
    u_f, bias = values["weight_ih"][n : 2 * n], (values["bias_ih"] + values["bias_hh"])[n : 2 * n]
    forget = torch.sigmoid(w_f.abs().sum(1) + u_f.abs().sum(1) * input_bound + bias).max().item()
    rest = 1 - forget
    shares = [norm(w_i) < rest, norm(w_o) < rest, norm(w_z) < rest / 4, norm(w_f) < rest**2]
    return [forget <= FORGET_BOUND, *shares]


def assert_contractive(recurrence: Recurrence, input_bound: float) -> None:
    """Compare 1,000 pairs of states with |h| < 1 and |c| ≤ 1/(1-F), each with inputs within the bound."""
    found = contraction(recurrence, input_bound)
    assert found.constant < 1
    generator = torch.Generator().manual_seed(2)

    def within(bound: float, size: int) -> Tensor:
        values = bound * (2 * torch.rand(1000, size, generator=generator, dtype=torch.float64) - 1)
        # The corners are where an ∞-norm is decided.
        corners = values.sign() * (bound - 1e-3 * bound * torch.rand(values.shape, generator=generator))
        return torch.where(torch.rand(1000, 1, generator=generator) < 0.3, corners, values)

    units, order = recurrence.hidden_size, 2 if found.norm == "2" else math.inf
    one, other = (within(1 - 1e-9, units) for _ in range(2))
    if found.norm == "inf":
        one, other = (torch.cat([h, within(1 / (1 - found.forget_bound), units)], -1) for h in (one, other))
    # Close pairs see the slope where it is steepest.
    other = torch.where(torch.rand(1000, 1, generator=generator) < 0.5, other, one + 1e-4 * (other - one))
    x, y = (within(input_bound, recurrence.input_size) for _ in range(2))
    cell = recurrence.double()
    with torch.no_grad():
        after = torch.linalg.vector_norm(cell.step(x, one) - cell.step(x, other), order, -1)
        moved = torch.linalg.vector_norm(cell.step(x, one) - cell.step(y, one), order, -1)
    before = torch.linalg.vector_norm(one - other, order, -1)
    assert (before > 0).all()
    assert (after <= found.constant * before * (1 + 1e-9)).all()
    assert (moved <= found.input_lipschitz * torch.linalg.vector_norm(x - y, order, -1) * (1 + 1e-9)).all()
    assert (after > 0.05 * before).any()
