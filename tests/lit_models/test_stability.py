"""Projections to stable recurrences, alone and in training, and contraction constants."""

import functools
import math
from typing import Any

import pytest
import torch
from torch import Tensor

from rnnbench.lit_models.contraction import contraction
from rnnbench.lit_models.ensemble import Ensemble
from rnnbench.lit_models.network import make_network
from rnnbench.lit_models.recurrence import Recurrence
from rnnbench.lit_models.recurrences.elman import ElmanRNN
from rnnbench.lit_models.recurrences.gated import GRU, LSTM
from rnnbench.lit_models.recurrences.stacked import StackedRNN
from rnnbench.lit_models.recurrences.truncation import FeedForwardTruncation
from rnnbench.lit_models.stability import project_stable, stable_cells
from tests.lit_models.small_runs import adding
from tests.lit_models.stable_checks import (
    BOUND,
    ELMAN,
    FACTORIES,
    LONG,
    assert_contractive,
    inequalities,
    same,
    weights,
    wild,
)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("input_bound", [0.1, 1.0, 20.0])
@pytest.mark.parametrize(
    ("wanted", "forget_bound"), [(1.0, None), (1.0, 0.3), (0.999, 0.989), (0.9, 0.1), (1e-4, None)]
)
@pytest.mark.parametrize("name", FACTORIES)
def test_projected_weights_satisfy_the_inequalities_and_are_not_moved_again(
    name, wanted, forget_bound, input_bound, dtype
) -> None:
    broken, limits = set(), (input_bound, wanted, forget_bound or 0.64 * wanted)
    for scale in (0.03, 0.3, 3.0, 1e4):
        for _ in range(4):
            recurrence = wild(FACTORIES[name](3), scale).to(dtype)
            broken |= {index for index, holds in enumerate(inequalities(recurrence, *limits)) if not holds}
            project_stable(recurrence, input_bound, wanted, forget_bound)
            assert all(inequalities(recurrence, *limits))
            assert contraction(recurrence, input_bound).constant < wanted
            once = weights(recurrence)
            project_stable(recurrence, input_bound, wanted, forget_bound)
            assert same(weights(recurrence), once)
    # Of large weights no more is taken than is asked for.
    found = contraction(recurrence, input_bound)
    assert found.constant > (1 - 2e-3) * wanted
    assert found.forget_bound is None or found.forget_bound > (1 - 2e-3) * limits[2]
    assert broken == set(range(1 if name == "ElmanRNN" else 5))


def test_only_what_breaks_an_inequality_is_moved_and_nothing_is_scaled_up() -> None:
    recurrence = LONG(2)
    with torch.no_grad():
        for parameter in recurrence.parameters():
            parameter.mul_(0.01)
        calm = weights(recurrence)
        # Unit 1 forgets too little, by its biases alone; unit 2 writes too freely.
        recurrence.bias_hh[6 + 1] = 4.0
        recurrence.weight_hh[2].fill_(1.0)
    project_stable(recurrence, BOUND)
    moved = weights(recurrence)
    assert not torch.equal(moved["bias_hh"][7], calm["bias_hh"][7])
    row = moved["weight_hh"][2]
    assert (row == row[0]).all()
    assert row.sum().item() == pytest.approx((1 - 1e-3) * (1 - 0.64), rel=1e-2)
    for name, before in calm.items():
        kept = torch.ones(24, dtype=torch.bool)
        kept[[2, 7]] = False
        assert torch.equal(moved[name][kept], before[kept]), name
    assert torch.equal(moved["weight_hh"][7], calm["weight_hh"][7])
    assert torch.equal(moved["weight_ih"], calm["weight_ih"])


def test_singular_values_are_clipped_and_singular_vectors_stay() -> None:
    recurrence = ElmanRNN(1, 3).double()
    (left, _), (right, _) = (torch.linalg.qr(torch.randn(3, 3, dtype=torch.float64)) for _ in range(2))
    with torch.no_grad():
        recurrence.weight_hh.copy_(left @ torch.diag(torch.tensor([5.0, 0.9, 0.2], dtype=torch.float64)) @ right)
    others = {name: value for name, value in weights(recurrence).items() if name != "weight_hh"}
    project_stable(recurrence, BOUND)
    expected = left @ torch.diag(torch.tensor([0.999, 0.9, 0.2], dtype=torch.float64)) @ right
    torch.testing.assert_close(recurrence.weight_hh.detach(), expected, atol=1e-12, rtol=0)
    assert all(torch.equal(weights(recurrence)[name], value) for name, value in others.items())


