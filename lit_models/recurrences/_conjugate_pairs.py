"""What S4 and S4D share: one state space per feature, of complex numbers whose conjugates are left out."""

import math
from abc import abstractmethod

import torch
from torch import Tensor, nn

from rnnbench.lit_models.recurrences._common import check_fits
from rnnbench.lit_models.recurrences._state_space import StateSpaceBlock
from rnnbench.lit_models.scan.contract import Scanned
from rnnbench.lit_models.scan.linear.convolution import Transition, kernel, scan_chunks


class ConjugatePairs(StateSpaceBlock):
    """N state spaces x_t = Ā x_{t-1} + B̄ u_t, y_t = 2 Re(C x_t) of K/2 complex numbers each.

    A subclass defines Ā and B̄; here are C and the time steps Δ, and the convolution.
    """

    def __init__(
        self, input_size: int, hidden_size: int, state_dim: int, norm: str, dt_min: float, dt_max: float
    ) -> None:
        """Draw Δ log-uniformly and C from the complex normal distribution, as the authors do; K must be even."""
        super().__init__(input_size, hidden_size, state_dim, hidden_size * state_dim, norm)
        if state_dim % 2:
            raise ValueError(f"state_dim must be even, since its numbers are conjugate pairs, got {state_dim}")
        if not 0 < dt_min <= dt_max < math.inf:
            raise ValueError(f"dt_min and dt_max must be finite with 0 < dt_min <= dt_max, got {dt_min} and {dt_max}")
        check_fits(dt_min=dt_min, dt_max=dt_max)
        self.log_dt = nn.Parameter(torch.empty(hidden_size).uniform_(math.log(dt_min), math.log(dt_max)))
        parts = torch.randn(2, hidden_size, state_dim // 2) / math.sqrt(2)
        self.c_real, self.c_imag = nn.Parameter(parts[0].clone()), nn.Parameter(parts[1].clone())

    @abstractmethod
    def advance_pairs(self, pairs: Tensor, driven: Tensor) -> Tensor:
        """Return Ā x + B̄ u, complex [B, N, K/2], of x [B, N, K/2] and u [B, N]."""

    @abstractmethod
    def discretised(self) -> tuple[Transition, Tensor]:
        """Return Ā, acting on the K coordinates (Re x, Im x) of each feature, and B̄ in them [N, K]."""

    def kernel(self, length: int) -> Tensor:
        """Return the taps 2 Re(C Ā^j B̄) for j = 0 ... length - 1 [N, length]."""
        transition, enter = self.discretised()
        return kernel(transition, enter, self._leave_row(), length)

    def transition(self, latent: Tensor, driven: Tensor) -> Tensor:
        """Return Ā x + B̄ u [B, N K] of x [B, N K] and u [B, N]."""
        following = self.advance_pairs(torch.complex(*self._features(latent)), driven)
        return torch.cat([following.real.flatten(-2), following.imag.flatten(-2)], -1)

    def readout(self, latent: Tensor) -> Tensor:
        """Return 2 Re(C x) [B, N] of x [B, N K]."""
        real, imaginary = self._features(latent)
        return 2 * (self.c_real * real - self.c_imag * imaginary).sum(-1)

    def respond(self, driven: Tensor, latent: Tensor, keep_outputs: bool) -> Scanned:
        """Convolve with the kernel, as in ``StateSpaceBlock.respond``."""
        transition, enter = self.discretised()
        start = torch.cat(self._features(latent), -1)
        read, final = scan_chunks(transition, enter, self._leave_row(), driven, start, keep_outputs)
        return driven.new_empty(0) if read is None else read, _flat(final)

    def decay_latent(self, latent: Tensor, steps: Tensor, most: int) -> Tensor:
        """Return Ā^steps x, as in ``StateSpaceBlock.decay_latent``."""
        states = torch.cat(self._features(latent), -1).movedim(0, -1)
        return _flat(self.discretised()[0].apply_each(steps, most, states).movedim(-1, 0))

    def _features(self, latent: Tensor) -> list[Tensor]:
        """Return the real and the imaginary parts [B, N, K/2] of x [B, N K]."""
        return [part.unflatten(-1, (self.hidden_size, -1)) for part in latent.chunk(2, -1)]

    def _leave_row(self) -> Tensor:
        """Return C as it acts on coordinates [N, K]."""
        return 2 * torch.cat([self.c_real, -self.c_imag], -1)


def coordinates(values: Tensor) -> Tensor:
    """Return (Re x, Im x) [..., K] of complex x [..., K/2]."""
    return torch.cat([values.real, values.imag], -1)


def _flat(states: Tensor) -> Tensor:
    """Return x [B, N K], all real and then all imaginary parts, of coordinates [B, N, K]."""
    return torch.cat([part.flatten(-2) for part in states.chunk(2, -1)], -1)
