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
#: Of a network, a batch, inputs [T, B, D], and how the numbers are computed.
MEASURES: dict[str, Callable[..., Tensor]] = {
    "gradient_flow": lambda network, batch, inputs, **given: gradient_flow(network, TASK, batch, **given).norm_2,
    "hessian": lambda network, batch, inputs, **given: (
        hessian_spectrum(network, TASK, batch, count=3, **given).eigenvalues
    ),
    "truncated_training": lambda network, batch, inputs, **given: (
        truncated_training(network, TASK, [batch, batch], [1, 3], learning_rate=0.1, **given).moved
    ),
    "lyapunov": lambda network, batch, inputs, **given: lyapunov_spectrum(network.recurrence, inputs, **given).mean,
    "some exponents": lambda network, batch, inputs, **given: (
        lyapunov_spectrum(network.recurrence, inputs, count=2, **given).exponents
    ),
    "finite_time": lambda network, batch, inputs, **given: (
        finite_time_exponents(network.recurrence, inputs, **given).running_means
    ),
    "memory": lambda network, batch, inputs, **given: (
        memory_capacity(network.recurrence, delays=3, steps=50, **given).capacity
    ),
    "degree": lambda network, batch, inputs, **given: polynomial_degree(network.recurrence, 3, **given).degree,
    "truncation": lambda network, batch, inputs, **given: (
        truncation_error(network.recurrence, inputs, [2], **given).state_error
    ),
}


def make(dtype: torch.dtype) -> tuple[Network, Callable[[], Batch]]:
    """A network of one frozen weight, and what gives the same batch each time."""
    torch.manual_seed(0)
    network = Network(LSTM(2, 3), 1, "last").to(dtype)
    network.readout.bias.requires_grad_(False)

    def batch() -> Batch:
        generator = torch.Generator().manual_seed(0)
        return Batch(torch.rand(5, 4, 2, generator=generator, dtype=dtype), torch.ones(5, 1, dtype=dtype), None)

    return network, batch


@pytest.mark.parametrize("name", MEASURES)
def test_single_precision_is_near_double_and_others_are_refused(name):
    network, batch = make(torch.float32)
    given = (network, batch(), batch().inputs.transpose(0, 1))
    single = MEASURES[name](*given, dtype=torch.float32)
    assert single.dtype == torch.float32
    torch.testing.assert_close(single.double(), MEASURES[name](*given), atol=1e-6, rtol=1e-4)
    for other in (torch.float16, torch.int64):
        with pytest.raises(ValueError, match=f"dtype must be torch.float32 or torch.float64, got {other}"):
            MEASURES[name](*given, dtype=other)


@pytest.mark.parametrize("mode", [torch.inference_mode, torch.no_grad, contextlib.nullcontext])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("name", MEASURES)
def test_the_same_in_every_mode_and_nothing_is_touched(name, dtype, mode):
    network, batch = make(dtype)
    before, random_state = copy.deepcopy(network.state_dict()), torch.get_rng_state()
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
