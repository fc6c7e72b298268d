"""LinOSS: a state space of uncoupled, driven harmonic oscillators (Rusch & Rus 2025)."""

import math
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from rnnbench.datamodules.checks import check_choice
from rnnbench.lit_models.recurrence import Recurrence
from rnnbench.lit_models.recurrences._state_space import StateSpaceBlock
from rnnbench.lit_models.scan.contract import Scanned
from rnnbench.lit_models.scan.linear.convolution import Transition, scan_chunks


class LinOSS(StateSpaceBlock, Recurrence):
    """Steps of y'' = -A y + B u, x = C y + d ∘ u, with diagonal A ≥ 0, in a gated block (Rusch & Rus 2025).

    K complex oscillators (``state_dim``) with positions y, velocities z and time steps Δ = σ(s), A = relu(a):

    * ``IM``, implicit: z_t = z_{t-1} + Δ (-A y_t + B u_t), y_t = y_{t-1} + Δ z_t, which loses energy;
    * ``IMEX``, implicit-explicit: z_t = z_{t-1} + Δ (-A y_{t-1} + B u_t), y_t = y_{t-1} + Δ z_t, which keeps it.

    Both are [z_t, y_t] = M [z_{t-1}, y_{t-1}] + F u_t with 2 × 2 matrices. The output is Re(C y_t) + d ∘ u_t. As in the
    authors' code, a and s start from U(0, 1), real and imaginary parts of B from U(-1/√N, 1/√N), of C from
    U(-1/√K, 1/√K). Around it: u = LN(e), x' = e + GLU(W GELU(x) + b). The state is [Re z, Im z, Re y, Im y, e] with e
    the encoded input, S = 4 K + N; whole sequences are convolved with the kernel of each oscillator, chunk by chunk.

    Deviations: layer normalisation where the paper has batch normalisation; no dropout (masks would not be an
    instance's own). One block is one recurrence: stack them with ``StackedRNN``.

    Args:
        input_size: D; where it differs from N, an affine map encodes the input.
        hidden_size: N, features.
        state_dim: K.
        discretisation: ``IM`` or ``IMEX``.

    >>> block = LinOSS(input_size=1, hidden_size=8, state_dim=16)
    >>> block.state_size, sum(p.numel() for p in block.parameters())
    (72, 728)
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        state_dim: int = 64,
        discretisation: Literal["IM", "IMEX"] = "IM",
    ) -> None:
        check_choice("discretisation", discretisation, ("IM", "IMEX"))
        super().__init__(input_size, hidden_size, state_dim, 4 * state_dim, norm="pre")
        self.discretisation = discretisation
        self.stiffness, self.step_logit = (nn.Parameter(torch.rand(state_dim)) for _ in range(2))
        # Real parts, then imaginary ones.
        enter, leave = torch.empty(2 * state_dim, hidden_size), torch.empty(hidden_size, 2 * state_dim)
        self.enter = nn.Parameter(nn.init.uniform_(enter, -1 / math.sqrt(hidden_size), 1 / math.sqrt(hidden_size)))
        self.leave = nn.Parameter(nn.init.uniform_(leave, -1 / math.sqrt(state_dim), 1 / math.sqrt(state_dim)))

    def discretised(self) -> tuple[Tensor, Tensor]:
        """Return M [2K, 2, 2] and F [2K, 2], of real and imaginary parts alike, acting on (z, y)."""
        stiffness, step = functional.relu(self.stiffness), torch.sigmoid(self.step_logit)
        pull = step * stiffness
        if self.discretisation == "IM":
            kept = 1 / (1 + step * pull)
            matrix = [kept, -pull * kept, step * kept, kept]
            driven = [step * kept, step.square() * kept]
        else:
            matrix = [torch.ones_like(step), -pull, step, 1 - step * pull]
            driven = [step, step.square()]
        transition, enter = torch.stack(matrix, -1).unflatten(-1, (2, 2)), torch.stack(driven, -1)
        return transition.repeat(2, 1, 1), enter.repeat(2, 1)

    def transition(self, latent: Tensor, driven: Tensor) -> Tensor:
        """Return the next [z, y] [B, 4K] of [z, y] [B, 4K] and u [B, N]."""
        matrix, enter = self.discretised()
        pairs = (matrix @ _pairs(latent).unsqueeze(-1)).squeeze(-1)
        return _flat(pairs + enter * functional.linear(driven, self.enter).unsqueeze(-1))

    def readout(self, latent: Tensor) -> Tensor:
        """Return Re(C y) [B, N] of [z, y] [B, 4K]."""
        return self._read(latent.chunk(2, -1)[1])

    def respond(self, driven: Tensor, latent: Tensor, keep_outputs: bool) -> Scanned:
        """Convolve with the kernels, as in ``StateSpaceBlock.respond``."""
        matrix, enter = self.discretised()
        position = torch.zeros_like(enter)
        position[:, 1] = 1
        force = functional.linear(driven, self.enter)
        found, final = scan_chunks(Transition(matrix), enter, position, force, _pairs(latent), keep_outputs)
        return driven.new_empty(0) if found is None else self._read(found), _flat(final)

    def decay_latent(self, latent: Tensor, steps: Tensor, most: int) -> Tensor:
        """Return M^steps [z, y], as in ``StateSpaceBlock.decay_latent``."""
        states = _pairs(latent).movedim(0, -1)
        return _flat(Transition(self.discretised()[0]).apply_each(steps, most, states).movedim(-1, 0))

    def _read(self, positions: Tensor) -> Tensor:
        """Return Re(C y) [..., N] of Re y and Im y [..., 2K]."""
        real, imaginary = self.leave.chunk(2, -1)
        return functional.linear(positions, torch.cat([real, -imaginary], -1))


def _pairs(latent: Tensor) -> Tensor:
    """Return (z, y) [B, 2K, 2] of [z, y] [B, 4K]."""
    return torch.stack(latent.chunk(2, -1), -1)


def _flat(pairs: Tensor) -> Tensor:
    """Return [z, y] [B, 4K] of (z, y) [B, 2K, 2]."""
    return torch.cat(pairs.unbind(-1), -1)
