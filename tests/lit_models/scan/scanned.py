"""Recurrences with kernels, the backends that have one for them, and what both compute beside the loop."""

import functools
import importlib.util
import itertools
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from unittest import mock

import torch

from rnnbench.lit_models.recurrence import Recurrence
from rnnbench.lit_models.recurrences.antisymmetric import AntisymmetricRNN
from rnnbench.lit_models.recurrences.elman import ElmanRNN
from rnnbench.lit_models.recurrences.gated import GRU, LSTM
from rnnbench.lit_models.recurrences.lipschitz import LipschitzRNN
from rnnbench.lit_models.recurrences.orthogonal import OrthogonalRNN
from rnnbench.lit_models.recurrences.second_order import SecondOrderRNN
from rnnbench.lit_models.recurrences.ur_lstm import URLSTM
from rnnbench.lit_models.recurrences.wcrnn import FORMS, RESIDUALS, WCRNN
from rnnbench.lit_models.scan.dispatch import choose_kernel
from rnnbench.lit_models.scan.policy import BackendName, use_backend

INTERPRETED = os.environ.get("TRITON_INTERPRET") == "1"
GPU = "cpu" if INTERPRETED else "cuda"
HAS_TRITON = importlib.util.find_spec("triton") is not None and (INTERPRETED or torch.cuda.is_available())
ACTIVATIONS = ("tanh", "relu", "identity")
Tensors = tuple[torch.Tensor, ...]


def wcrnn(form: str, residual: str, activation: str, features: int, units: int) -> Recurrence:
    """A network with a strong coupling, each unit of which has its own constants where they may differ."""
    phi = (0.1, 3.0) if residual.startswith("rotation") else 0.0
    r = (0.4, 0.9) if residual.endswith("diagonal") else 0.7
    return WCRNN(features, units, residual, r=r, phi=phi, gamma=(0.1, 0.5), form=form, activation=activation)


#: By their names, what builds them from their features and units.
BUILDERS: dict[str, Callable[[int, int], Recurrence]] = {
    "LSTM": LSTM,
    "GRU": GRU,
    "UR-LSTM": URLSTM,
    "antisymmetric": AntisymmetricRNN,
    "Lipschitz": LipschitzRNN,
    "orthogonal": functools.partial(OrthogonalRNN, time_activation="tanh"),
    **{f"Elman {act}": functools.partial(ElmanRNN, time_activation=act) for act in ACTIVATIONS},
    **{f"CP {act}": functools.partial(SecondOrderRNN, rank=4, time_activation=act) for act in ACTIVATIONS},
    **{f"2RNN {act}": functools.partial(SecondOrderRNN, time_activation=act) for act in ACTIVATIONS},
    **{
        f"WCRNN {' '.join(kind)}": functools.partial(wcrnn, *kind)
        for kind in itertools.product(FORMS, RESIDUALS, ("tanh", "identity"))
    },
}
_EAGER = {"GRU", "UR-LSTM", *(f"{kind} {act}" for kind in ("CP", "2RNN") for act in ACTIVATIONS)}
_DENSE = {"Lipschitz", "WCRNN linear orthogonal tanh", "WCRNN A orthogonal tanh"}
NAMES = {"eager": list(BUILDERS), "native": [name for name in BUILDERS if name not in _EAGER | _DENSE], "triton": []}
if HAS_TRITON:
    few = ("Elman relu", "WCRNN linear diagonal tanh", "WCRNN A rotation tanh", "WCRNN B diagonal tanh")
    NAMES["triton"] = ["LSTM", "antisymmetric", "orthogonal", *few, "Lipschitz", "WCRNN linear orthogonal tanh"]
KEPT = {"LSTM": 6, "UR-LSTM": 6, "GRU": 5, "CP tanh": 2 * 4 / 32 + 1, "2RNN tanh": 1}


@dataclass(frozen=True)
class Scanned:
    """A recurrence and a backend that has a kernel for it; Triton's are interpreted, at a small size."""

    backend: BackendName
    name: str

    @property
    def units(self) -> int:
        return 6 if self.backend == "triton" else 32

    @property
    def like(self) -> dict[str, object]:
        return {"dtype": torch.float32, "device": GPU} if self.backend == "triton" else {"dtype": torch.float64}

    def build(self, features: int = 2) -> Recurrence:
        return BUILDERS[self.name](features, self.units).to(**self.like)

    def draw(self, *shape: int) -> torch.Tensor:
        return torch.randn(shape, **self.like, requires_grad=True)

    def both(self, compute: Callable[[], Tensors]) -> tuple[Tensors, Tensors]:
        """What the loop and the kernel compute; the kernel must be the backend's."""
        with use_backend("loop"):
            expected = compute()
        used = []

        def watched(*arguments: object) -> object:
            used.append(type(choose_kernel(*arguments)).__module__.split(".")[-2])
            return choose_kernel(*arguments)

        with (
            mock.patch("rnnbench.lit_models.scan.dispatch.choose_kernel", watched),
            mock.patch("rnnbench.lit_models.scan.dispatch.scan_loop", side_effect=AssertionError("took the loop")),
            use_backend(self.backend),
        ):
            found = compute()
        assert set(used) == {self.backend}
        return expected, found

    def check(self, compute: Callable[[], Tensors]) -> Tensors:
        """Check that the kernel gives what the loop does, and return it."""
        expected, found = self.both(compute)
        for one, other in zip(found, expected, strict=True):
            largest = float(other.detach().abs().max()) if other.numel() else 0.0
            exact = {"rtol": 1e-10, "atol": 1e-10}
            single = {"rtol": 1e-5, "atol": 3e-6 * largest + 1e-7}
            torch.testing.assert_close(one, other, **(single if self.backend == "triton" else exact))
        return found


CASES = [Scanned(backend, name) for backend, names in NAMES.items() for name in names]


def takes_loop(recurrence: Recurrence, inputs: torch.Tensor, state: torch.Tensor | None = None) -> bool:
    """Whether a recurrence takes the loop by itself."""
    from rnnbench.lit_models.scan import dispatch

    with mock.patch("rnnbench.lit_models.scan.dispatch.scan_loop", side_effect=dispatch.scan_loop) as loop:
        recurrence(inputs, state)
    return loop.called


def gradients(values: Sequence[torch.Tensor], wanted: Sequence[torch.Tensor]) -> Tensors:
    """Values and the gradients of a loss that weighs every element."""
    total = sum(each.numel() for each in values)
    flat = torch.cat([each.flatten() for each in values])
    weights = torch.linspace(-1, 1.5, total, dtype=flat.dtype, device=flat.device)
    return *values, *torch.autograd.grad((weights * flat**2).sum(), wanted, materialize_grads=True)
