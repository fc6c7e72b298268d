"""The rank of the map from past inputs to the state."""

import math

import pytest
import torch

from rnnbench.lit_models.dynamics.effective_state import effective_state
from rnnbench.lit_models.recurrences.gated import LSTM
from rnnbench.lit_models.recurrences.wcrnn import WCRNN
from tests.contracts.builders import variants
from tests.lit_models.dynamics.maps import Square, normal
from tests.lit_models.dynamics.test_memory import linear, register


@pytest.mark.parametrize("delay", [2, 7, 30])
def test_the_rank_of_a_shift_register_is_its_delay(delay):
    found = effective_state(register(delay), normal(3 * delay, 2, 1))
    assert found.rank.tolist() == [delay] * 2
    torch.testing.assert_close(found.entropy, torch.full((2,), float(delay), dtype=torch.float64))
    assert effective_state(register(delay), normal(delay - 1, 1, 1)).rank.tolist() == [delay - 1]


def test_it_is_the_rank_of_the_controllability_matrix():
    # Of three units one is driven by none of the inputs, and two see the same.
    weight = torch.diag(torch.tensor([0.5, 0.5, 0.9, 0.3]))
    found = effective_state(linear(weight, torch.tensor([[1.0], [2.0], [0.0], [1.0]])), normal(20, 1, 1))
    assert found.rank.tolist() == [2]
    assert effective_state(WCRNN(1, 4, gamma=0.0), normal(5, 1, 1)).entropy.tolist() == [0.0]


def test_it_is_the_svd_of_the_whole_jacobian():
    torch.manual_seed(0)
    recurrence, inputs = LSTM(2, 2).double().requires_grad_(False), normal(9, 1, 2)
    jacobian = torch.autograd.functional.jacobian(lambda x: recurrence(x)[1], inputs).reshape(4, 18)
    found = effective_state(recurrence, inputs, tolerance=0.1)
    values = torch.linalg.svdvals(jacobian)
    torch.testing.assert_close(found.singular_values[0], values, rtol=1e-9, atol=1e-12)
    assert found.rank.item() == (values > 0.1 * values[0]).sum()
    share = values / values.sum()
    assert found.entropy.item() == pytest.approx(math.exp(-(share * share.log()).sum()))


@pytest.mark.parametrize(("cls", "arguments"), variants(slow_extras=True))
def test_any_recurrence_is_measured(cls, arguments):
    recurrence = cls(**arguments)
    found = effective_state(recurrence, normal(4, 2, recurrence.input_size))
    # Units of relu may all be silent.
    assert ((found.rank >= 0) & (found.rank <= min(recurrence.state_size, 4 * recurrence.input_size))).all()
    assert ((found.entropy >= found.rank.clamp(max=1) - 1e-9) & (found.entropy <= recurrence.state_size + 1e-9)).all()


def test_bad_arguments_and_states_that_overflow_are_errors():
    with pytest.raises(ValueError, match="tolerance must be at least 0 and at most 1, got 2"):
        effective_state(LSTM(1, 2), normal(5, 1, 1), tolerance=2)
    with pytest.raises(FloatingPointError, match="infinite or NaN within 20 steps"):
        effective_state(Square(), normal(20, 1, 1), state=torch.full((1, 1), 2.0))
