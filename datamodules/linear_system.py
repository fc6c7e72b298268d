"""A random linear system: what a recurrence must imitate whose memory is set by the spectral radius."""

import functools
import math
from typing import Any

import torch
from torch import Tensor

from rnnbench.datamodules.checks import check_at_least, check_number
from rnnbench.datamodules.seeds import named_generator
from rnnbench.datamodules.synthetic import SignalDataModule
from rnnbench.datamodules.task import Metric, Task


class LinearSystem(SignalDataModule):
    """Imitate a random linear system that the inputs drive, after the unstable example of Miller & Hardt 2019.

    s_t = A s_{t-1} + B x_t from s_0 = 0, target y_t = C s_t at every step, for inputs x [T, width] ~ N(0, 1). The
    entries of A, B and C are Gaussian, drawn by the seed; A is scaled to the spectral radius, and C so that the mean
    over steps of the variance of y_t is exactly 1 (computed, not sampled). What a truncation to the last k inputs
    misses falls like ρ^k: at a spectral radius of 1 and above truncation must fail. (The paper's own settings are not
    known.)

    Chance is the mean, 0 predicted: its MSE is 1.

    Args:
        spectral_radius: ρ, largest absolute eigenvalue of A; more than 0.
        order: entries of the system's state s.
        width: features of the input.
        length: steps T.
        train_size, val_size, test_size, fresh, batch_size, eval_batch_size, seed: see ``SyntheticDataModule``.

    >>> data = LinearSystem(spectral_radius=0.5, order=1, length=3)
    >>> a, b, c = (matrix.item() for matrix in data.system())
    >>> abs(a)
    0.5
    >>> targets = data.target(torch.tensor([[[1.0], [0.0], [2.0]]]).double()).flatten()
    >>> torch.allclose(targets, torch.tensor([b * c, a * b * c, (a * a + 2) * b * c]).double())
    True
    """

    def __init__(
        self, spectral_radius: float = 0.9, order: int = 8, width: int = 1, length: int = 100, **drawn: Any
    ) -> None:
        super().__init__(**drawn)
        check_at_least(1, order=order, width=width, length=length)
        check_number("spectral_radius", spectral_radius, above=0)
        self.spectral_radius = float(spectral_radius)
        self.order = order
        self.width = width
        self.length = length
        system = order * (2 * order + width + 1) + width * length**2
        self.check_sequences_fit(length * (width + 1), more=8 * system)
        if not all(matrix.isfinite().all() for matrix in self.system()):
            reason = f"over {length} steps its powers are beyond double precision"
            raise ValueError(f"spectral_radius must be smaller, got {spectral_radius}: {reason}")

    @property
    def task(self) -> Task:
        """One number at every step; ranked by the MSE, whose chance is the targets' variance, 1."""
        metrics = (Metric("mse", "min", chance=1.0, best=0.0),)
        name = f"LinearSystem{self.spectral_radius:g}"
        return Task(name, self.width, 1, self.length, "every", "mse", metrics)

    def system(self) -> tuple[Tensor, Tensor, Tensor]:
        """Return A [order, order], B [order, width] and C [1, order], in double precision."""
        return _system(self.spectral_radius, self.order, self.width, self.length, self.seed)

    def target(self, inputs: Tensor) -> Tensor:
        """Return the system's outputs [B, T, 1] for inputs [B, T, width]."""
        response = _impulse_response(self.spectral_radius, self.order, self.width, self.length, self.seed)
        return (inputs.double().flatten(1) @ response).unsqueeze(-1).to(inputs.dtype)


@functools.lru_cache(maxsize=16)
def _impulse_response(radius: float, order: int, width: int, length: int, seed: int) -> Tensor:
    """Return what the outputs y [T] are of the inputs x [T, width]: C A^{t-s} B at [s, :, t], as [T · width, T]."""
    transition, drive, readout = _system(radius, order, width, length, seed)
    response = torch.zeros(length, width, length, dtype=torch.float64)
    for lag in range(length):
        steps = torch.arange(length - lag)
        response[steps, :, steps + lag] = (readout @ drive)[0]
        readout = readout @ transition
    return response.flatten(0, 1)


@functools.lru_cache(maxsize=16)
def _system(radius: float, order: int, width: int, length: int, seed: int) -> tuple[Tensor, Tensor, Tensor]:
    generator = named_generator("system", seed)
    transition, drive, readout = (
        torch.randn(*shape, generator=generator, dtype=torch.float64)
        for shape in ((order, order), (order, width), (1, order))
    )
    transition *= radius / torch.linalg.eigvals(transition).abs().max()
    # The covariance of s_t, step by step; that of y_t is its quadratic form with C.
    covariance, variance = torch.zeros(order, order, dtype=torch.float64), 0.0
    for _ in range(length):
        covariance = transition @ covariance @ transition.t() + drive @ drive.t()
        variance += (readout @ covariance @ readout.t()).item() / length
    return transition, drive, readout / math.sqrt(variance)
