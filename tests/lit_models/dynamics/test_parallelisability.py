"""Newton's method over whole sequences: against dense Jacobians, known counts, and contraction against chaos."""

import functools
import math

import pytest
import torch
from torch.func import jacrev, vmap

from rnnbench.lit_models.dynamics.lyapunov import lyapunov_spectrum
from rnnbench.lit_models.dynamics.parallelisability import parallelisability
from rnnbench.lit_models.dynamics.truncation import truncation_error
from rnnbench.lit_models.recurrence import Recurrence
from rnnbench.lit_models.recurrences.elman import ElmanRNN
from rnnbench.lit_models.recurrences.gated import LSTM
from rnnbench.lit_models.recurrences.stacked import StackedRNN
from tests.contracts.builders import variants
from tests.lit_models.dynamics.maps import DrivenLinearMap, Henon, Square, no_inputs, normal

LENGTHS = (4, 16, 64)


class ScalarMap(Recurrence):
    """h <- tanh(h / 2 + x)."""

    def __init__(self) -> None:
        super().__init__(1, 1)

    def advance(self, projected, state):
        return torch.tanh(0.5 * state + projected)


class GivenTanhNetwork(Recurrence):
    """h <- J tanh(h) + x with a J of each sequence's own, given as inputs [T, B, N² + N]: many networks at once."""

    def __init__(self, units: int) -> None:
        super().__init__(units**2 + units, units)

    def advance(self, projected, state):
        matrix, own = projected.split([self.state_size**2, self.state_size], -1)
        return (matrix.unflatten(-1, (self.state_size, -1)) @ state.tanh().unsqueeze(-1)).squeeze(-1) + own


def dense(recurrence, inputs, lengths, tolerance, diagonal):
    """The iterations of one sequence [T, D], as the sources write them: A_t h'_{t-1} + b_t with A_t in full."""
    step = lambda x, h: recurrence.step(x[None], h[None])[0]  # noqa: E731
    states = [recurrence.initial_state(1)[0].double()]
    for x in inputs:
        states.append(step(x, states[-1]))
    states, counts = torch.stack(states), {}
    guess = states[:1].repeat(len(states), 1)
    for count in range(len(states)):
        right = (guess - states).abs().amax(-1) <= tolerance * states.abs().amax(-1).clamp(min=1)
        counts |= {length: count for length in lengths if length not in counts and right[: length + 1].all()}
        jacobians = vmap(jacrev(step, argnums=1))(inputs, guess[:-1])
        jacobians = jacobians * torch.eye(len(guess[0])) if diagonal else jacobians
        following = [states[0]]
        for x, old, jacobian in zip(inputs, guess[:-1], jacobians, strict=True):
            following.append(jacobian @ following[-1] + step(x, old) - jacobian @ old)
        guess = torch.stack(following)
    return [counts[length] for length in lengths]


@pytest.mark.parametrize("tolerance", [1e-2, 1e-6])
@pytest.mark.parametrize("layer", [functools.partial(LSTM, hidden_size=3), functools.partial(ElmanRNN, hidden_size=4)])
def test_it_counts_what_dense_jacobians_count(layer, tolerance):
    torch.manual_seed(1)
    recurrence = StackedRNN(2, layer, 2).double().requires_grad_(False)
    inputs, lengths = 2 * normal(12, 2, 2), (2, 7, 12)
    found = parallelisability(recurrence, inputs, lengths, tolerance=tolerance)
    for b in range(2):
        assert found.newton[:, b].tolist() == dense(recurrence, inputs[:, b], lengths, tolerance, False)
        assert found.diagonal[:, b].tolist() == dense(recurrence, inputs[:, b], lengths, tolerance, True)


def test_a_map_linear_in_the_state_takes_one_iteration_whatever_its_exponents():
    inputs = normal(64, 3, 16) * torch.tensor([0.1, 0.3, 0.8])[:, None]
    start = normal(3, 4, seed=1)
    assert parallelisability(DrivenLinearMap(4), inputs, LENGTHS, state=start).newton.eq(1).all()


def test_a_contractive_scalar_map_takes_what_its_constants_allow_at_every_length():
    # E' ≤ C E², with C = sup|f''| / (2 (1 - sup|f'|)) and E ≤ 1 at first.
    found = parallelisability(ScalarMap(), normal(64, 5, 1), LENGTHS)
    constant = 0.5**2 * 4 / (3 * math.sqrt(3)) / (2 * (1 - 0.5))
    allowed = math.ceil(math.log2(math.log(1e-6 * constant) / math.log(constant)))
    assert found.newton.max() <= allowed <= 4
    assert torch.equal(found.newton, found.diagonal)


