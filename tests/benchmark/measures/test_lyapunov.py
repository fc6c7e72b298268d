"""The measure ``lyapunov`` as runs take it."""

import functools
import math

import numpy as np
import pytest
import torch

from rnnbench.benchmark.measures.base import Measured, Subject
from rnnbench.benchmark.measures.lyapunov import Lyapunov
from rnnbench.datamodules.task import Batch, Metric, Task
from rnnbench.lit_models.dynamics.lyapunov import finite_time_exponents, lyapunov_spectrum
from rnnbench.lit_models.network import Network, make_network
from rnnbench.lit_models.recurrences.elman import ElmanRNN
from rnnbench.lit_models.recurrences.gated import LSTM
from rnnbench.lit_models.recurrences.truncation import FeedForwardTruncation

ACCURACY = Metric("accuracy", "max", chance=1 / 3, best=1.0)
TASK = Task("made", input_size=2, output_size=3, steps=9, readout="last", loss="cross_entropy", metrics=(ACCURACY,))


def subject(network: Network, steps: int = 9) -> Subject:
    inputs = torch.randn(4, steps, 2, generator=torch.Generator().manual_seed(1))
    batch = Batch(inputs, torch.zeros(4, dtype=torch.int64), None)
    return Subject(network, TASK, batch, lambda: iter(()), lambda length, count: (TASK, batch))


def take(network: Network, steps: int = 9, **settings: object) -> Measured:
    return Lyapunov(**settings).take(subject(network, steps))


def lstm() -> Network:
    return make_network(functools.partial(LSTM, hidden_size=3), TASK, 0)


def test_summary_and_arrays() -> None:
    network = lstm()
    inputs = subject(network).encoded()
    measured = take(network, state_transient=1, tangent_transient=2)
    spectrum = lyapunov_spectrum(network.recurrence, inputs, state_transient=1, tangent_transient=2)
    expected = {
        "mean": spectrum.exponents.mean().item(),
        "largest": spectrum.exponents[:, 0].mean().item(),
        "largest_se": spectrum.exponents[:, 0].std().item() / 2,
        "smallest": spectrum.exponents[:, -1].mean().item(),
        "kaplan_yorke": 0.0,
        "entropy_rate": 0.0,
        "convergence": spectrum.convergence.max().item(),
        "minus_infinite": 0,
        "not_finite": 0,
        "sequences": 4,
        "steps": 6,
    }
    assert measured.summary == pytest.approx(expected)
    assert all(isinstance(value, (int, float)) for value in measured.summary.values())
    np.testing.assert_allclose(measured.arrays["exponents"], spectrum.exponents.numpy(), rtol=1e-6)
    assert measured.arrays["curve_steps"].tolist() == list(range(1, 10))
    means = finite_time_exponents(network.recurrence, inputs[:, :1]).running_means[:, 0]
    np.testing.assert_allclose(measured.arrays["curve"], means.numpy(), rtol=1e-6)


def test_long_curve_is_spread_over_a_hundred_points() -> None:
    arrays = take(lstm(), steps=230).arrays
    assert arrays["curve"].shape == (100, 6)
    assert arrays["curve_steps"][[0, -1]].tolist() == [1, 230]
    assert set(np.diff(arrays["curve_steps"])) == {2, 3}


def test_lost_directions_are_counted() -> None:
    window = functools.partial(FeedForwardTruncation, recurrence=functools.partial(ElmanRNN, hidden_size=3), k=2)
    measured = take(make_network(window, TASK, 0))
    assert measured.summary["minus_infinite"] == 4 * 6
    assert measured.summary["largest"] == -math.inf
    assert measured.summary["convergence"] == 0
    assert measured.summary["largest_se"] == 0


def test_diverging_network_is_an_error() -> None:
    network = make_network(functools.partial(ElmanRNN, hidden_size=3, time_activation="identity"), TASK, 0)
    with torch.no_grad():
        network.recurrence.weight_hh.mul_(1e200)
    with pytest.raises(ArithmeticError, match="all 4 sequences are not finite"):
        take(network)


def test_some_sequences_not_finite() -> None:
    network = lstm()
    given = subject(network)
    given.batch.inputs[2, 3, 0] = math.nan
    measured = Lyapunov().take(given)
    assert measured.summary["not_finite"] == 1
    assert np.isnan(measured.arrays["exponents"]).all(1).tolist() == [False, False, True, False]
    assert all(math.isfinite(value) for value in measured.summary.values())
