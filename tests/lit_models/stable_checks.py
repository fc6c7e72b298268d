"""What stable recurrences are held to, for tests: the inequalities, and contraction on random states."""

import copy
import functools
import math

import torch
from torch import Tensor

from rnnbench.lit_models.contraction import contraction
from rnnbench.lit_models.recurrence import Recurrence
from rnnbench.lit_models.recurrences.elman import ElmanRNN
from rnnbench.lit_models.recurrences.gated import LSTM

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


def inequalities(
    recurrence: Recurrence, input_bound: float, wanted: float = 1.0, forget_bound: float = 0.64
) -> list[bool]:
    """Whether each inequality holds that keeps the contraction constant below ``wanted``, in double precision."""
    values = {name: value.detach().double() for name, value in recurrence.named_parameters()}
    if isinstance(recurrence, ElmanRNN):
        return [torch.linalg.svdvals(values["weight_hh"]).max().item() < wanted]
    n = recurrence.hidden_size
    w_i, w_f, w_z, w_o = (norm(rows) for rows in values["weight_hh"].split(n))
    u_f, bias = values["weight_ih"][n : 2 * n], (values["bias_ih"] + values["bias_hh"])[n : 2 * n]
    rows = values["weight_hh"][n : 2 * n].abs().sum(1) + u_f.abs().sum(1) * input_bound
    forget = torch.sigmoid(rows + bias).max().item()
    rest = wanted - forget
    return [forget <= forget_bound, w_i < rest, w_o < rest, w_z < rest / 4, w_f < rest * (1 - forget)]


def assert_contractive(recurrence: Recurrence, input_bound: float, wanted: float = 1.0) -> None:
    """Compare the Jacobians of a step with the constants, at 1,000 states |h| < 1, |c| ≤ 1/(1-F) and inputs."""
    found = contraction(recurrence, input_bound)
    assert found.constant < wanted
    generator = torch.Generator().manual_seed(2)

    def within(bound: float, size: int) -> Tensor:
        values = bound * (2 * torch.rand(1000, size, generator=generator, dtype=torch.float64) - 1)
        # States around zero have the steepest slopes, corners the widest open gates.
        scale = torch.tensor([1.0, 1e-3])[torch.randint(2, (1000, 1), generator=generator)]
        corner = torch.rand(1000, 1, generator=generator) < 0.3
        return torch.where(corner, bound * values.sign(), scale * values)

    state = within(1.0, recurrence.hidden_size)
    if found.norm == "inf":
        state = torch.cat([state, within(1 / (1 - found.forget_bound), recurrence.hidden_size)], -1)
    inputs = within(input_bound, recurrence.input_size)
    cell = copy.deepcopy(recurrence).double().requires_grad_(False)

    def step(inputs: Tensor, state: Tensor) -> Tensor:
        return cell.step(inputs[None], state[None])[0]

    for argument, bound in ((1, found.constant), (0, found.input_lipschitz)):
        jacobians = torch.vmap(torch.func.jacrev(step, argnums=argument))(inputs, state)
        sizes = torch.linalg.matrix_norm(jacobians, 2 if found.norm == "2" else math.inf)
        assert sizes.max() <= bound * (1 + 1e-9)
        assert sizes.max() > 0.05 * bound
