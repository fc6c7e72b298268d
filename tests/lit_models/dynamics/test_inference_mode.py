"""Measures that differentiate do so whatever the caller's mode: evaluation loops run in inference mode."""

import pytest
import torch

from rnnbench.datamodules.adding import Adding
from rnnbench.datamodules.task import Batch
from rnnbench.lit_models.dynamics.gradient_flow import gradient_flow
from rnnbench.lit_models.dynamics.hessian import hessian_spectrum
from rnnbench.lit_models.dynamics.lyapunov import finite_time_exponents, lyapunov_spectrum
from rnnbench.lit_models.dynamics.truncated_training import truncated_training
from rnnbench.lit_models.network import Network
from rnnbench.lit_models.recurrences.elman import ElmanRNN

TASK = Adding(length=4).task
MEASURES = {
    "gradient_flow": lambda network, batch: gradient_flow(network, TASK, batch).norm_2,
    "hessian": lambda network, batch: hessian_spectrum(network, TASK, batch, count=3).eigenvalues,
    "truncated_training": lambda network, batch: (
        truncated_training(network, TASK, [batch, batch], (k for k in (1, 4)), learning_rate=0.1).distance
    ),
    "lyapunov": lambda network, batch: lyapunov_spectrum(network.recurrence, batch.inputs.transpose(0, 1)).exponents,
    "finite_time": lambda network, batch: (
        finite_time_exponents(network.recurrence, batch.inputs.transpose(0, 1)).running_means
    ),
}


@pytest.mark.parametrize("mode", [torch.inference_mode, torch.no_grad])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("name", MEASURES)
def test_the_same_in_every_mode(name, dtype, mode):
    network = Network(ElmanRNN(2, 3), 1, "last").to(dtype)

    def batch() -> Batch:
        generator = torch.Generator().manual_seed(0)
        return Batch(torch.rand(5, 4, 2, generator=generator, dtype=dtype), torch.ones(5, 1, dtype=dtype), None)

    expected = MEASURES[name](network, batch())
    with mode():
        found = MEASURES[name](network, batch())
    assert torch.equal(found, expected)
