"""The whole Lyapunov spectrum of a driven WCRNN, against building every Jacobian and a QR decomposition every step."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Literal

import torch
from torch import Tensor

from rnnbench.benchmark.speed.contender import Contender, Report, Result
from rnnbench.datamodules.seeds import derive_seed, named_generator
from rnnbench.lit_models.dynamics.lyapunov import lyapunov_spectrum
from rnnbench.lit_models.recurrence import Recurrence
from rnnbench.lit_models.recurrences.wcrnn import WCRNN


@dataclass(frozen=True)
class LyapunovCase:
    """Sizes: S units, B sequences of T inputs from U(0, 1), and the WCRNN's residual strength and coupling."""

    units: int = 100
    sequences: int = 16
    steps: int = 784
    r: float = 1.0
    gamma: float = 0.01


def straightforward_exponents(recurrence: Recurrence, inputs: Tensor) -> Tensor:
    """Return the exponents [B, S], in nats per step, along inputs [T, B, D]: J by ``jacfwd``, J Q, QR, every step."""

    def step_of_one(inputs: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        following = recurrence.step(inputs.unsqueeze(0), state.unsqueeze(0)).squeeze(0)
        return following, following

    jacobians_and_states = torch.vmap(torch.func.jacfwd(step_of_one, argnums=1, has_aux=True))
    state = recurrence.initial_state(inputs.shape[1])
    basis = torch.eye(recurrence.state_size).to(state).expand(len(state), -1, -1)
    logarithms = torch.zeros_like(state)
    for now in inputs.unbind(0):
        jacobian, state = jacobians_and_states(now, state)
        basis, triangle = torch.linalg.qr(jacobian @ basis)
        logarithms += triangle.diagonal(dim1=-2, dim2=-1).abs().log()
    return logarithms / len(inputs)


def _build(case: LyapunovCase, exponents_of: Callable[[Recurrence, Tensor], Tensor]) -> Callable[[], Result]:
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(derive_seed("speed", "lyapunov", "weights"))
        recurrence = WCRNN(1, case.units, residual="scalar", r=case.r, gamma=case.gamma, form="linear").double()
    generator = named_generator("speed", "lyapunov", "inputs")
    inputs = torch.rand(case.steps, case.sequences, 1, dtype=torch.float64, generator=generator)
    recurrence.requires_grad_(False)
    # A spectrum is a set: where two exponents are close, methods may find them in either order.
    return lambda: {"exponents": exponents_of(recurrence, inputs).sort(-1).values.numpy()}


def _spectrum(recurrence: Recurrence, inputs: Tensor, qr_every: int | Literal["auto"] = "auto") -> Tensor:
    return lyapunov_spectrum(recurrence, inputs, state_transient=0, tangent_transient=0, qr_every=qr_every).exponents


REPORTS = (
    Report(
        title="whole Lyapunov spectrum of a WCRNN, float64",
        case=LyapunovCase(),
        quick=LyapunovCase(units=20, sequences=4, steps=100),
        contenders=(
            Contender("straightforward", partial(_build, exponents_of=straightforward_exponents)),
            Contender("rnnbench", partial(_build, exponents_of=_spectrum), largest_ratio=1 / 3),
            Contender("rnnbench, QR every step", partial(_build, exponents_of=partial(_spectrum, qr_every=1))),
        ),
        tolerance=1e-6,
    ),
)
