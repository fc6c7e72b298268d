import functools

import pytest
import torch

from rnnbench.lit_models.dynamics.memory import memory_capacity
from rnnbench.lit_models.recurrences.elman import ElmanRNN
from rnnbench.lit_models.recurrences.gated import LSTM
from rnnbench.lit_models.recurrences.stacked import StackedRNN
from rnnbench.lit_models.recurrences.wcrnn import WCRNN
from tests.contracts.builders import variants


def linear(weight_hh, weight_ih):
    recurrence = ElmanRNN(weight_ih.shape[1], len(weight_hh), time_activation="identity", initialisation="xavier")
    with torch.no_grad():
        recurrence.weight_hh.copy_(weight_hh)
        recurrence.weight_ih.copy_(weight_ih)
    return recurrence


def register(units, gain=1.0):
    """Unit i holds the input of i steps ago, times gain to the power of i."""
    return linear(torch.diag(torch.full((units - 1,), gain), -1), torch.eye(units)[:, :1])


@pytest.mark.parametrize("units", [2, 7, 30])
@pytest.mark.parametrize("gain", [1.0, 0.1])
@pytest.mark.parametrize("distribution", ["uniform", "normal"])
def test_a_shift_register_remembers_exactly_its_units(units, gain, distribution):
    measured = memory_capacity(register(units, gain), delays=units + 10, steps=500, distribution=distribution)
    assert measured.delays.tolist() == list(range(units + 10))
    assert measured.capacity[:units].sub(1).abs().max() < 1e-9
    assert measured.capacity[units:].tolist() == [0.0] * 10
    assert abs(measured.total.item() - units) < 1e-6


@pytest.mark.parametrize(("units", "rotation"), [(5, False), (10, False), (20, False), (50, True)])
def test_a_controllable_linear_network_of_n_units_remembers_n_inputs(units, rotation):
    generator = torch.Generator().manual_seed(units)
    weight = torch.randn(units, units, generator=generator)
    largest = torch.linalg.eigvals(weight).abs().max()
    weight = 0.95 * torch.linalg.qr(weight)[0] if rotation else 0.9 * weight / largest
    recurrence = linear(weight, torch.randn(units, 1, generator=generator))
    measured = memory_capacity(recurrence, delays=4 * units + 100, steps=1000, sequences=50)
    assert abs(measured.total.item() - units) < 0.02 * units


def test_leaky_units_with_one_time_constant_are_one_unit():
    # h is a multiple of Σ λ^s u_{t-s}, whose share of delay τ is (1 - λ²) λ^{2τ}: 1 in all.
    recurrence = linear(0.8 * torch.eye(5), torch.tensor([[1.0], [-2.0], [0.5], [0.1], [3.0]]))
    measured = memory_capacity(recurrence, delays=40, steps=1000, sequences=100)
    known = (1 - 0.8**2) * 0.8 ** (2 * measured.delays.double())
    assert abs(measured.total.item() - 1) < 0.02
    assert (measured.capacity - known).abs().max() < 0.01


def test_features_count_each_for_itself():
    # Two registers side by side, of 3 units for the first and of 2 for the second feature.
    weight = torch.zeros(5, 5)
    weight[1, 0] = weight[2, 1] = weight[4, 3] = 1.0
    inputs = torch.zeros(5, 2)
    inputs[0, 0] = inputs[3, 1] = 1.0
    measured = memory_capacity(linear(weight, inputs), delays=5, steps=500)
    torch.testing.assert_close(measured.capacity, torch.tensor([2.0, 2, 1, 0, 0], dtype=torch.float64))


def test_a_state_that_no_input_reaches_remembers_nothing():
    assert memory_capacity(WCRNN(1, 4, gamma=0.0), delays=6, steps=500).capacity.tolist() == [0.0] * 6


def test_what_chance_explains_is_not_counted():
    # 40 units in 200 steps: any input, remembered or not, is explained by a fifth.
    bare = WCRNN(1, 40, r=0.0, gamma=1.0)
    torch.nn.init.zeros_(bare.recurrent_map.weight)
    totals = [memory_capacity(bare, delays=30, steps=200, seed=seed).capacity[1:].sum() for seed in range(20)]
    assert torch.stack(totals).eq(0).sum() >= 18


