"""Gradient flow as a measure of a suite."""

import functools
import math

import numpy as np
import pytest
import torch

from rnnbench.benchmark.measures.base import Subject
from rnnbench.benchmark.measures.gradient_flow import GradientFlow
from rnnbench.lit_models.dynamics.gradient_flow import gradient_flow
from rnnbench.lit_models.lit_sequence_model import make_network
from rnnbench.lit_models.recurrences.wcrnn import WCRNN
from tests.lit_models.small_runs import adding


def subject_of(gamma):
    data = adding(loss="mse")
    data.setup()
    network = make_network(functools.partial(WCRNN, hidden_size=4, r=0.5, gamma=gamma), data.task, 0)
    return Subject(network, data.task, data.samples("test", 8), data.training_batches)


def test_means_over_sequences():
    subject = subject_of(0.3)
    measured, flow = GradientFlow().take(subject), gradient_flow(subject.network, subject.task, subject.batch)
    assert {name: (array.shape, array.dtype) for name, array in measured.arrays.items()} == {
        "norm_inf": ((6,), np.float32),
        "norm_2": ((6,), np.float32),
    }
    np.testing.assert_allclose(measured.arrays["norm_inf"], flow.norm_inf.mean(1).numpy(), rtol=1e-6)
    np.testing.assert_allclose(measured.arrays["norm_2"], flow.norm_2.mean(1).numpy(), rtol=1e-6)
    slopes = flow.slope.numpy()
    assert measured.summary["slope"] == pytest.approx(slopes.mean())
    assert measured.summary["slope_se"] == pytest.approx(slopes.std(ddof=1) / math.sqrt(8))
    assert measured.summary["slopes"] == 8
    assert measured.summary["ratio"] == pytest.approx(measured.summary["first_norm"] / measured.summary["last_norm"])


def test_a_linear_map():
    summary = GradientFlow().take(subject_of(0.0)).summary
    assert summary["slope"] == pytest.approx(math.log(0.5), abs=1e-12)
    assert summary["slope_se"] == pytest.approx(0.0, abs=1e-12)
    assert summary["ratio"] == pytest.approx(0.5**5)


def test_no_gradient_has_no_slope():
    subject = subject_of(0.3)
    with torch.no_grad():
        subject.network.readout.weight.zero_()
    summary = GradientFlow().take(subject).summary
    assert summary == {"slope": None, "slope_se": None, "slopes": 0, "first_norm": 0.0, "last_norm": 0.0, "ratio": None}
