"""How spectra and finite-time exponents are computed: intervals, transients, counts, bad numbers and bad arguments."""

import functools
import math

import pytest
import torch
from torch.func import jacfwd, vmap

from rnnbench.lit_models.dynamics import log_growth
from rnnbench.lit_models.dynamics.lyapunov import finite_time_exponents, lyapunov_spectrum
from rnnbench.lit_models.recurrence import Recurrence
from rnnbench.lit_models.recurrences.elman import ElmanRNN
from rnnbench.lit_models.recurrences.gated import GRU, LSTM
from rnnbench.lit_models.recurrences.stacked import StackedRNN
from rnnbench.lit_models.recurrences.wcrnn import WCRNN
from tests.lit_models.dynamics.maps import DrivenLinearMap, Henon, LinearMap, Square, no_inputs, normal

STATE = 6
NETWORKS = {
    "LSTM": lambda: LSTM(2, 3),
    "GRU": lambda: GRU(2, 6),
    "stack": lambda: StackedRNN(2, functools.partial(GRU, hidden_size=3), num_layers=2),
}
for_networks = pytest.mark.parametrize("name", NETWORKS)


def make(name: str) -> Recurrence:
    network = NETWORKS[name]().double()
    assert network.state_size == STATE
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.mul_(1.5)
    return network


def straightforward(recurrence: Recurrence, inputs: torch.Tensor) -> torch.Tensor:
    """Log-factors [T, B, S] by building every Jacobian."""
    state, batch_size = recurrence.initial_state(inputs.shape[1]), inputs.shape[1]
    frame = torch.eye(recurrence.state_size, dtype=inputs.dtype).expand(batch_size, -1, -1)
    factors = []
    for step in inputs.unbind(0):
        jacobian = vmap(jacfwd(lambda x, h: recurrence.step(x[None], h[None])[0], argnums=1))(step, state)
        state = recurrence.step(step, state)
        frame, triangle = torch.linalg.qr(jacobian @ frame)
        factors.append(triangle.diagonal(dim1=-2, dim2=-1).abs().log())
    return torch.stack(factors).detach()


def close(found: torch.Tensor, expected: torch.Tensor, tolerance: float) -> None:
    torch.testing.assert_close(found, expected, atol=tolerance, rtol=0.0)


@for_networks
@pytest.mark.parametrize("qr_every", ["auto", 1, 3])
def test_spectrum_of_straightforward_method(name: str, qr_every) -> None:
    recurrence, inputs = make(name), normal(50, 3, 2)
    factors = straightforward(recurrence, inputs)
    spectrum = lyapunov_spectrum(recurrence, inputs, qr_every=qr_every)
    close(spectrum.exponents, factors.mean(0).sort(-1, descending=True)[0], 1e-9)
    finite = finite_time_exponents(recurrence, inputs)
    close(finite.log_factors, factors, 1e-9)
    close(finite.running_means[19], factors[:20].mean(0), 1e-9)


@for_networks
def test_whole_spectrum_of_nearby_trajectories(name: str) -> None:
    recurrence, inputs, size = make(name), normal(30, 1, 2), 1e-6
    state, frame, growth = recurrence.initial_state(1), torch.eye(STATE, dtype=torch.float64), 0.0
    for step in inputs.unbind(0):
        repeated = step.expand(STATE, -1)
        ahead, behind = recurrence.step(repeated, state + size * frame), recurrence.step(repeated, state - size * frame)
        frame, triangle = torch.linalg.qr(((ahead - behind) / (2 * size)).detach().t())
        frame, state = frame.t(), recurrence.step(step, state).detach()
        growth = growth + triangle.diagonal().abs().log()
    expected = (growth / len(inputs)).sort(descending=True)[0]
    close(lyapunov_spectrum(recurrence, inputs).exponents[0], expected, 1e-4)