@pytest.mark.parametrize("recurrence", [functools.partial(ElmanRNN, 1, 20), functools.partial(LSTM, 1, 20)])
def test_nonlinear_memory_stays_below_the_number_of_states(recurrence):
    nonlinear = recurrence()
    measured = memory_capacity(nonlinear, delays=3 * nonlinear.state_size, steps=4000)
    assert 1 < measured.total.item() < 0.9 * nonlinear.state_size


@pytest.mark.parametrize("layers", [1, 2, 3])
def test_the_top_layer_of_a_linear_stack_is_read_and_the_whole_state_beside_it(layers):
    # The top layer has one unit, and so a capacity of at most 1.
    layer = functools.partial(ElmanRNN, hidden_size=1, time_activation="identity")
    measured = memory_capacity(StackedRNN(1, layer, layers), delays=60, steps=1000, sequences=20)
    assert measured.total.item() == pytest.approx(1, abs=0.05)
    assert measured.state_total.item() == pytest.approx(layers, abs=0.05)
    torch.testing.assert_close(measured.state_total, measured.state_capacity.sum())


def test_small_directions_are_left_out_on_request():
    # Unit 1 is unit 0 plus a thousandth of the input of one step ago.
    recurrence = linear(torch.tensor([[0.0, 0.0], [0.001, 0.0]]), torch.tensor([[1.0], [1.0]]))
    assert memory_capacity(recurrence, delays=3, steps=500).total.item() == pytest.approx(2)
    coarse = memory_capacity(recurrence, delays=3, steps=500, regularisation=0.01)
    assert coarse.total.item() == pytest.approx(1, abs=1e-3)


@pytest.mark.parametrize(("cls", "arguments"), variants(slow_extras=True))
def test_any_recurrence_is_measured(cls, arguments):
    recurrence = cls(**arguments)
    first, again = (memory_capacity(recurrence, delays=6, steps=max(300, 3 * recurrence.state_size)) for _ in range(2))
    assert first.capacity.isfinite().all()
    assert 0 <= first.total.item() <= recurrence.state_size + 0.5
    assert torch.equal(first.capacity, again.capacity)


def test_the_seed_decides_the_inputs():
    recurrence = ElmanRNN(1, 5)
    capacities = [memory_capacity(recurrence, delays=6, steps=300, seed=seed).capacity for seed in (0, 1)]
    assert not torch.equal(*capacities)


def test_an_exploding_state_is_an_error():
    with pytest.raises(FloatingPointError, match="infinite or NaN within 1600 steps"):
        memory_capacity(linear(2 * torch.eye(2), torch.ones(2, 1)), delays=3, steps=1500)


def test_states_whose_squares_overflow_are_measured():
    recurrence = linear(1e-9 * torch.eye(1), torch.full((1, 1), 1e38))
    measured = memory_capacity(StackedGain(recurrence), delays=3, steps=300)
    torch.testing.assert_close(measured.capacity, torch.tensor([1.0, 0, 0], dtype=torch.float64))


class StackedGain(StackedRNN):
    """A linear unit whose state is carried at 10²⁰⁰ times its size."""

    def __init__(self, recurrence):
        super().__init__(1, lambda _: recurrence, 1)

    def advance(self, projected, state):
        return 1e200 * super().advance(projected, state * 1e-200)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"delays": 0}, "delays must be at least 1, got 0"),
        ({"steps": 0}, "steps must be at least 1, got 0"),
        ({"sequences": 0}, "sequences must be at least 1, got 0"),
        ({"delays": 200, "washout": 150}, "washout must be at least 199, got 150"),
        ({"regularisation": -0.1}, "regularisation must be None, or at least 0 and below 1, got -0.1"),
        ({"distribution": "gauss"}, "unknown distribution 'gauss'"),
        ({"steps": 11}, "steps × sequences must be at least 12 for a state of 5, got 11 × 1"),
    ],
)
def test_bad_arguments_are_named(changes, message):
    with pytest.raises(ValueError, match=message):
        memory_capacity(ElmanRNN(1, 5), **{"delays": 5, "steps": 100, **changes})
