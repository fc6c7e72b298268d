"""What all measures keep: the same in every mode of the caller (evaluation runs in inference mode), nothing touched."""

import contextlib
import copy
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from rnnbench.datamodules.adding import Adding
from rnnbench.datamodules.task import Batch
from rnnbench.lit_models.dynamics.gradient_flow import gradient_flow
from rnnbench.lit_models.dynamics.hessian import hessian_spectrum
from rnnbench.lit_models.dynamics.lyapunov import finite_time_exponents, lyapunov_spectrum
from rnnbench.lit_models.dynamics.memory import memory_capacity
from rnnbench.lit_models.dynamics.polynomial_degree import polynomial_degree
from rnnbench.lit_models.dynamics.truncated_training import truncated_training
from rnnbench.lit_models.dynamics.truncation import truncation_error
from rnnbench.lit_models.network import Network
from rnnbench.lit_models.recurrences.gated import LSTM

TASK = Adding(length=4).task
MEASURES: dict[str, Callable[[Network, Batch, Tensor], Tensor]] = {
    "gradient_flow": lambda network, batch, inputs: gradient_flow(network, TASK, batch).norm_2,
    "hessian": lambda network, batch, inputs: hessian_spectrum(network, TASK, batch, count=3).eigenvalues,
    "truncated_training": lambda network, batch, inputs: (
        truncated_training(network, TASK, [batch, batch], [1, 4], learning_rate=0.1).distance
    ),
    "lyapunov": lambda network, batch, inputs: lyapunov_spectrum(network.recurrence, inputs).exponents,
    "some exponents": lambda network, batch, inputs: lyapunov_spectrum(network.recurrence, inputs, count=2).exponents,
    "finite_time": lambda network, batch, inputs: finite_time_exponents(network.recurrence, inputs).running_means,
    "memory": lambda network, batch, inputs: memory_capacity(network.recurrence, delays=3, steps=50).capacity,
    "degree": lambda network, batch, inputs: polynomial_degree(network.recurrence, 3).degree,
    "truncation": lambda network, batch, inputs: truncation_error(network.recurrence, inputs, [2]).state_error,
}


@pytest.mark.parametrize("mode", [torch.inference_mode, torch.no_grad, contextlib.nullcontext])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("name", MEASURES)
def test_the_same_in_every_mode_and_nothing_is_touched(name, dtype, mode):
    network = Network(LSTM(2, 3), 1, "last").to(dtype)
    network.readout.bias.requires_grad_(False)
    before, random_state = copy.deepcopy(network.state_dict()), torch.get_rng_state()

    def batch() -> Batch:
        generator = torch.Generator().manual_seed(0)
        return Batch(torch.rand(5, 4, 2, generator=generator, dtype=dtype), torch.ones(5, 1, dtype=dtype), None)

    expected = MEASURES[name](network, batch(), batch().inputs.transpose(0, 1))
    with mode():
        given = batch()
        found = MEASURES[name](network, given, given.inputs.transpose(0, 1))
    assert torch.equal(found, expected)
    assert found.dtype == torch.float64
    assert not found.requires_grad
    assert torch.equal(given.inputs, batch().inputs)
    torch.testing.assert_close(network.state_dict(), before, atol=0, rtol=0)
    assert network.training
    assert [each for each, value in network.named_parameters() if not value.requires_grad] == ["readout.bias"]
    assert all(value.grad is None for value in network.parameters())
    assert torch.equal(torch.get_rng_state(), random_state)
