"""Information processing capacity by degree and delay: known answers."""

import pytest
import torch

from rnnbench.lit_models.dynamics.memory import memory_capacity
from rnnbench.lit_models.dynamics.processing_capacity import processing_capacity
from rnnbench.lit_models.recurrence import Recurrence
from rnnbench.lit_models.recurrences.elman import ElmanRNN
from tests.lit_models.dynamics.maps import Square
from tests.lit_models.dynamics.test_memory import linear, register


class Explicit(Recurrence):
    """The state is the last input x of D features, and functions of it and of the input y before it."""

    def __init__(self, features, function):
        super().__init__(features, 2 * features, 2 * features)
        self.function = function

    def advance(self, projected, state):
        last = state[:, : self.input_size]
        return torch.cat([projected, self.function(projected, last)], -1)


@pytest.mark.parametrize("units", [1, 5])
def test_a_shift_register_has_degree_1_only_and_as_much_as_it_has_units(units):
    measured = processing_capacity(register(units), functions=200, steps=1000)
    assert measured.by_degree[1:].tolist() == [0.0, 0.0]
    torch.testing.assert_close(measured.capacity[0, :units], torch.ones(units, dtype=torch.float64))
    assert measured.total.item() == pytest.approx(units)
    assert measured.rank == units


def test_a_linear_network_has_degree_1_only_and_the_memory_capacity():
    generator = torch.Generator().manual_seed(0)
    weight = 0.9 * torch.linalg.qr(torch.randn(8, 8, generator=generator))[0]
    recurrence = linear(weight, torch.randn(8, 2, generator=generator))
    measured = processing_capacity(recurrence, degrees=2, functions=200, steps=5000)
    assert measured.by_degree[1].item() == 0
    assert measured.total.item() == pytest.approx(8, abs=0.4)
    remembered = memory_capacity(recurrence, delays=100, steps=5000)
    torch.testing.assert_close(measured.capacity[0], remembered.capacity, atol=0.03, rtol=0)


@pytest.mark.parametrize(
    ("features", "function", "known"),
    [
        (1, lambda x, y: x * y, {(1, 0): 1, (2, 1): 1}),
        (1, lambda x, y: (3 * y**2 - 1) * x, {(1, 0): 1, (3, 1): 1}),
        # x³ = (2 P₃ + 3 P₁) / 5: what degree 1 leaves of it is of degree 3.
        (1, lambda x, y: x**3, {(1, 0): 1, (3, 0): 1}),
        # A feature times the other one's past, and its own square.
        (2, lambda x, y: torch.stack([x[:, 0] * y[:, 1], x[:, 1] ** 2], -1), {(1, 0): 2, (2, 0): 1, (2, 1): 1}),
    ],
)
def test_known_functions_are_found_at_their_degree_and_largest_delay(features, function, known):
    measured = processing_capacity(Explicit(features, function), functions=300, steps=1000)
    found = {(g + 1, p): measured.capacity[g, p].item() for g, p in measured.capacity.nonzero().tolist()}
    assert found == pytest.approx(known)


def test_of_a_nonlinear_network_with_fading_memory_the_total_is_the_number_of_units():
    torch.manual_seed(0)
    network = ElmanRNN(1, 3)
    with torch.no_grad():
        network.weight_ih.mul_(3)
    measured = processing_capacity(network, degrees=5, functions=300, steps=8000)
    assert measured.rank == 3
    assert measured.total.item() == pytest.approx(3, abs=0.3)
    assert 1 < measured.by_degree[0].item() < 2.9


def test_what_chance_explains_is_not_counted():
    # 30 units of their own noise: nothing of the inputs is in them.
    totals = [processing_capacity(Noise(), degrees=2, functions=200, steps=200, seed=seed).total for seed in range(10)]
    assert torch.stack(totals).eq(0).sum() >= 9


class Noise(Recurrence):
    """A chaotic map of 30 units that no input reaches."""

    def __init__(self):
        super().__init__(1, 30)

    def initial_state(self, batch_size):
        return torch.linspace(0.1, 0.4, 30, dtype=torch.float64).sqrt().expand(batch_size, -1)

    def advance(self, projected, state):
        return 1 - 1.99 * state**2


@pytest.mark.parametrize(
    ("recurrence", "changes", "message"),
    [
        (ElmanRNN(1, 5), {"degrees": 0}, "degrees must be at least 1, got 0"),
        (ElmanRNN(3, 5), {"functions": 9}, "functions must be at least 10 for degree 3 of 3 inputs, got 9"),
        (ElmanRNN(1, 5), {"steps": 11}, "steps × sequences must be at least 12 for a state of 5, got 11 × 1"),
    ],
)
def test_bad_arguments_are_named(recurrence, changes, message):
    with pytest.raises(ValueError, match=message):
        processing_capacity(recurrence, **changes)


def test_states_that_overflow_are_an_error():
    growing = Square()
    growing.initial_state = lambda batch_size: torch.full((batch_size, 1), 2.0)
    with pytest.raises(FloatingPointError, match="infinite or NaN"):
        processing_capacity(growing, degrees=1, functions=5, steps=100)
