"""What all measures keep: the same in every mode of the caller (evaluation runs in inference mode), nothing touched."""

import contextlib
import copy
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from rnnbench.datamodules.adding import Adding
from rnnbench.datamodules.task import Batch
from rnnbench.lit_models.dynamics.effective_state import effective_state
from rnnbench.lit_models.dynamics.gradient_flow import gradient_flow
from rnnbench.lit_models.dynamics.hessian import hessian_spectrum
from rnnbench.lit_models.dynamics.lyapunov import finite_time_exponents, lyapunov_spectrum
from rnnbench.lit_models.dynamics.memory import memory_capacity
from rnnbench.lit_models.dynamics.parallelisability import parallelisability
from rnnbench.lit_models.dynamics.polynomial_degree import polynomial_degree
from rnnbench.lit_models.dynamics.processing_capacity import processing_capacity
from rnnbench.lit_models.dynamics.truncated_training import truncated_training
from rnnbench.lit_models.dynamics.truncation import truncation_error
from rnnbench.lit_models.network import Network
from rnnbench.lit_models.recurrences.gated import LSTM

TASK = Adding(length=4).task
#: The function, what it is of besides a network or its recurrence, its settings, and the numbers that are compared.
MEASURES = {
    "gradient_flow": (gradient_flow, "batch", {}, "norm_2"),
    "hessian": (hessian_spectrum, "batch", {"count": 3}, "eigenvalues"),
    "truncated_training": (truncated_training, "batches", {"ks": [1, 3], "learning_rate": 0.1}, "moved"),
    "lyapunov": (lyapunov_spectrum, "inputs", {}, "mean"),
    "some exponents": (lyapunov_spectrum, "inputs", {"count": 2}, "exponents"),
    "finite_time": (finite_time_exponents, "inputs", {}, "running_means"),
    "memory": (memory_capacity, "", {"delays": 3, "steps": 50}, "capacity"),
    "degree": (polynomial_degree, "", {"length": 3}, "degree"),
    "capacity": (processing_capacity, "", {"functions": 20, "steps": 50}, "capacity"),
    "effective state": (effective_state, "inputs", {}, "singular_values"),
    "newton": (parallelisability, "inputs", {"steps": [2, 4], "tolerance": 1e-3}, "newton"),
    "truncation": (truncation_error, "inputs", {"ks": [2]}, "state_error"),
}


def measure(name: str, network: Network, batch: Batch, **given: torch.dtype) -> Tensor:
    function, of, settings, numbers = MEASURES[name]
    parts = {"batch": (TASK, batch), "batches": (TASK, [batch, batch]), "inputs": (batch.inputs.transpose(0, 1),)}
    whole = network if of.startswith("batch") else network.recurrence
    return getattr(function(whole, *parts.get(of, ()), **settings, **given), numbers)


def make(dtype: torch.dtype) -> tuple[Network, Callable[[], Batch]]:
    """A network of one frozen weight, and what gives the same batch each time."""
    torch.default_generator.manual_seed(0)
    network = Network(LSTM(2, 3), 1, "last").to(dtype)
    network.readout.bias.requires_grad_(False)

    def batch() -> Batch:
        generator = torch.Generator().manual_seed(0)
        return Batch(torch.rand(5, 4, 2, generator=generator, dtype=dtype), torch.ones(5, 1, dtype=dtype), None)

    return network, batch


@pytest.mark.parametrize("name", MEASURES)
def test_single_precision_is_near_double_and_others_are_refused(name):
    network, batch = make(torch.float32)
    single = measure(name, network, batch(), dtype=torch.float32)
    assert single.dtype == torch.float32
    torch.testing.assert_close(single.double(), measure(name, network, batch()), atol=1e-6, rtol=1e-4)
    for other in (torch.float16, torch.int64):
        with pytest.raises(ValueError, match=f"dtype must be torch.float32 or torch.float64, got {other}"):
            measure(name, network, batch(), dtype=other)


@pytest.mark.parametrize("name", [name for name, (_, of, _, _) in MEASURES.items() if not of.startswith("batch")])
def test_what_is_of_a_recurrence_says_where_a_network_has_its_own(name):
    function, of, settings, _ = MEASURES[name]
    network, batch = make(torch.float32)
    inputs = [batch().inputs.transpose(0, 1)] if of else []
    with pytest.raises(ValueError, match=r"must be a Recurrence, got a Network: give network\.recurrence"):
        function(network, *inputs, **settings)


@pytest.mark.parametrize("mode", [torch.inference_mode, torch.no_grad, contextlib.nullcontext])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("name", MEASURES)
def test_the_same_in_every_mode_and_nothing_is_touched(name, dtype, mode):
    network, batch = make(dtype)
    before, random_state = copy.deepcopy(network.state_dict()), torch.get_rng_state()
    expected = measure(name, network, batch())
    with mode():
        given = batch()
        found = measure(name, network, given)
    assert torch.equal(found, expected)
    assert found.dtype == torch.float64
    assert not found.requires_grad
    assert torch.equal(given.inputs, batch().inputs)
    torch.testing.assert_close(network.state_dict(), before, atol=0, rtol=0)
    assert network.training
    assert [each for each, value in network.named_parameters() if not value.requires_grad] == ["readout.bias"]
    assert all(value.grad is None for value in network.parameters())
    assert torch.equal(torch.get_rng_state(), random_state)
