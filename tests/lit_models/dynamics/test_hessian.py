"""Curvature against closed forms, dense Hessians, finite differences, and itself in chunks."""

import copy
import functools
import math

import pytest
import torch
from torch.func import functional_call, jacfwd, jacrev
from torch.nn.utils import parameters_to_vector, vector_to_parameters

from rnnbench.lit_models.dynamics.curvature import Curvature
from rnnbench.lit_models.dynamics.hessian import hessian_spectrum
from rnnbench.lit_models.recurrences.elman import ElmanRNN
from rnnbench.lit_models.recurrences.gated import LSTM
from rnnbench.lit_models.recurrences.wcrnn import WCRNN
from rnnbench.lit_models.scan.policy import use_backend
from tests.contracts.builders import variants
from tests.lit_models.dynamics.small_networks import INPUTS, plain_loss, small_batch, small_network, small_task

close = functools.partial(torch.testing.assert_close, atol=1e-10, rtol=1e-10)
LOSSES = ("mse", "rmse", "cross_entropy")
READOUTS = ("last", "every")
STATE_SPACES = ("LRU", "LinOSS", "S4", "S4D")


def dense_hessian(network, task, batch):
    """By forward over reverse through the network's own forward; its parameters must be double."""
    values = {name: value.detach() for name, value in network.named_parameters() if value.requires_grad}
    sizes, shapes = [v.numel() for v in values.values()], [v.shape for v in values.values()]

    def loss(flat):
        parts = [part.view(shape) for part, shape in zip(flat.split(sizes), shapes, strict=True)]
        loose = functools.partial(functional_call, network, dict(zip(values, parts, strict=True)))
        # No hand-derived scan has derivatives in forward mode.
        with use_backend("loop"):
            return plain_loss(_Called(network, loose), task, batch)

    return jacfwd(jacrev(loss))(torch.cat([value.flatten() for value in values.values()]))


class _Called:
    def __init__(self, network, call):
        self.network, self.call = network, call

    def __call__(self, inputs, lengths):
        return self.call((inputs, lengths))


def frozen_features(task, batch):
    """A network of which only the readout learns, and what the readout sees with a 1 appended, [B, T, N+1]."""
    network = small_network(ElmanRNN(INPUTS, 4), task).double()
    network.recurrence.requires_grad_(False)
    features = network.recurrence(batch.inputs.transpose(0, 1))[0].transpose(0, 1)
    features = torch.cat([features, torch.ones_like(features[..., :1])], -1)
    return network, features if task.readout == "every" else features[:, -1:]


def readout_order(matrix, outputs, units):
    """From (output, feature) pairs to the readout's parameters: the weights row by row, then the biases."""
    order = torch.arange(outputs * (units + 1)).view(outputs, units + 1)
    index = torch.cat([order[:, :units].flatten(), order[:, units]])
    return matrix[index][:, index]


@pytest.mark.parametrize("readout", READOUTS)
@pytest.mark.parametrize("matrix", ["hessian", "ggn"])
def test_least_squares_of_a_linear_readout(readout, matrix):
    task = small_task(readout)
    batch = small_batch(task)
    network, features = frozen_features(task, batch)
    rows = features.flatten(0, 1)
    expected = torch.kron(torch.eye(3, dtype=torch.float64), 2 / (3 * len(rows)) * rows.T @ rows)
    close(Curvature(network, task, batch, matrix).dense(), readout_order(expected, 3, 4))
    eigenvalues = hessian_spectrum(network, task, batch, count=None, matrix=matrix).eigenvalues
    close(eigenvalues, torch.linalg.eigvalsh(expected).flip(0))


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("readout", READOUTS)
def test_hessian_equals_the_dense_one(readout, loss):
    task = small_task(readout, loss, loss_steps=(1, 5) if readout == "every" else None)
    batch = small_batch(task, lengths=torch.tensor([1, 2, 3, 4, 5, 5]))
    network = small_network(LSTM(INPUTS, 2), task).double()
    curvature = Curvature(network, task, batch)
    dense = dense_hessian(network, task, batch)
    close(curvature.loss, plain_loss(network, task, batch).detach())
    close(curvature.dense(), dense)
    vector = torch.randn(curvature.size, dtype=torch.float64)
    close(curvature.multiply(vector), dense @ vector)


@pytest.mark.parametrize("loss", LOSSES)
def test_gauss_newton_is_its_definition_and_positive(loss):
    task = small_task("every", loss, loss_steps=(1, 4))
    batch = small_batch(task)
    network = small_network(WCRNN(INPUTS, 3, gamma=0.7), task).double()
    names, shapes = zip(*((name, value.shape) for name, value in network.named_parameters()), strict=True)
    flat = parameters_to_vector(network.parameters()).detach()

    def outputs(flat):
        parts = [p.view(s) for p, s in zip(flat.split([s.numel() for s in shapes]), shapes, strict=True)]
        return functional_call(network, dict(zip(names, parts, strict=True)), (batch.inputs,)).flatten()

    def of_outputs(answers):
        return plain_loss(lambda *_: answers.view(6, 5, 3), task, batch)

    # Forward mode goes through the loop.
    with use_backend("loop"):
        jacobian = jacfwd(outputs)(flat)
    expected = jacobian.T @ jacfwd(jacrev(of_outputs))(outputs(flat)) @ jacobian
    found = Curvature(network, task, batch, "ggn").dense()
    close(found, expected)
    eigenvalues = torch.linalg.eigvalsh(found)
    assert eigenvalues[0] > -1e-12 * eigenvalues[-1]
    assert (found - Curvature(network, task, batch).dense()).norm() > 1e-3 * found.norm()


