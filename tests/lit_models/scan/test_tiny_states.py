"""Hand-derived scans in single precision from states far below a rounding of 1, against the loop in float64."""

import copy
import itertools

import pytest
import torch

from rnnbench.lit_models.recurrence import Recurrence
from rnnbench.lit_models.recurrences.elman import ElmanRNN
from rnnbench.lit_models.recurrences.gated import GRU, LSTM
from rnnbench.lit_models.recurrences.second_order import SecondOrderRNN
from rnnbench.lit_models.recurrences.ur_lstm import URLSTM
from rnnbench.lit_models.recurrences.wcrnn import WCRNN
from rnnbench.lit_models.scan.policy import BackendName, use_backend

INPUTS, UNITS = 2, 12


def wcrnn(form: str, residual: str) -> Recurrence:
    phi = (0.1, 3.0) if residual.startswith("rotation") else 0.0
    r = (0.4, 0.9) if residual.endswith("diagonal") else 0.7
    return WCRNN(INPUTS, UNITS, residual, r=r, phi=phi, gamma=(0.1, 0.5), form=form)


BUILDERS = {
    "Elman": lambda: ElmanRNN(INPUTS, UNITS),
    "LSTM": lambda: LSTM(INPUTS, UNITS),
    "GRU": lambda: GRU(INPUTS, UNITS),
    "UR-LSTM": lambda: URLSTM(INPUTS, UNITS),
    "CP": lambda: SecondOrderRNN(INPUTS, UNITS, 4),
} | {
    f"WCRNN {form} {residual}": lambda form=form, residual=residual: wcrnn(form, residual)
    for form, residual in itertools.product(("linear", "A"), ("diagonal", "rotation_diagonal", "orthogonal"))
}


def scan_by(
    scan: BackendName, recurrence: Recurrence, inputs: torch.Tensor, state: torch.Tensor
) -> dict[str, torch.Tensor]:
    """Outputs, the final state, and the gradients of inputs, state, buffers and parameters by their names."""
    tensors = {"inputs": inputs, "state": state, **dict(recurrence.named_buffers())}
    tensors = {name: tensor.requires_grad_() for name, tensor in tensors.items()} | dict(recurrence.named_parameters())
    with use_backend(scan):
        outputs, final = recurrence(inputs, state)
    weights = torch.linspace(-1, 1.5, outputs.numel(), dtype=outputs.dtype).reshape(outputs.shape)
    gradients = torch.autograd.grad((outputs * weights).sum(), list(tensors.values()), materialize_grads=True)
    return {"outputs": outputs, "final": final, **dict(zip(tensors, gradients, strict=True))}


@pytest.mark.parametrize("name", BUILDERS)
@pytest.mark.parametrize("size", [1e-3, 1e-6, 1e-8])
@pytest.mark.parametrize("batch", [9, 20])
@pytest.mark.parametrize("scan", ["eager", "auto"])
def test_as_exact_as_the_loop(name: str, size: float, batch: int, scan: BackendName) -> None:
    single = BUILDERS[name]()
    with torch.no_grad():
        for key, parameter in single.named_parameters():
            # The gates of a UR-LSTM are biased apart; what else does not vanish with the input goes.
            if "bias" in key and key != "forget_bias":
                parameter.zero_()
    inputs, state = size * torch.randn(20, batch, INPUTS), size * torch.randn(batch, single.state_size)
    exact = scan_by("loop", copy.deepcopy(single).double(), inputs.double(), state.double())
    assert exact["outputs"].abs().max() < 10 * size
    by_loop, found = (scan_by(each, copy.deepcopy(single), inputs.clone(), state.clone()) for each in ("loop", scan))
    for key, right in exact.items():
        error, of_loop = ((each[key] - right).norm() / right.norm() for each in (found, by_loop))
        assert error <= 3 * of_loop + 1e-6, key
