import functools
import math

import pytest
import torch

from rnnbench.lit_models.dynamics.polynomial_degree import polynomial_degree
from rnnbench.lit_models.recurrence import Recurrence
from rnnbench.lit_models.recurrences.elman import ElmanRNN
from rnnbench.lit_models.recurrences.gated import GRU, LSTM
from rnnbench.lit_models.recurrences.second_order import SecondOrderRNN
from rnnbench.lit_models.recurrences.stacked import StackedRNN
from rnnbench.lit_models.recurrences.wcrnn import WCRNN
from tests.contracts.builders import variants


class Explicit(Recurrence):
    """h_t = f(x_t), for known answers."""

    def __init__(self, function):
        super().__init__(1, 1)
        self.function = function

    def advance(self, projected, state):
        return self.function(projected)


@pytest.mark.parametrize("rank", [None, 2])
@pytest.mark.parametrize("layers", [1, 2, 3])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_a_multiplicative_stack_has_the_degree_of_pascals_triangle(layers, rank, seed):
    # Layer l multiplies its last state by what layer l-1 gives now: d_l(t) = d_l(t-1) + d_{l-1}(t), with d_0(t) = 1 and
    # d_l(0) = 0. That is Pascal's rule for C(t+l-1, l) = C(t+l-2, l) + C(t+l-2, l-1).
    torch.manual_seed(seed)
    layer = functools.partial(SecondOrderRNN, hidden_size=3, rank=rank, time_activation="identity")
    measured = polynomial_degree(StackedRNN(2, layer, num_layers=layers), 4)
    known = [math.comb(t + layers - 1, layers) for t in measured.steps.tolist()]
    assert measured.steps.tolist() == [1, 2, 3, 4]
    assert measured.settled.all()
    assert measured.degree.tolist() == pytest.approx(known, abs=0.01)


@pytest.mark.parametrize(
    ("recurrence", "known"),
    [
        (functools.partial(ElmanRNN, 2, 4, time_activation="identity"), 1),
        (functools.partial(ElmanRNN, 2, 8, time_activation="relu"), 1),
        (functools.partial(ElmanRNN, 2, 4), 0),
        (functools.partial(LSTM, 2, 4), 0),
        (functools.partial(GRU, 2, 4), 0),
        (functools.partial(WCRNN, 2, 4), 0),
    ],
)
def test_linear_networks_have_degree_one_and_bounded_ones_none(recurrence, known):
    measured = polynomial_degree(recurrence(), 6)
    assert measured.settled.all()
    assert measured.degree.tolist() == pytest.approx([known] * 6, abs=0.01)


def test_a_faint_leading_term_decides_all_the_same():
    # Up to x = 10⁶ the slope is that of x, with every sign of having settled.
    measured = polynomial_degree(Explicit(lambda x: x + 1e-6 * x**2), 1)
    assert measured.degree.item() == pytest.approx(2, abs=1e-6)


def test_what_is_always_zero_has_no_degree():
    measured = polynomial_degree(WCRNN(1, 3, gamma=0.0), 2)
    assert measured.degree.tolist() == [-math.inf, -math.inf]
    assert measured.settled.all()


def test_what_dies_out_is_bounded():
    measured = polynomial_degree(Explicit(lambda x: (-x.square()).exp()), 1)
    assert (measured.degree.item(), measured.settled.item()) == (0.0, True)


@pytest.mark.parametrize("function", [lambda x: x.square().exp(), lambda x: x / 0])
def test_what_overflows_before_there_is_a_slope_has_not_settled(function):
    assert not polynomial_degree(Explicit(function), 2).settled.any()


def test_steps_that_overflow_early_do_not_hold_up_others():
    # Degrees 1, 3, 7, …, 2^t - 1.
    class Doubling(Explicit):
        def advance(self, projected, state):
            return projected * (state * state + 1)

    measured = polynomial_degree(Doubling(None), 10)
    assert measured.settled[:6].all()
    assert not measured.settled[-1]
    assert measured.degree[:6].tolist() == pytest.approx([1, 3, 7, 15, 31, 63], abs=0.01)


@pytest.mark.parametrize(("cls", "arguments"), variants())
def test_any_recurrence_is_measured(cls, arguments):
    measured = polynomial_degree(cls(**arguments), 3)
    assert measured.settled.all()
    rounded = measured.degree.round()
    assert torch.where(measured.degree == rounded, 0.0, measured.degree - rounded).abs().max() < 0.01


@pytest.mark.parametrize(("length", "samples", "message"), [(0, 8, "length must"), (4, 0, "samples must")])
def test_bad_arguments_are_named(length, samples, message):
    with pytest.raises(ValueError, match=message):
        polynomial_degree(ElmanRNN(1, 2), length, samples=samples)