@pytest.mark.parametrize("name", FACTORIES)
def test_instances_of_an_ensemble_are_projected_as_if_alone(name: str) -> None:
    task = adding().task
    networks = [make_network(FACTORIES[name], task, instance) for instance in range(4)]
    for network in networks[:2]:
        wild(network.recurrence)
    with torch.no_grad():
        networks[2].recurrence.weight_hh.mul_(0.01)
        networks[3].recurrence.weight_hh.fill_(torch.nan)
        networks[3].recurrence.bias_ih.fill_(torch.inf)
    ensemble, before = Ensemble(networks), [weights(network) for network in networks]
    project_stable(ensemble.network, BOUND)
    for index, network in enumerate(networks[:3]):
        project_stable(network, BOUND)
        for key, value in weights(network).items():
            together = dict(ensemble.network.named_parameters())[key][index]
            torch.testing.assert_close(together, value, atol=1e-6, rtol=1e-6)
        assert all(inequalities(ensemble.instance(index).recurrence, BOUND))
    assert not same(weights(networks[0]), before[0])
    if name == "ElmanRNN":
        assert same(weights(networks[2]), before[2])
    # What is not finite stays what it was, and harms nobody.
    stays = weights(ensemble.instance(3))
    assert all(torch.equal(stays[key].nan_to_num(7.0), value.nan_to_num(7.0)) for key, value in before[3].items())


def test_every_layer_of_a_stack_is_projected_with_the_bound_of_its_inputs() -> None:
    stack = wild(StackedRNN(3, LONG, num_layers=3))
    assert [bound for _, bound in stable_cells(stack, 20.0)] == [20.0, 1.0, 1.0]
    project_stable(stack, 20.0)
    for layer, bound in zip(stack.layers, (20.0, 1.0, 1.0), strict=True):
        assert all(inequalities(layer, bound))
    assert not all(inequalities(stack.layers[1], 20.0))
    truncated = FeedForwardTruncation(3, lambda size: wild(ELMAN(size)), k=2)
    project_stable(truncated, BOUND)
    assert all(inequalities(truncated.recurrence, BOUND))


class OtherStep(ElmanRNN):
    """Has the parameters of an Elman network and another map."""

    def advance(self, projected: Tensor, state: Tensor) -> Tensor:
        return projected + 2 * state


@pytest.mark.parametrize("cls", [GRU, OtherStep, functools.partial(StackedRNN, num_layers=2)])
def test_other_recurrences_are_refused(cls: Any) -> None:
    recurrence = cls(2, functools.partial(GRU, hidden_size=3)) if isinstance(cls, functools.partial) else cls(2, 3)
    message = "recurrence must be ElmanRNN or LSTM, or StackedRNN .* to be made stable, got (GRU|OtherStep)"
    with pytest.raises(ValueError, match=message):
        project_stable(recurrence, BOUND)
    assert contraction(recurrence, BOUND) is None


@pytest.mark.parametrize("bound", [-1.0, math.inf, math.nan])
def test_impossible_input_bounds_are_refused(bound: float) -> None:
    for function in (project_stable, contraction):
        with pytest.raises(ValueError, match=f"input_bound must be (a finite number|at least 0), got {bound}"):
            function(LONG(2), bound)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"contraction": 0.0}, "contraction must be above 0 and at most 1, got 0.0"),
        ({"contraction": 1.01}, "contraction must be above 0 and at most 1, got 1.01"),
        ({"contraction": math.nan}, "contraction must be a finite number, got nan"),
        ({"forget_bound": 0.0}, "forget_bound must be above 0, got 0.0"),
        ({"forget_bound": math.nan}, "forget_bound must be a finite number, got nan"),
        ({"forget_bound": 1.0}, "forget_bound must be at most 0.99 of contraction, 1, got 1"),
        ({"contraction": 0.5, "forget_bound": 0.5}, "forget_bound must be at most 0.99 of contraction, 0.5, got 0.5"),
    ],
)
def test_impossible_constants_are_refused(settings: dict[str, float], message: str) -> None:
    for cell in (LONG(2), ELMAN(2)):
        before = weights(cell)
        with pytest.raises(ValueError, match=message):
            project_stable(cell, BOUND, **settings)
        assert same(weights(cell), before)


def test_inputs_of_zero_leave_the_input_weights_alone() -> None:
    recurrence = wild(LONG(2))
    inputs = recurrence.weight_ih.detach().clone()
    project_stable(recurrence, 0.0)
    assert all(inequalities(recurrence, 0.0))
    assert torch.equal(recurrence.weight_ih, inputs)


