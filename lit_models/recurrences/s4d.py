"""S4D: the diagonal state space (Gu, Gupta, Goel & Ré 2022)."""

import math
from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn

from rnnbench.datamodules.checks import check_choice
from rnnbench.lit_models.recurrence import Recurrence
from rnnbench.lit_models.recurrences._conjugate_pairs import ConjugatePairs, coordinates
from rnnbench.lit_models.recurrences._hippo import hippo_legs_dplr
from rnnbench.lit_models.scan.linear.convolution import DiagonalTransition, Transition

INITIALISATIONS = ("lin", "inv", "legs")


class S4D(ConjugatePairs, Recurrence):
    """Diagonal state spaces, one per feature, in a block with gate and residual (Gu, Gupta, Goel & Ré 2022).

    Each of the N features h has a state x of K/2 complex numbers, whose conjugates are left out (K is ``state_dim``):

    * A_n = -exp(a_n) + i w_n, and by zero-order hold Ā_n = exp(Δ_h A_n), B̄_n = (Ā_n - 1) / A_n (B = 1);
    * x_t = Ā ∘ x_{t-1} + B̄ u_t, and y_t = 2 Re(Σ_n C_n x_{t,n}) + d_h u_t.

    A starts at -½ + iπn (``lin``), -½ + i (K/π) (K/(2n+1) - 1) (``inv``) or the diagonal part of
    HiPPO-LegS (``legs``); a, w, C, Δ and d are trained. Around it: z = e + GLU(W GELU(y) + b), see the arguments. The
    state is [Re x, Im x, e] with e the encoded input, S = N K + N; whole sequences are convolved with the kernel
    2 Re(C Ā^j B̄), chunk by chunk.

    As in the authors' small example, but for: no dropout (masks would not be an instance's own); no lower learning
    rate and no freedom from weight decay for a, w and Δ, since a recipe has one of each; ``legs`` starts at B = 1 too.
    One block is one recurrence: stack them with ``StackedRNN``.

    Args:
        input_size: D; where it differs from N, an affine map encodes the input.
        hidden_size: N, features (d_model).
        state_dim: K, state size of a feature, even.
        initialisation: ``lin``, ``inv`` or ``legs``.
        norm: layer normalisation before the state space, or after the residual as in the small example.
        dt_min: least Δ at the start, which is log-uniform.
        dt_max: largest Δ at the start.

    >>> import torch
    >>> block = S4D(input_size=1, hidden_size=8, state_dim=16)
    >>> block.state_size, sum(p.numel() for p in block.parameters())
    (136, 448)
    >>> inputs = torch.randn(100, 2, 1)
    >>> outputs, state = block(inputs)
    >>> torch.allclose(block.output(state), outputs[-1], atol=1e-5)
    True
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        state_dim: int = 64,
        initialisation: Literal["lin", "inv", "legs"] = "lin",
        norm: Literal["pre", "post"] = "post",
        dt_min: float = 0.001,
        dt_max: float = 0.1,
    ) -> None:
        check_choice("initialisation", initialisation, INITIALISATIONS)
        super().__init__(input_size, hidden_size, state_dim, norm, dt_min, dt_max)
        self.log_decay = nn.Parameter(torch.full((hidden_size, state_dim // 2), math.log(0.5)))
        frequency = torch.tensor(_frequencies(initialisation, state_dim), dtype=self.skip.dtype)
        self.frequency = nn.Parameter(frequency.repeat(hidden_size, 1))

    def zero_order_hold(self) -> tuple[Tensor, Tensor]:
        """Return Ā and B̄, complex [N, K/2]."""
        continuous = torch.complex(-self.log_decay.exp(), self.frequency)
        decay = torch.exp(self.log_dt.exp().unsqueeze(-1) * continuous)
        return decay, (decay - 1) / continuous

    def advance_pairs(self, pairs: Tensor, driven: Tensor) -> Tensor:
        """Return Ā ∘ x + B̄ u, complex [B, N, K/2], of x [B, N, K/2] and u [B, N]."""
        decay, enter = self.zero_order_hold()
        return decay * pairs + enter * driven.unsqueeze(-1)

    def discretised(self) -> tuple[Transition, Tensor]:
        """Return Ā and B̄, as in ``ConjugatePairs.discretised``."""
        decay, enter = self.zero_order_hold()
        return DiagonalTransition(decay), coordinates(enter)


def _frequencies(initialisation: str, state_dim: int) -> list[float]:
    """Return the imaginary parts of A [K/2]."""
    if initialisation == "legs":
        return hippo_legs_dplr(state_dim)[0].imag.tolist()
    n = np.arange(state_dim // 2)
    if initialisation == "inv":
        return (state_dim / math.pi * (state_dim / (2 * n + 1) - 1)).tolist()
    return (math.pi * n).tolist()
