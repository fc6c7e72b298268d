"""DeltaNet: a matrix of associations that is written by the delta rule, and its gated and multi-step forms."""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from rnnbench.datamodules.checks import check_at_least
from rnnbench.lit_models.recurrence import Recurrence
from rnnbench.lit_models.recurrences._common import check_divides, unit
from rnnbench.lit_models.recurrences._linear_map import LinearMap, affine
from rnnbench.lit_models.scan.contract import KernelCall, Scanned
from rnnbench.lit_models.scan.linear.delta import delta_scan
from rnnbench.lit_models.scan.native.linear import NativeLinearKernel


class DeltaNet(LinearMap, Recurrence):
    """S_t = α_t S_{t-1} (I - β_t k_t k_tᵀ) + β_t v_t k_tᵀ, y_t = S_t q_t (Schlag et al. 2021; Yang et al. 2024).

    In each of ``heads`` heads of d = N / heads numbers, from SiLU of linear maps of x_t: keys k_t and queries q_t,
    divided by their norms, and values v_t. β_t = σ(w x_t), so that I - β k kᵀ has eigenvalues 1 and 1 - β.

    * ``negative_eigenvalues``: β_t = 2 σ(w x_t), and eigenvalues are in [-1, 1] (Grazzi et al. 2024): DeltaNet[-1, 1].
    * ``gated``: α_t = exp(-exp(a) softplus(u x_t + b)), else 1 (Yang, Kautz & Hatamizadeh 2024): Gated DeltaNet.
    * ``householder_steps`` n: n such updates in each step, with own keys, values and β, after one decay (Siems et al.
      2025): DeltaProduct.

    The state is [y_t, S_t], y_t the outputs of all heads, S = N + N d. Linear maps have no bias and are drawn as in
    ``torch.nn.Linear``, exp(a) from U(0, 16), softplus(b) log-uniformly from 0.001 to 0.1, as in the authors' code
    (flash-linear-attention). Deviations: queries are not scaled by 1/√d, and what is around the map (short
    convolutions, normalised and gated outputs) is ``GatedBlock``'s. Without C, sequences are scanned chunk by chunk.

    Args:
        hidden_size: N, a multiple of ``heads``.
        householder_steps: n.

    >>> network = DeltaNet(input_size=8, hidden_size=8, heads=2)
    >>> network.state_size, sum(p.numel() for p in network.parameters())
    (40, 208)
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        heads: int = 1,
        negative_eigenvalues: bool = False,
        gated: bool = False,
        householder_steps: int = 1,
    ) -> None:
        check_at_least(1, hidden_size=hidden_size, heads=heads, householder_steps=householder_steps)
        check_divides(heads=heads, hidden_size=hidden_size)
        super().__init__(input_size, hidden_size, hidden_size * (1 + hidden_size // heads))
        self.heads, self.householder_steps, self.gated = heads, householder_steps, gated
        self.largest_strength = 2.0 if negative_eigenvalues else 1.0
        # Rows of q, k, v, β and, where it is gated, α.
        self.sizes = [hidden_size, *[householder_steps * hidden_size] * 2, householder_steps * heads]
        self.sizes += [heads] if gated else []
        self.drive = nn.Linear(input_size, sum(self.sizes), bias=False)
        if gated:
            self.log_rate = nn.Parameter(torch.empty(heads).uniform_(1e-4, 16).log())
            steps = torch.empty(heads).uniform_(math.log(0.001), math.log(0.1)).exp()
            self.decay_bias = nn.Parameter(steps + torch.log(-torch.expm1(-steps)))

    def project(self, inputs: Tensor) -> Tensor:
        """Return the linear maps [..., P] of inputs [..., D]."""
        return self.drive(inputs)

    def advance(self, projected: Tensor, state: Tensor) -> Tensor:
        """Return the next [y, S] [B, S]."""
        query, keys, values, strengths, log_decay = self._parts(projected)
        memory = self._memory(state)
        if log_decay is not None:
            memory = log_decay.exp()[..., None, None] * memory
        for key, value, strength in zip(keys.unbind(-2), values.unbind(-2), strengths.unbind(-1), strict=True):
            wrong = value - _read(memory, key)
            memory = memory + (strength.unsqueeze(-1) * key).unsqueeze(-1) * wrong.unsqueeze(-2)
        return torch.cat([_read(memory, query).flatten(-2), memory.flatten(-3)], -1)

    def respond(self, projected: Tensor, state: Tensor, past: Tensor | None) -> Scanned:
        """Scan chunk by chunk, as in ``LinearMap.respond``."""
        query, keys, values, strengths, log_decay = self._parts(projected)
        if past is not None:
            strengths = strengths.masked_fill(past.unsqueeze(-1), 0.0)
            log_decay = None if log_decay is None else log_decay.masked_fill(past, 0.0)
        read, memory = delta_scan(query, keys, values, strengths, log_decay, self._memory(state))
        outputs = read.flatten(-2)
        return outputs, torch.cat([outputs[-1], memory.flatten(-3)], -1)

    def scan_kernel(self) -> KernelCall:
        """Return the scan in C, the affine maps that ``project`` and the decay are, the largest β and exp(a)."""
        kernel = NativeLinearKernel("delta", self.hidden_size, self.hidden_size // self.heads, self.householder_steps)
        weight = self.drive.weight
        bias, factors = torch.zeros_like(weight[:, 0]), weight.new_full((1,), self.largest_strength)
        if self.gated:
            bias = torch.cat([bias[: -self.heads], self.decay_bias])
            factors = torch.cat([factors, self.log_rate.exp()])
        return kernel, [affine(weight, bias), factors]

    def _parts(self, projected: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor | None]:
        """Return q [..., H, d], k and v [..., H, n, d], β [..., H, n] and log α [..., H]."""
        query, keys, values, strengths, *rest = projected.split(self.sizes, -1)
        heads, count = self.heads, self.householder_steps
        query = functional.silu(query).unflatten(-1, (heads, -1))
        keys, values = (functional.silu(each).unflatten(-1, (heads, count, -1)) for each in (keys, values))
        strengths = self.largest_strength * torch.sigmoid(strengths.unflatten(-1, (heads, count)))
        log_decay = None
        if self.gated:
            log_decay = -self.log_rate.exp() * functional.softplus(rest[0] + self.decay_bias)
        return unit(query), unit(keys), values, strengths, log_decay

    def _memory(self, state: Tensor) -> Tensor:
        """Return S transposed [B, H, d, d]: rows for keys, columns for values."""
        size = self.hidden_size // self.heads
        return state[..., self.hidden_size :].unflatten(-1, (self.heads, size, size))


def _read(memory: Tensor, key: Tensor) -> Tensor:
    """Return S k [..., e] of S transposed [..., d, e] and k [..., d]."""
    return (key.unsqueeze(-2) @ memory).squeeze(-2)
