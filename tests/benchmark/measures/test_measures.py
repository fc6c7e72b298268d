"""Measures of a suite: arrays and summaries of one instance, from the functions of ``lit_models.dynamics``."""

import dataclasses
import functools
import math

import numpy as np
import pytest
import torch

from rnnbench.benchmark.measures.effective_state import EffectiveState
from rnnbench.benchmark.measures.gradient_flow import GradientFlow
from rnnbench.benchmark.measures.hessian import Hessian
from rnnbench.benchmark.measures.lyapunov import Lyapunov
from rnnbench.benchmark.measures.memory_capacity import MemoryCapacity
from rnnbench.benchmark.measures.parallelisability import Parallelisability
from rnnbench.benchmark.measures.polynomial_degree import PolynomialDegree
from rnnbench.benchmark.measures.processing_capacity import ProcessingCapacity
from rnnbench.benchmark.measures.truncated_training import TruncatedTraining
from rnnbench.benchmark.measures.truncation import Truncation
from rnnbench.lit_models.dynamics.gradient_flow import gradient_flow
from rnnbench.lit_models.dynamics.hessian import hessian_spectrum
from rnnbench.lit_models.recurrences.second_order import SecondOrderRNN
from rnnbench.lit_models.recurrences.wcrnn import WCRNN
from tests.lit_models.small_runs import ELMAN, subject_of

PRODUCT = functools.partial(SecondOrderRNN, hidden_size=4, time_activation="identity")
WHOLE_NUMBERS = {"curve_steps", "degrees", "delays", "ks", "settled", "steps"}
MEMORY = ("delays", "capacity", "state_capacity")
TRUNCATION = ("ks", "state_error", "state_error_max", "output_error", "bound", "metric")


@pytest.mark.parametrize(
    ("measure", "shapes"),
    [
        (GradientFlow(), {"norm_inf": (6,), "norm_2": (6,)}),
        (Hessian(count=3), {"eigenvalues": (3,), "ggn_eigenvalues": (3,)}),
        (Hessian(count=None, ggn=False), {"eigenvalues": (37,)}),
        (Lyapunov(), {"exponents": (8, 4), "curve_steps": (6,), "curve": (6, 4)}),
        (Lyapunov(count=2, curve=False, qr_every=3), {"exponents": (8, 2)}),
        (MemoryCapacity(steps=200), dict.fromkeys(MEMORY, (8,))),  # two for each of 4 states
        (MemoryCapacity(delays=3, steps=200), dict.fromkeys(MEMORY, (3,))),
        (PolynomialDegree(length=3), {"steps": (3,), "degree": (3,), "settled": (3,)}),
        (
            TruncatedTraining(ks=(1, 6), steps=11),
            {"ks": (2,), "distance": (2, 11), "relative": (2, 11), "moved": (11,)},
        ),
        (Parallelisability(), dict.fromkeys(("steps", "newton", "diagonal"), (1,))),  # 6 alone
        (Parallelisability(steps=(2, 4, 8)), dict.fromkeys(("steps", "newton", "diagonal"), (2,))),
        (EffectiveState(), {"singular_values": (4,)}),
        (
            ProcessingCapacity(functions=60, steps=200),
            {"degrees": (3,), "by_degree": (3,), "delays": (30,), "capacity": (3, 30)},
        ),
        (Truncation(), dict.fromkeys(TRUNCATION, (4,))),  # 1, 2, 4 and all 6 inputs
        (Truncation(ks=(3, 5)), dict.fromkeys(TRUNCATION, (2,))),
    ],
)
def test_arrays(measure, shapes):
    arrays = measure.take(subject_of()).arrays
    assert {name: array.shape for name, array in arrays.items()} == shapes
    assert all(each.dtype == (np.int64 if name in WHOLE_NUMBERS else np.float32) for name, each in arrays.items())


def test_sequences_of_different_lengths_are_refused():
    subject = subject_of()
    shorter = subject.batch._replace(lengths=torch.tensor([6, 3, 4, 5, 6, 6, 6, 6]))
    for measure in (Lyapunov(), Parallelisability(), EffectiveState()):
        with pytest.raises(ValueError, match="of different lengths"):
            measure.take(dataclasses.replace(subject, batch=shorter))


def flow_subject(gamma):
    return subject_of(functools.partial(WCRNN, hidden_size=4, r=0.5, gamma=gamma), loss="mse")


def test_gradient_flow_is_the_mean_over_sequences():
    subject = flow_subject(0.3)
    measured, flow = GradientFlow().take(subject), gradient_flow(subject.network, subject.task, subject.batch)
    np.testing.assert_allclose(measured.arrays["norm_inf"], flow.norm_inf.mean(1).numpy(), rtol=1e-6)
    np.testing.assert_allclose(measured.arrays["norm_2"], flow.norm_2.mean(1).numpy(), rtol=1e-6)
    slopes = flow.slope.numpy()
    assert measured.summary["slope"] == pytest.approx(slopes.mean())
    assert measured.summary["slope_se"] == pytest.approx(slopes.std(ddof=1) / math.sqrt(8))
    assert measured.summary["slopes"] == 8
    assert measured.summary["ratio"] == pytest.approx(measured.summary["first_norm"] / measured.summary["last_norm"])


