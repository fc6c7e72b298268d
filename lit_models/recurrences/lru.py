"""The linear recurrent unit (Orvieto et al. 2023)."""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from rnnbench.lit_models.recurrence import Recurrence
from rnnbench.lit_models.recurrences._state_space import StateSpaceBlock
from rnnbench.lit_models.scan.contract import Scanned
from rnnbench.lit_models.scan.linear.convolution import DiagonalTransition
from rnnbench.lit_models.scan.linear.diagonal import diagonal_scan


class LRU(StateSpaceBlock, Recurrence):
    """A complex diagonal recurrence with its eigenvalues on a ring, in a gated block (Orvieto et al. 2023).

    With K complex numbers in the state (``state_dim``):

    * x_t = λ ∘ x_{t-1} + exp(g) ∘ (B u_t), with λ = exp(-exp(ν) + i exp(θ)) inside the unit circle (section 3.3);
    * y_t = Re(C x_t) + d ∘ u_t.

    At the start λ is uniform on the ring r_min ≤ |λ| ≤ r_max (Lemma 3.2), with phases up to ``max_phase``, and
    g = log √(1 - |λ|²) (section 3.4); B and C are complex normal, of variance 1/N and 2/K, as in the authors' code. ν,
    θ, g, B, C and d are trained. Around it: u = LN(e), z = e + GLU(W GELU(y) + b). The state is
    [Re x, Im x, e] with e the encoded input, S = 2K + N; whole sequences are scanned by ``diagonal_scan``.

    Deviations: layer normalisation where the paper has batch normalisation; no dropout (masks would not be an
    instance's own); one learning rate and weight decay for all parameters, where the paper has lower ones for the
    recurrence. One block is one recurrence: stack them with ``StackedRNN``.

    Args:
        input_size: D; where it differs from N, an affine map encodes the input.
        hidden_size: N, features (H in the paper).
        state_dim: K, complex numbers of the state (N in the paper).
        r_min: least |λ| at the start.
        r_max: largest |λ| at the start; 1 is never drawn.
        max_phase: largest phase of λ at the start, in radians.

    >>> import torch
    >>> block = LRU(input_size=1, hidden_size=8, state_dim=16)
    >>> block.state_size, sum(p.numel() for p in block.parameters())
    (40, 744)
    >>> block(torch.randn(100, 2, 1))[0].shape
    torch.Size([100, 2, 8])
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        state_dim: int = 64,
        r_min: float = 0.0,
        r_max: float = 1.0,
        max_phase: float = 6.28,
    ) -> None:
        super().__init__(input_size, hidden_size, state_dim, 2 * state_dim, norm="pre")
        if not 0 <= r_min < r_max <= 1:
            raise ValueError(f"r_min and r_max must satisfy 0 <= r_min < r_max <= 1, got {r_min} and {r_max}")
        if not 0 < max_phase <= 2 * math.pi:
            raise ValueError(f"max_phase must be above 0 and at most 2π, got {max_phase}")
        # Exactly 0 or 1, drawn or rounded to, would be the logarithm of zero.
        tiny = torch.finfo(self.skip.dtype).eps
        squared_modulus = (torch.rand(state_dim) * (r_max**2 - r_min**2) + r_min**2).clamp(tiny, 1 - tiny)
        self.log_rate = nn.Parameter((-0.5 * squared_modulus.log()).log())
        self.log_phase = nn.Parameter((max_phase * torch.rand(state_dim)).clamp(min=tiny**2).log())
        self.log_gain = nn.Parameter(0.5 * (1 - squared_modulus).log())
        enter = torch.randn(2, state_dim, hidden_size) / math.sqrt(2 * hidden_size)
        leave = torch.randn(2, hidden_size, state_dim) / math.sqrt(state_dim)
        self.b_real, self.b_imag = nn.Parameter(enter[0].clone()), nn.Parameter(enter[1].clone())
        self.c_real, self.c_imag = nn.Parameter(leave[0].clone()), nn.Parameter(leave[1].clone())

    def eigenvalues(self) -> Tensor:
        """Return λ, complex [K]."""
        return torch.exp(torch.complex(-self.log_rate.exp(), self.log_phase.exp()))

    def transition(self, latent: Tensor, driven: Tensor) -> Tensor:
        """Return λ ∘ x + exp(g) ∘ (B u) [B, 2K] of x [B, 2K] and u [B, N]."""
        following = self.eigenvalues() * torch.complex(*latent.chunk(2, -1)) + self._enter(driven)
        return torch.cat([following.real, following.imag], -1)

    def readout(self, latent: Tensor) -> Tensor:
        """Return Re(C x) [B, N] of x [B, 2K]."""
        return functional.linear(latent, torch.cat([self.c_real, -self.c_imag], -1))

    def respond(self, driven: Tensor, latent: Tensor, keep_outputs: bool) -> Scanned:
        """Scan over time, as in ``StateSpaceBlock.respond``."""
        start = torch.complex(*latent.chunk(2, -1))
        states = torch.view_as_real(diagonal_scan(self.eigenvalues(), self._enter(driven), start))
        final = states[-1].transpose(-1, -2).flatten(-2)
        if not keep_outputs:
            return driven.new_empty(0), final
        interleaved = torch.stack([self.c_real, -self.c_imag], -1).flatten(-2)
        return functional.linear(states.flatten(-2), interleaved), final

    def decay_latent(self, latent: Tensor, steps: Tensor, most: int) -> Tensor:
        """Return λ^steps ∘ x, as in ``StateSpaceBlock.decay_latent``."""
        # One state space of K complex numbers.
        transition = DiagonalTransition(self.eigenvalues().unsqueeze(0))
        return transition.apply_each(steps, most, latent.t().unsqueeze(0))[0].t()

    def _enter(self, driven: Tensor) -> Tensor:
        """Return exp(g) ∘ (B u), complex [..., K], of u [..., N]."""
        weight = torch.cat([self.b_real, self.b_imag]) * self.log_gain.exp().repeat(2).unsqueeze(-1)
        return torch.complex(*functional.linear(driven, weight).chunk(2, -1))