@pytest.mark.parametrize(("cls", "arguments"), variants(slow_extras=True))
def test_every_recurrence_against_finite_differences(cls, arguments):
    task = small_task("last", "rmse", output_size=1)
    batch = small_batch(task)
    network = small_network(cls(**arguments), task).double()
    curvature, gauss_newton = Curvature(network, task, batch), Curvature(network, task, batch, "ggn")
    flat, moved, step = parameters_to_vector(network.parameters()).detach(), copy.deepcopy(network), 1e-5

    def gradient(point):
        vector_to_parameters(point, moved.parameters())
        leaves = list(moved.parameters())
        found = torch.autograd.grad(plain_loss(moved, task, batch), leaves, materialize_grads=True)
        return torch.cat([part.flatten() for part in found])

    for vector in torch.nn.functional.normalize(torch.randn(3, curvature.size, dtype=flat.dtype)):
        difference = (gradient(flat + step * vector) - gradient(flat - step * vector)) / (2 * step)
        torch.testing.assert_close(curvature.multiply(vector), difference, atol=1e-7, rtol=1e-6)
        assert gauss_newton.multiply(vector) @ vector > -1e-12


@pytest.mark.parametrize(
    ("cls", "arguments"),
    # The state spaces have ten times as many parameters as the others at this size: their matrices take seconds.
    [
        pytest.param(*case.values, id=case.id, marks=[pytest.mark.slow] * (case.id.split("-")[0] in STATE_SPACES))
        for case in variants()
    ],
)
@pytest.mark.parametrize("matrix", ["hessian", "ggn"])
def test_every_recurrence_s_matrix_is_that_of_its_products(cls, arguments, matrix):
    task = small_task("last", "rmse", output_size=1)
    curvature = Curvature(small_network(cls(**arguments), task).double(), task, small_batch(task), matrix)
    vector = torch.nn.functional.normalize(torch.randn(curvature.size, dtype=torch.float64), dim=0)
    close(curvature.multiply(vector), curvature.dense() @ vector)


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("matrix", ["hessian", "ggn"])
def test_leading_ones_are_those_of_the_dense_matrix_whatever_the_chunks(matrix, loss):
    task = small_task("last", loss)
    batch = small_batch(task, size=7)
    network = small_network(ElmanRNN(INPUTS, 5), task)
    everything = hessian_spectrum(network, task, batch, count=None, matrix=matrix)
    by_size = everything.eigenvalues.abs()
    assert (by_size.diff() <= 0).all()
    assert everything.parameters == len(by_size) == everything.products == 63
    for chunk, kept in ((128, 256), (3, 3), (2, 0)):
        some = hessian_spectrum(network, task, batch, count=4, matrix=matrix, chunk=chunk, kept=kept, tolerance=1e-10)
        close(some.eigenvalues, everything.eigenvalues[:4])
        close(some.loss, everything.loss)
        whole = hessian_spectrum(network, task, batch, count=None, matrix=matrix, chunk=chunk, kept=kept)
        close(whole.eigenvalues, everything.eigenvalues)


def test_more_eigenvalues_than_the_rank():
    task = small_task("last", output_size=1)
    batch = small_batch(task, size=2)
    network = small_network(ElmanRNN(INPUTS, 5), task)
    found = hessian_spectrum(network, task, batch, count=6, matrix="ggn").eigenvalues
    close(found[:2], hessian_spectrum(network, task, batch, count=None, matrix="ggn").eigenvalues[:2])
    assert found[1] > 1e-3
    assert found[2:].abs().max() < 1e-10


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"count": 0}, "count must be at least 1, got 0"),
        ({"count": 64}, "count must be at most 63, got 64"),
        ({"matrix": "fisher"}, "unknown matrix 'fisher'"),
        ({"chunk": 0}, "chunk must be at least 1, got 0"),
        ({"kept": -1}, "kept must be at least 0, got -1"),
        ({"tolerance": -1.0}, "tolerance must be at least 0, got -1.0"),
        ({"tolerance": math.inf}, "tolerance must be a finite number, got inf"),
        ({"restarts": 0}, "restarts must be at least 1, got 0"),
    ],
)
def test_bad_arguments(arguments, message):
    task = small_task()
    network = small_network(ElmanRNN(INPUTS, 5), task)
    with pytest.raises(ValueError, match=message):
        hessian_spectrum(network, task, small_batch(task), **arguments)


def test_what_cannot_be_measured():
    task = small_task(loss="rmse")
    batch = small_batch(task)
    network = small_network(ElmanRNN(INPUTS, 60), task)
    with pytest.raises(ValueError, match="a number for more than 3000 parameters, got None for 4023"):
        hessian_spectrum(network, task, batch, count=None)
    with pytest.raises(ArithmeticError, match=r"\d of 20 eigenvalues converged in 1 restarts"):
        hessian_spectrum(network, task, batch, restarts=1, tolerance=1e-14)
    with pytest.raises(ValueError, match="batch must hold at least 1 sequence, got 0"):
        hessian_spectrum(network, task, small_batch(task, size=0))
    # The measure runs the loop; another scan differs in the last bits.
    with use_backend("loop"):
        exact = network.double()(batch.inputs).detach()
    with pytest.raises(FloatingPointError, match="root of a mean square of 0"):
        hessian_spectrum(network, task, batch._replace(targets=exact), count=2)
    with torch.no_grad():
        network.recurrence.weight_ih[0, 0] = torch.nan
    with pytest.raises(FloatingPointError, match="loss is nan"):
        hessian_spectrum(network, task, batch, count=2)
    with pytest.raises(ValueError, match="must have a parameter that requires a gradient"):
        Curvature(network.requires_grad_(False), task, batch)