def test_adaptive_interval_equals_every_step() -> None:
    recurrence, inputs = WCRNN(1, 20, r=1.0, gamma=0.1), normal(300, 4, 1)
    every = lyapunov_spectrum(recurrence, inputs, qr_every=1)
    adaptive = lyapunov_spectrum(recurrence, inputs)
    assert len(adaptive.curve_steps) < len(every.curve_steps) / 4
    close(adaptive.exponents, every.exponents, 1e-7)


def test_interval_that_became_too_long_is_done_again(monkeypatch: pytest.MonkeyPatch) -> None:
    calm, strong = torch.eye(3).double(), torch.diag(torch.tensor([1e3, 1.0, 1e-3])).double()
    turn = torch.linalg.qr(normal(3, 3))[0]
    inputs = torch.stack([*[calm] * 40, *[turn @ strong] * 40]).flatten(1).unsqueeze(1)
    strains, true = [], log_growth.IntervalRule.strain
    monkeypatch.setattr(log_growth.IntervalRule, "strain", lambda *args: strains.append(true(*args)) or strains[-1])
    adaptive = lyapunov_spectrum(DrivenLinearMap(3), inputs)
    assert max(strains) > 1
    every = lyapunov_spectrum(DrivenLinearMap(3), inputs, qr_every=1)
    close(adaptive.exponents, every.exponents, 1e-9)


def test_given_interval_gives_way_before_numbers_end() -> None:
    diagonal = torch.tensor([1e30, 1.0, 1e-30], dtype=torch.float64)
    spectrum = lyapunov_spectrum(LinearMap(diagonal.diag()), no_inputs(64, 1), qr_every=32)
    close(spectrum.exponents[0], diagonal.log(), 1e-9)


def test_leading_exponents_are_the_first_of_all() -> None:
    recurrence, inputs = make("GRU"), normal(400, 2, 2)
    whole = lyapunov_spectrum(recurrence, inputs, tangent_transient=200)
    leading = lyapunov_spectrum(recurrence, inputs, tangent_transient=200, count=2)
    assert leading.exponents.shape == (2, 2)
    close(leading.exponents, whole.exponents[:, :2], 1e-6)
    other_start = lyapunov_spectrum(recurrence, inputs, tangent_transient=200, count=2, seed=7)
    assert not torch.equal(other_start.exponents, leading.exponents)
    close(other_start.exponents, leading.exponents, 1e-6)


def test_transients_are_run_and_not_counted() -> None:
    recurrence, inputs = make("LSTM"), normal(40, 2, 2)
    spectrum = lyapunov_spectrum(recurrence, inputs, state_transient=7, tangent_transient=5)
    state = recurrence(inputs[:7])[1].detach()
    assert spectrum.steps == 28
    later = finite_time_exponents(recurrence, inputs[7:], state=state).log_factors[5:]
    close(spectrum.exponents, later.mean(0).sort(-1, descending=True)[0], 1e-9)


def test_curve_and_convergence() -> None:
    recurrence, inputs = make("LSTM"), normal(31, 2, 2)
    spectrum = lyapunov_spectrum(recurrence, inputs, qr_every=1)
    assert spectrum.curve_steps.tolist() == list(range(1, 32))
    assert torch.equal(spectrum.curve[-1], spectrum.exponents)
    close(spectrum.convergence, (spectrum.curve[14] - spectrum.exponents).abs(), 1e-14)
    assert spectrum.convergence.max() > 0
    assert lyapunov_spectrum(recurrence, inputs[:1]).convergence.isnan().all()


def test_long_curve_is_thinned_and_keeps_its_end() -> None:
    spectrum = lyapunov_spectrum(LinearMap(torch.eye(1).double()), no_inputs(2500, 1), qr_every=1)
    assert len(spectrum.curve_steps) <= 1024
    assert spectrum.curve_steps[-1] == 2500
    assert (spectrum.curve_steps.diff() > 0).all()
    # So many steps are more than one chunk.
    assert log_growth.MOST_STEPS < 2500