@pytest.mark.parametrize("constant", [0.3, 0.8])
def test_without_a_diagonal_iterations_are_inputs_of_a_truncation(constant):
    # Two units that hand each other a share of their value: after i iterations the last i inputs are in the state.
    swap = ElmanRNN(1, 2, time_activation="identity", initialisation="xavier")
    with torch.no_grad():
        swap.weight_ih.fill_(1.0)
        swap.weight_hh.copy_(constant * torch.tensor([[0.0, 1.0], [1.0, 0.0]]))
    inputs, lengths = torch.ones(100, 1, 1, dtype=torch.float64), (10, 80, 100)
    counts = parallelisability(swap, inputs, lengths).diagonal[:, 0].tolist()
    needed = math.ceil(math.log(1e-6) / math.log(swap.weight_hh.max().item()))
    assert counts == [min(needed, length) for length in lengths]
    error = truncation_error(swap, inputs, [int(counts[2]) - 1, int(counts[2])])
    short, enough = (error.state_error[:, 0, 0] / error.state_norm[0, 0]).tolist()
    assert enough <= 1e-6 < short


@pytest.mark.parametrize(("units", "gain", "lengths"), [(16, 0.5, (16, 32, 64)), (32, 6.0, (4, 8, 16, 32))])
def test_contraction_takes_a_logarithm_of_the_length_at_most_and_chaos_takes_a_share_of_it(units, gain, lengths):
    """Ten random networks each, J of variance g²/N: the threshold at λ₁ = 0 of Gonzalez et al. 2025, figure 2."""
    networks, steps = 10, 64
    matrices = normal(networks, units**2, seed=1) * gain / math.sqrt(units)
    inputs = torch.cat([matrices.expand(steps, -1, -1), 0.1 * normal(steps, networks, units)], -1)
    exponents = lyapunov_spectrum(GivenTanhNetwork(units), inputs, count=1).exponents[:, 0]
    assert (exponents.abs() > 0.2).all()
    assert (exponents < 0).all() == (gain < 1)
    found = parallelisability(GivenTanhNetwork(units), inputs, lengths)
    shortest, longest = found.newton[0], found.newton[-1]
    if gain < 1:
        assert (longest / shortest <= math.log(lengths[-1], lengths[0])).all()
        assert longest.max() <= 4
        # Those of the diagonal end, too, but later: they are the steps that the map forgets in.
        assert (found.diagonal[-1] / found.diagonal[-2] <= math.log(64, 32)).all()
    else:
        assert (longest / shortest >= 0.8 * lengths[-1] / lengths[0]).all()
        assert (found.diagonal[-1] == lengths[-1]).all()


def test_overflowing_guesses_start_again_and_no_more_than_T_iterations_are_needed():
    # From 0 the linearisation of x² around large guesses overflows; the attractor is bounded.
    found = parallelisability(Henon(), no_inputs(30, 1), (10, 30))
    assert (found.newton[:, 0] <= torch.tensor([10, 30])).all()
    assert (found.diagonal[:, 0] <= torch.tensor([10, 30])).all()
    assert found.newton[1] > 10


@pytest.mark.parametrize(("cls", "arguments"), variants(slow_extras=True))
def test_any_recurrence_is_measured(cls, arguments):
    recurrence = cls(**arguments)
    found = parallelisability(recurrence, normal(6, 2, recurrence.input_size), (1, 6))
    for counts in (found.newton, found.diagonal):
        assert counts[0].max() <= 1
        assert ((counts >= 0) & (counts <= 6)).all()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"steps": ()}, r"steps must increase and be at most 5, the steps of the inputs, got \[\]"),
        ({"steps": (3, 3)}, r"steps must increase .* got \[3, 3\]"),
        ({"steps": (3, 6)}, r"steps must increase and be at most 5, .* got \[3, 6\]"),
        ({"steps": (0, 3)}, r"steps\[0\] must be at least 1, got 0"),
        ({"tolerance": 0.0}, "tolerance must be above 0, got 0.0"),
    ],
)
def test_bad_arguments_are_named(changes, message):
    with pytest.raises(ValueError, match=message):
        parallelisability(ScalarMap(), **{"inputs": normal(5, 2, 1), "steps": (5,), **changes})


def test_states_that_overflow_are_an_error():
    with pytest.raises(FloatingPointError, match="infinite or NaN within 20 steps"):
        parallelisability(Square(), no_inputs(20, 1), (20,), state=torch.full((1, 1), 2.0))
