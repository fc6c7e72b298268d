"""The truncation measure of one instance."""

import dataclasses
import functools
import math

import numpy as np
import pytest
import torch

from rnnbench.benchmark.measures import build_measure, resolve_measures
from rnnbench.benchmark.measures.truncation import Truncation
from rnnbench.datamodules.task import Batch
from rnnbench.lit_models.dynamics.truncation import truncated_scores, truncation_error
from rnnbench.lit_models.recurrences.gated import GRU, LSTM
from rnnbench.lit_models.stability import project_stable
from tests.contracts.builders import variants
from tests.lit_models import small_runs
from tests.lit_models.small_runs import ELMAN

subject_of = functools.partial(small_runs.subject_of, samples=16, length=12)
IDENTITY, GATED = functools.partial(ELMAN, time_activation="identity"), functools.partial(GRU, hidden_size=4)


@pytest.mark.parametrize(("recurrence", "norm"), [(ELMAN, "2"), (functools.partial(LSTM, hidden_size=4), "inf")])
def test_curves_over_the_powers_of_two_and_the_whole_sequence(recurrence, norm) -> None:
    subject = subject_of(recurrence)
    project_stable(subject.network, 1.0)
    measured = Truncation().take(subject)
    arrays = measured.arrays
    assert arrays["ks"].tolist() == [1, 2, 4, 8, 12]
    ks, network = (1, 2, 4, 8, 12), subject.network
    expected = truncation_error(network.recurrence, subject.encoded(), ks, readout=network.readout)
    np.testing.assert_allclose(arrays["state_error"], expected.state_error.mean((1, 2)), rtol=1e-6)
    np.testing.assert_allclose(arrays["state_error_max"], expected.state_error.amax((1, 2)), rtol=1e-6)
    np.testing.assert_allclose(arrays["output_error"], expected.output_error.mean((1, 2)), rtol=1e-6)
    assert (arrays["state_error_max"] <= arrays["bound"]).all()
    assert (arrays["state_error"][:4] > 0).all()
    scores = truncated_scores(network, subject.task, subject.batch, ks)
    np.testing.assert_allclose(arrays["metric"], scores.scores["rmse"], rtol=1e-6)
    summary = measured.summary
    assert summary["metric"] == "rmse"
    assert summary["metric_full"] == pytest.approx(arrays["metric"][-1], rel=1e-6)
    assert summary["norm"] == norm
    assert 0 < summary["contraction"] < 1


@pytest.mark.parametrize(("slope", "memory"), [(0.005, 1), (0.3, 4), (0.8, None)])
def test_memory_is_the_smallest_k_that_leaves_little_out(slope: float, memory: int | None) -> None:
    subject = subject_of(IDENTITY)
    with torch.no_grad():
        for parameter in subject.network.recurrence.parameters():
            parameter.zero_()
        subject.network.recurrence.weight_hh.copy_(slope * torch.eye(4))
        subject.network.recurrence.bias_ih.fill_(1.0)
    measured = Truncation().take(subject)
    # A constant drive: what is left out of the sum over powers of the slope is its k-th power, nearly.
    state = (1 - slope**12) / (1 - slope)
    kept = [(1 - slope**k) / (1 - slope) for k in (1, 2, 4, 8)]
    expected = [2 * (state - each) for each in kept]
    np.testing.assert_allclose(measured.arrays["state_error"][:4], expected, rtol=1e-4, atol=1e-12)
    assert measured.summary["memory"] == memory
    assert measured.summary["contraction"] == pytest.approx(slope, rel=1e-6)


def test_without_a_known_constant_there_is_no_bound() -> None:
    measured = Truncation(ks=(3, 5)).take(subject_of(GATED))
    assert measured.summary["contraction"] is None
    assert np.isnan(measured.arrays["bound"]).all()
    assert measured.arrays["ks"].tolist() == [3, 5]
    assert math.isfinite(measured.summary["metric_full"])
    assert measured.summary["metric_full"] not in measured.arrays["metric"]


@pytest.mark.parametrize(("cls", "arguments"), variants(slow_extras=True))
def test_sequences_of_unequal_lengths_are_those_alone(cls, arguments) -> None:
    subject = subject_of(functools.partial(cls, **{k: v for k, v in arguments.items() if k != "input_size"}))
    lengths = torch.tensor([12, 1, 5, 8])
    inputs, targets, _ = (None if each is None else each[:4] for each in subject.batch)
    ks, take = (1, 2, 4, 8, 12), Truncation(ks=(1, 2, 4, 8, 12)).take
    inputs[1, 1:] = 1e6  # padding
    found = take(dataclasses.replace(subject, batch=Batch(inputs, targets, lengths)))
    alone = [
        take(dataclasses.replace(subject, batch=Batch(inputs[b : b + 1, :n], targets[b : b + 1]))).arrays
        for b, n in enumerate(lengths.tolist())
    ]
    for name, of in {"state_error": np.mean, "output_error": np.mean, "state_error_max": np.max}.items():
        expected = of([each[name] for each in alone], axis=0)
        np.testing.assert_allclose(found.arrays[name], expected, rtol=1e-5, atol=1e-9)
    assert found.arrays["ks"].tolist() == list(ks)
    squares = [np.square(each["metric"].astype(np.float64)) for each in alone]
    np.testing.assert_allclose(found.arrays["metric"], np.sqrt(np.mean(squares, axis=0)), rtol=1e-4, atol=1e-7)


def test_rounding_errors_do_not_exceed_the_bound() -> None:
    subject = subject_of(functools.partial(ELMAN, hidden_size=100), length=100)
    project_stable(subject.network, 1.0, contraction=0.3)
    arrays = Truncation(ks=(1, 60, 80)).take(subject).arrays
    assert arrays["state_error_max"][0] > 0
    assert (arrays["state_error_max"] <= arrays["bound"]).all()


def test_settings_of_a_suite() -> None:
    (spec,) = resolve_measures(["truncation"])
    assert spec["settings"] | {"ks": None, "samples": 64} == spec["settings"]
    (spec,) = resolve_measures([{"truncation": {"ks": [1, 5], "at": ["end"]}}])
    assert build_measure(spec) == Truncation(at=("end",), ks=(1, 5))