def test_mean_and_standard_error() -> None:
    spectrum = lyapunov_spectrum(make("LSTM"), normal(20, 5, 2))
    close(spectrum.mean, spectrum.exponents.mean(0), 1e-12)
    close(spectrum.standard_error, spectrum.exponents.std(0) / math.sqrt(5), 1e-12)
    assert lyapunov_spectrum(make("LSTM"), normal(20, 1, 2)).standard_error.isnan().all()


@pytest.mark.parametrize("qr_every", ["auto", 1, 50])
def test_diverging_sequence_is_nan_and_touches_no_other(qr_every) -> None:
    start = torch.tensor([[0.9, 0.1], [5.0, 0.0], [0.2, 0.1]], dtype=torch.float64)
    together = lyapunov_spectrum(Henon(), no_inputs(100, 3), state=start, qr_every=qr_every)
    alone = lyapunov_spectrum(Henon(), no_inputs(100, 2), state=start[[0, 2]], qr_every=qr_every)
    assert together.finite.tolist() == [True, False, True]
    for values in (together.exponents, together.convergence, together.kaplan_yorke, together.entropy_rate):
        assert values[1].isnan().all()
        assert values[[0, 2]].isfinite().all()
    assert together.curve[:, 1].isnan().all()
    close(together.exponents[[0, 2]], alone.exponents, 1e-9)
    close(together.mean, alone.mean, 1e-9)
    finite = finite_time_exponents(Henon(), no_inputs(100, 3), state=start)
    assert finite.finite.tolist() == [True, False, True]
    assert finite.log_factors[:, 1].isnan().all()
    assert finite.running_means[:, [0, 2]].isfinite().all()


def test_all_sequences_diverge() -> None:
    start = torch.tensor([[3.0], [2.0]], dtype=torch.float64)
    spectrum = lyapunov_spectrum(Square(), no_inputs(2000, 2), state=start)
    assert not spectrum.finite.any()
    assert spectrum.exponents.isnan().all()
    assert spectrum.mean.isnan().all()
    assert finite_time_exponents(Square(), no_inputs(2000, 2), state=start).running_means.isnan().all()


def test_derivative_that_is_not_finite() -> None:
    class Root(Square):
        def advance(self, projected: torch.Tensor, state: torch.Tensor) -> torch.Tensor:
            return state.sqrt() + projected

    start = torch.tensor([[0.0], [2.0]], dtype=torch.float64)
    spectrum = lyapunov_spectrum(Root(), no_inputs(30, 2), state=start)
    assert spectrum.finite.tolist() == [False, True]
    assert spectrum.exponents[1].isfinite().all()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"count": 0}, "count must be at least 1, got 0"),
        ({"count": 5}, "count must be at most 4, got 5"),
        ({"state_transient": -1}, "state_transient must be at least 0, got -1"),
        ({"tangent_transient": -2}, "tangent_transient must be at least 0, got -2"),
        ({"state_transient": 6, "tangent_transient": 4}, "must sum to less than the 10 inputs, got 6 and 4"),
        ({"qr_every": 0}, "qr_every must be at least 1, got 0"),
        ({"qr_every": "often"}, "qr_every must be an integer, got 'often'"),
        ({"state": torch.zeros(2, 3)}, r"state must have the shape \[2, 4\], got \[2, 3\]"),
    ],
)
def test_bad_arguments(arguments: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        lyapunov_spectrum(ElmanRNN(2, 4), normal(10, 2, 2), **arguments)


@pytest.mark.parametrize("shape", [(10, 2), (10, 2, 3), (0, 2, 2), (10, 0, 2)])
def test_bad_inputs(shape: tuple[int, ...]) -> None:
    for measure in (lyapunov_spectrum, finite_time_exponents):
        with pytest.raises(ValueError, match=r"inputs must have the shape \[T, B, 2\]"):
            measure(ElmanRNN(2, 4), torch.zeros(shape))
