"""The Hessian as a measure of a suite."""

import functools

import numpy as np
import pytest
import torch

from rnnbench.benchmark.measures.base import Subject
from rnnbench.benchmark.measures.hessian import Hessian
from rnnbench.lit_models.dynamics.hessian import hessian_spectrum
from rnnbench.lit_models.lit_sequence_model import make_network
from rnnbench.lit_models.recurrences.elman import ElmanRNN
from tests.lit_models.small_runs import adding


@pytest.fixture
def subject():
    data = adding(loss="rmse")
    data.setup()
    network = make_network(functools.partial(ElmanRNN, hidden_size=6), data.task, 0)
    return Subject(network, data.task, data.samples("test", 10), data.training_batches)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_takes_both_matrices(subject, dtype):
    measured = Hessian(count=3, dtype=dtype).take(subject)
    expected = hessian_spectrum(subject.network, subject.task, subject.batch, count=3)
    assert {name: (array.shape, array.dtype) for name, array in measured.arrays.items()} == {
        "eigenvalues": ((3,), np.float32),
        "ggn_eigenvalues": ((3,), np.float32),
    }
    np.testing.assert_allclose(measured.arrays["eigenvalues"], expected.eigenvalues.numpy(), rtol=1e-4)
    assert measured.summary["largest"] == pytest.approx(expected.eigenvalues.max().item(), rel=1e-4)
    assert measured.summary["smallest"] == pytest.approx(expected.eigenvalues.min().item(), rel=1e-4)
    assert measured.summary["largest_magnitude"] == pytest.approx(expected.eigenvalues.abs().max().item(), rel=1e-4)
    assert measured.summary["ggn_largest"] == pytest.approx(measured.arrays["ggn_eigenvalues"][0])
    assert measured.summary["loss"] == pytest.approx(expected.loss.item(), rel=1e-5)
    assert measured.summary["samples"] == 10


def test_all_eigenvalues_without_gauss_newton(subject):
    measured = Hessian(count=None, ggn=False).take(subject)
    parameters = sum(parameter.numel() for parameter in subject.network.parameters())
    assert {name: len(array) for name, array in measured.arrays.items()} == {"eigenvalues": parameters}
    assert "ggn_largest" not in measured.summary


def test_failures_are_raised(subject):
    with torch.no_grad():
        subject.network.readout.bias.fill_(torch.nan)
    with pytest.raises(FloatingPointError, match="loss is nan"):
        Hessian(count=3).take(subject)
