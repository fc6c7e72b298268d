"""S4: the structured state space with a diagonal-plus-low-rank matrix (Gu, Goel & Ré 2022)."""

import math
from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn

from rnnbench.datamodules.checks import check_at_least
from rnnbench.lit_models.recurrence import Recurrence
from rnnbench.lit_models.recurrences._conjugate_pairs import ConjugatePairs, coordinates
from rnnbench.lit_models.recurrences._hippo import hippo_legs_dplr
from rnnbench.lit_models.scan.linear.convolution import Transition


class S4(ConjugatePairs, Recurrence):
    """State spaces that start as HiPPO-LegS, one per feature, in a block with gate and residual (Gu et al. 2022).

    Each of the N features h has a state x of K/2 complex numbers, whose conjugates are left out (K is ``state_dim``):

    * A = Λ - P P* with Λ_n = -exp(a_n) + i w_n, of full size K (Theorem 1; the low-rank term tied, as in Goel et al.
      2022, so that A stays stable);
    * bilinear: Ā = (I - Δ/2 A)⁻¹ (I + Δ/2 A), B̄ = (I - Δ/2 A)⁻¹ Δ B (eq. 3), applied in O(K) by the Woodbury
      identity (Theorem 2);
    * x_t = Ā x_{t-1} + B̄ u_t, and y_t = 2 Re(C x_t) + d_h u_t.

    a, w, P, B (of each of ``num_ssms`` groups of features), C, Δ and d are trained. Around it: z = e + GLU(W GELU(y) +
    b), see the arguments. The state is [Re x, Im x, e] with e the encoded input, S = N K + N. Whole sequences are
    convolved with the kernel 2 Re(C Ā^j B̄), chunk by chunk: its taps come from repeated squares of Ā, which costs
    N K³ once a batch; not from the generating function at the roots of unity (Cauchy kernel, Algorithm 1), which
    divides where those come close to the spectrum, and would give neither the last state nor the response to the
    first.

    Deviations: one direction where the image models of the paper read both; layer normalisation where some of them
    have batch normalisation; no dropout (masks would not be an instance's own); one learning rate and weight decay for
    all parameters. One block is one recurrence: stack them with ``StackedRNN``.

    Args:
        num_ssms: different A and B, each shared by as many neighbouring features; N divided by it. The paper has N,
            the authors' code 1 or 2.
        input_size, hidden_size, state_dim, norm, dt_min, dt_max: see ``S4D``.

    >>> import torch
    >>> block = S4(input_size=1, hidden_size=8, state_dim=16)
    >>> block.state_size, sum(p.numel() for p in block.parameters())
    (136, 368)
    >>> inputs = torch.randn(100, 2, 1)
    >>> outputs, state = block(inputs)
    >>> torch.allclose(block.output(state), outputs[-1], atol=1e-4)
    True
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        state_dim: int = 64,
        num_ssms: int = 1,
        norm: Literal["pre", "post"] = "post",
        dt_min: float = 0.001,
        dt_max: float = 0.1,
    ) -> None:
        check_at_least(1, num_ssms=num_ssms)
        super().__init__(input_size, hidden_size, state_dim, norm, dt_min, dt_max)
        if hidden_size % num_ssms:
            raise ValueError(f"num_ssms must divide hidden_size, {hidden_size}, got {num_ssms}")
        diagonal, low_rank, enter = hippo_legs_dplr(state_dim)
        self.log_decay = self._repeated(np.full(state_dim // 2, math.log(0.5)), num_ssms)
        self.frequency = self._repeated(diagonal.imag, num_ssms)
        self.p_real, self.p_imag = self._repeated(low_rank.real, num_ssms), self._repeated(low_rank.imag, num_ssms)
        self.b_real, self.b_imag = self._repeated(enter.real, num_ssms), self._repeated(enter.imag, num_ssms)

    def _repeated(self, values: np.ndarray, times: int) -> nn.Parameter:
        return nn.Parameter(torch.tensor(values.tolist(), dtype=self.skip.dtype).repeat(times, 1))

    def advance_pairs(self, pairs: Tensor, driven: Tensor) -> Tensor:
        """Return Ā x + B̄ u, complex [B, N, K/2], of x [B, N, K/2] and u [B, N]."""
        diagonal = self._of_features(torch.complex(-self.log_decay.exp(), self.frequency))
        low_rank = self._of_features(torch.complex(self.p_real, self.p_imag))
        enter = self._of_features(torch.complex(self.b_real, self.b_imag))
        step = self.log_dt.exp().unsqueeze(-1)
        forward = pairs + step / 2 * (diagonal * pairs - low_rank * _inner(low_rank, pairs))
        solved = 1 / (1 - step / 2 * diagonal)
        following = solved * (forward + step * enter * driven.unsqueeze(-1))
        # Woodbury. The real part of each 1 / (1 - Δ/2 λ) is positive, and so the divisor is above 1.
        divisor = 1 + step / 2 * _inner(low_rank, solved * low_rank)
        return following - step / 2 * solved * low_rank * (_inner(low_rank, following) / divisor)

    def discretised(self) -> tuple[Transition, Tensor]:
        """Return Ā and B̄, as in ``ConjugatePairs.discretised``."""
        identity = torch.eye(2 * self.c_real.shape[1], dtype=self.skip.dtype, device=self.skip.device)
        # The last row is x = 0 with the input 1, the others are the basis without an input.
        parts = torch.cat([identity, torch.zeros_like(identity[:1])]).chunk(2, -1)
        pairs = torch.complex(*parts).unsqueeze(1).expand(-1, self.hidden_size, -1)
        driven = torch.zeros_like(identity[0]).new_zeros(len(pairs), 1)
        driven[-1] = 1
        columns = coordinates(self.advance_pairs(pairs, driven.expand(-1, self.hidden_size)))
        return Transition(columns[:-1].permute(1, 2, 0)), columns[-1]

    def _of_features(self, values: Tensor) -> Tensor:
        """Return the values [N, K/2] of all features, of those of their groups."""
        return values.repeat_interleave(self.hidden_size // len(values), 0)


def _inner(low_rank: Tensor, pairs: Tensor) -> Tensor:
    """Return P* x over all conjugate pairs, a real number [..., 1]."""
    return 2 * (low_rank.real * pairs.real + low_rank.imag * pairs.imag).sum(-1, keepdim=True)