def test_constants_of_an_lstm_worked_out_by_hand() -> None:
    lstm = LSTM(1, 1)
    with torch.no_grad():
        lstm.weight_hh.copy_(torch.tensor([[0.4], [-0.1], [0.05], [0.2]]))
        lstm.weight_ih.copy_(torch.tensor([[-1.0], [0.3], [0.5], [2.0]]))
        lstm.bias_ih.copy_(torch.tensor([0.1, -0.6, 0.2, 0.3]))
        lstm.bias_hh.copy_(torch.tensor([0.0, 0.2, 0.0, 0.0]))
    found = contraction(lstm, 2.0)
    forget = 1 / (1 + math.exp(-(0.1 + 0.3 * 2 - 0.4)))
    cell = math.tanh(0.2) / (1 + math.exp(-0.1))
    assert found.forget_bound == pytest.approx(forget, rel=1e-6)
    assert found.constant == pytest.approx(forget + 0.025 / (1 - forget) + 0.1 + 0.05 + 0.05, rel=1e-6)
    assert found.input_lipschitz == pytest.approx(0.075 / (1 - forget) + 0.25 + 0.5 + 0.5, rel=1e-6)
    assert found.offset == pytest.approx(cell, rel=1e-6)
    assert (found.norm, found.input_bound) == ("inf", 2.0)


def test_constants_of_an_elman_network_are_spectral_norms() -> None:
    recurrence = wild(ElmanRNN(2, 4, time_activation="relu").double())
    found = contraction(recurrence, 3.0)
    assert found.constant == pytest.approx(torch.linalg.svdvals(recurrence.weight_hh).max().item(), rel=1e-12)
    assert found.input_lipschitz == pytest.approx(torch.linalg.svdvals(recurrence.weight_ih).max().item(), rel=1e-12)
    assert found.offset == pytest.approx(torch.relu(recurrence.bias_ih + recurrence.bias_hh).norm().item(), rel=1e-12)
    assert (found.norm, found.forget_bound) == ("2", None)
    assert found.constant > 1
    assert math.isnan(found.truncation_bound(3))


def test_a_saturated_forget_gate_gives_a_large_constant_not_a_nan() -> None:
    lstm = LONG(2)
    with torch.no_grad():
        lstm.bias_ih.fill_(5000.0)
        lstm.weight_hh.zero_()
    assert contraction(lstm, BOUND).constant == 1.0
    assert contraction(lstm, BOUND).forget_bound == 1.0


def test_weights_that_are_not_finite_have_no_constant() -> None:
    lstm = LONG(2)
    with torch.no_grad():
        lstm.bias_ih[0] = torch.nan
    with pytest.raises(ValueError, match="bias_ih of LSTM must be finite"):
        contraction(lstm, BOUND)


@pytest.mark.parametrize("wanted", [1.0, 0.7])
@pytest.mark.parametrize("name", FACTORIES)
def test_projected_recurrences_contract_as_wanted(name: str, wanted: float) -> None:
    for scale in (0.3, 3.0, 3.0, 3.0, 100.0):
        recurrence = wild(FACTORIES[name](2), scale)
        project_stable(recurrence, BOUND, wanted)
        assert_contractive(recurrence, BOUND, wanted)


def jacobian_norm(recurrence: Recurrence, state: Tensor, order: float) -> float:
    inputs = torch.zeros(1, recurrence.input_size, dtype=torch.float64)
    jacobian = torch.func.jacrev(lambda each: recurrence.step(inputs, each[None])[0])(state)
    return torch.linalg.matrix_norm(jacobian, order).item()


def test_the_bound_of_an_elman_network_is_attained() -> None:
    recurrence = wild(ElmanRNN(2, 4).double().requires_grad_(False))
    project_stable(recurrence, BOUND, 0.8)
    for bias in (recurrence.bias_ih, recurrence.bias_hh):
        bias.zero_()
    attained = jacobian_norm(recurrence, torch.zeros(4, dtype=torch.float64), 2)
    assert attained == pytest.approx(contraction(recurrence, BOUND).constant, rel=1e-12)
    assert attained == pytest.approx(0.8 * (1 - 1e-3), rel=1e-9)


def test_the_bound_of_an_lstm_is_attained_but_for_the_gates_that_close() -> None:
    # The input gate is open, the forget gate's slope largest, the candidate's tanh at 0 and the cell as full as can be.
    lstm = LSTM(1, 1).double().requires_grad_(False)
    for parameter in lstm.parameters():
        parameter.zero_()
    lstm.bias_ih.copy_(torch.tensor([40.0, 0.0, 0.0, 0.0]))
    lstm.weight_hh.copy_(torch.tensor([[0.0], [1e-3], [0.1], [0.0]]))
    state = torch.tensor([0.0, 2.0], dtype=torch.float64)
    assert jacobian_norm(lstm, state, math.inf) == pytest.approx(0.5 + 1e-3 / 2 + 0.1, rel=1e-7)
    assert contraction(lstm, BOUND).constant == pytest.approx(0.5 + 1e-3 / 2 + 0.1, rel=1e-3)