def test_gradient_flow_of_a_linear_map():
    summary = GradientFlow().take(flow_subject(0.0)).summary
    assert summary["slope"] == pytest.approx(math.log(0.5), abs=1e-12)
    assert summary["slope_se"] == pytest.approx(0.0, abs=1e-12)
    assert summary["ratio"] == pytest.approx(0.5**5)


def test_no_gradient_has_no_slope():
    subject = flow_subject(0.3)
    with torch.no_grad():
        subject.network.readout.weight.zero_()
    summary = GradientFlow().take(subject).summary
    assert summary == {"slope": None, "slope_se": None, "slopes": 0, "first_norm": 0.0, "last_norm": 0.0, "ratio": None}


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_hessian_takes_both_matrices(dtype):
    subject = subject_of()
    measured = Hessian(count=3, dtype=dtype).take(subject)
    expected = hessian_spectrum(subject.network, subject.task, subject.batch, count=3)
    np.testing.assert_allclose(measured.arrays["eigenvalues"], expected.eigenvalues.numpy(), rtol=1e-4)
    assert measured.summary["largest"] == pytest.approx(expected.eigenvalues.max().item(), rel=1e-4)
    assert measured.summary["smallest"] == pytest.approx(expected.eigenvalues.min().item(), rel=1e-4)
    assert measured.summary["largest_magnitude"] == pytest.approx(expected.eigenvalues.abs().max().item(), rel=1e-4)
    assert measured.summary["ggn_largest"] == pytest.approx(measured.arrays["ggn_eigenvalues"][0])
    assert measured.summary["loss"] == pytest.approx(expected.loss.item(), rel=1e-5)
    assert measured.summary["samples"] == 8
    assert "ggn_largest" not in Hessian(count=3, ggn=False).take(subject).summary


def test_iterations_and_the_rank_of_a_linear_network():
    subject = subject_of(functools.partial(WCRNN, hidden_size=4, r=0.5, gamma=0.0))
    found = Parallelisability(steps=(2, 6), tolerance=1e-3).take(subject).summary
    assert found == {"newton": 0, "diagonal": 0, "newton_growth": 0, "diagonal_growth": 0}
    assert Parallelisability().take(subject_of()).summary["newton_growth"] is None
    assert EffectiveState().take(subject).summary == {"rank": 0, "entropy": 0, "state_size": 4}
    capacity = ProcessingCapacity(functions=60, steps=200).take(subject_of()).summary
    assert 0 < capacity["linear"] <= capacity["total"] <= capacity["rank"] + 0.5 == capacity["state_size"] + 0.5


def test_failures_are_raised():
    subject = subject_of()
    with torch.no_grad():
        subject.network.readout.bias.fill_(torch.nan)
    with pytest.raises(FloatingPointError, match="loss is nan"):
        Hessian(count=3).take(subject)
    with pytest.raises(ValueError, match="steps × sequences must be at least 10 for a state of 4, got 9 × 1"):
        MemoryCapacity(steps=9).take(subject)


def test_memory_capacity_is_summed():
    measured = MemoryCapacity(steps=1000).take(subject_of())
    assert measured.arrays["delays"].tolist() == list(range(8))
    assert measured.summary["state_size"] == 4
    assert measured.summary["total"] == pytest.approx(measured.arrays["capacity"].sum(), abs=1e-5)
    assert measured.summary["state_total"] == measured.summary["total"]
    assert 1 < measured.summary["total"] < 4


@pytest.mark.parametrize(("recurrence", "known"), [(PRODUCT, [1, 2, 3]), (ELMAN, [0, 0, 0])])
def test_polynomial_degree_at_every_step(recurrence, known):
    measured = PolynomialDegree(length=3).take(subject_of(recurrence))
    assert measured.arrays["steps"].tolist() == [1, 2, 3]
    assert measured.arrays["settled"].tolist() == [1, 1, 1]
    assert measured.arrays["degree"].tolist() == pytest.approx(known, abs=0.01)
    assert measured.summary["degree"] == pytest.approx(known[-1], abs=0.01)


def test_a_degree_that_has_not_settled_is_no_number():
    measured = PolynomialDegree(length=600).take(subject_of(PRODUCT))
    assert measured.arrays["settled"][-1] == 0
    assert math.isnan(measured.summary["degree"])


def test_truncated_training_over_more_batches_than_an_epoch_has():
    measured = TruncatedTraining(ks=(1, 6), steps=11).take(subject_of())
    assert measured.arrays["ks"].tolist() == [1, 6]
    assert measured.arrays["distance"][0].min() > 1e-4
    # The sequences have 6 steps.
    assert measured.arrays["distance"][1].max() < 1e-13
    for name in ("distance", "relative", "moved"):
        assert measured.summary[name] == pytest.approx(measured.arrays[name].reshape(-1)[-1])
    assert measured.summary["moved"] > 0.01


def test_settings_reach_truncated_training():
    plain, decayed, clipped = (
        TruncatedTraining(ks=(1,), steps=3, **more).take(subject_of()).arrays["moved"]
        for more in ({}, {"decay": "1/t"}, {"gradient_clip_norm": 0.001})
    )
    assert plain[0] == decayed[0]
    assert plain[1] != decayed[1]
    assert clipped[0] == pytest.approx(0.1 * 0.001)
