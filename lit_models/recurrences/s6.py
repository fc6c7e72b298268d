"""Mamba's selective state space, whose time step and matrices are functions of the input (Gu & Dao 2023)."""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from rnnbench.datamodules.checks import check_at_least
from rnnbench.lit_models.recurrence import Recurrence
from rnnbench.lit_models.recurrences._linear_map import LinearMap, affine, compose
from rnnbench.lit_models.scan.autograd.function import scan_instances
from rnnbench.lit_models.scan.contract import KernelCall, Scanned
from rnnbench.lit_models.scan.linear.selective import SelectiveKernel
from rnnbench.lit_models.scan.native.linear import NativeLinearKernel


class S6(LinearMap, Recurrence):
    """The selective state space of Mamba (Gu & Dao 2023, algorithm 2): one state of K numbers for each of N features.

    With x_t the encoded input (an affine map where D differs from N, the input itself where it does not):

    * Δ_t = softplus(W_Δ (W_r x_t) + b), W_r of R = ⌈N/32⌉ rows; B_t = W_B x_t, C_t = W_C x_t, K numbers each;
    * h_t[n, k] = exp(Δ_t[n] A[n, k]) h_{t-1}[n, k] + Δ_t[n] B_t[k] x_t[n], with A = -exp(a);
    * y_t[n] = Σ_k C_t[k] h_t[n, k] + d[n] x_t[n].

    B is discretised as Δ B, as in the authors' code. As there, A starts at -1, ..., -K, d at one, softplus(b)
    log-uniformly from ``dt_min`` to ``dt_max`` (at least 10⁻⁴), W_Δ from U(-1/√R, 1/√R), the other maps, without bias,
    as in ``torch.nn.Linear``. The state is [y, h]: S = N + N K. The convolution, gate and expansion of Mamba's block
    are ``GatedBlock``'s.

    Args:
        hidden_size: N, features.
        state_dim: K.
        dt_min: least Δ at the start.
        dt_max: largest Δ at the start.

    >>> network = S6(input_size=8, hidden_size=8, state_dim=4)
    >>> network.state_size, sum(p.numel() for p in network.parameters())
    (40, 128)
    """

    def __init__(
        self, input_size: int, hidden_size: int, state_dim: int = 16, dt_min: float = 0.001, dt_max: float = 0.1
    ) -> None:
        check_at_least(1, hidden_size=hidden_size, state_dim=state_dim)
        super().__init__(input_size, hidden_size, hidden_size * (1 + state_dim))
        if not 0 < dt_min <= dt_max < math.inf:
            raise ValueError(f"dt_min and dt_max must be finite with 0 < dt_min <= dt_max, got {dt_min} and {dt_max}")
        self.state_dim = state_dim
        rank = math.ceil(hidden_size / 32)
        self.encoder = nn.Identity() if input_size == hidden_size else nn.Linear(input_size, hidden_size)
        # Rows of W_r, W_B and W_C.
        self.select = nn.Linear(hidden_size, rank + 2 * state_dim, bias=False)
        self.step_weight = nn.Parameter(torch.empty(hidden_size, rank).uniform_(-1, 1) / math.sqrt(rank))
        steps = torch.empty(hidden_size).uniform_(math.log(dt_min), math.log(dt_max)).exp().clamp(min=1e-4)
        self.step_bias = nn.Parameter(steps + torch.log(-torch.expm1(-steps)))
        self.log_rate = nn.Parameter(torch.arange(1.0, state_dim + 1).log().repeat(hidden_size, 1))
        self.skip = nn.Parameter(torch.ones(hidden_size))

    def project(self, inputs: Tensor) -> Tensor:
        """Return x, what Δ is the softplus of, B and C [..., 2N + 2K], of inputs [..., D]."""
        encoded = self.encoder(inputs)
        steps, rest = self.select(encoded).split([self.step_weight.shape[1], 2 * self.state_dim], -1)
        return torch.cat([encoded, functional.linear(steps, self.step_weight, self.step_bias), rest], -1)

    def advance(self, projected: Tensor, state: Tensor) -> Tensor:
        """Return the next [y, h] [B, S]."""
        encoded, steps, enter, leave = self._parts(projected)
        latent = state[..., self.hidden_size :].unflatten(-1, (self.hidden_size, self.state_dim))
        decay = torch.exp(-steps.unsqueeze(-1) * self.log_rate.exp())
        latent = decay * latent + (steps * encoded).unsqueeze(-1) * enter.unsqueeze(-2)
        read = (latent @ leave.unsqueeze(-1)).squeeze(-1)
        return torch.cat([read + self.skip * encoded, latent.flatten(-2)], -1)

    def respond(self, projected: Tensor, state: Tensor, past: Tensor | None) -> Scanned:
        """Scan over time, as in ``LinearMap.respond``."""
        encoded, steps, enter, leave = self._parts(projected)
        if past is not None:
            steps = steps.masked_fill(past, 0.0)
        given, rates = torch.cat([steps, steps * encoded, enter, leave], -1), self.log_rate.exp()
        latent = state[..., self.hidden_size :]
        read, latent = scan_instances(SelectiveKernel(self.hidden_size), given, latent, [rates], True)
        outputs = read + self.skip * encoded
        return outputs, torch.cat([outputs[-1], latent], -1)

    def scan_kernel(self) -> KernelCall:
        """Return the scan in C, the affine maps of the inputs that ``project`` gives, rates and d."""
        encoder = self.encoder
        identity = torch.eye(self.hidden_size, dtype=self.skip.dtype, device=self.skip.device)
        encoded = affine(encoder.weight, encoder.bias) if isinstance(encoder, nn.Linear) else affine(identity)
        steps, rest = compose(self.select.weight, encoded).split([self.step_weight.shape[1], 2 * self.state_dim])
        joint = torch.cat([encoded, compose(self.step_weight, steps, self.step_bias), rest])
        return NativeLinearKernel("S6", self.hidden_size, self.state_dim), [joint, self.log_rate.exp(), self.skip]

    def _parts(self, projected: Tensor) -> tuple[Tensor, ...]:
        """Return x and Δ [..., N], B and C [..., K]."""
        encoded, steps, enter, leave = projected.split([*[self.hidden_size] * 2, *[self.state_dim] * 2], -1)
        return encoded, functional.softplus(steps), enter, leave
