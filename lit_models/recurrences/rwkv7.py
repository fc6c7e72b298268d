"""RWKV-7's state evolution: a delta rule with a decay and a rate for each channel (Peng et al. 2025)."""

import torch
from torch import Tensor, nn

from rnnbench.datamodules.checks import check_at_least
from rnnbench.lit_models.recurrence import Recurrence
from rnnbench.lit_models.recurrences._common import check_divides, unit
from rnnbench.lit_models.recurrences._linear_map import LinearMap, affine
from rnnbench.lit_models.scan.contract import KernelCall, Scanned
from rnnbench.lit_models.scan.linear.diagonal_plus_rank_one import rank_one_scan
from rnnbench.lit_models.scan.native.linear import NativeLinearKernel

#: 1/√e: w is never below exp of its negative, 0.545.
LARGEST_RATE = 0.6065306597126334


class RWKV7(LinearMap, Recurrence):
    """S_t = S_{t-1} (diag(w_t) - κ_t (a_t ∘ κ_t)ᵀ) + v_t k̃_tᵀ, y_t = S_t r_t (Peng et al. 2025, section 4).

    In each of ``heads`` heads of d = N / heads numbers, with r_t, k_t, v_t, α_t and ω_t affine in x_t:

    * w_t = exp(-σ(ω_t) / √e), the decay of each channel; a_t = σ(α_t), its rate;
    * κ_t = k_t ∘ ξ over its norm in each head; k̃_t = k_t ∘ (1 + (a_t - 1) ∘ ρ), with trained ξ and ρ [N].

    ρ starts at 1.02, ξ at 0.76 to 0.66, the biases of ω and α as in the flash-linear-attention code at the first of
    many layers, r, k and v without bias from random orthogonal maps, k's times 0.1; ω and α from zero weights.
    Deviations: ω and α are full maps, not of low rank; tokens are not mixed with those before, values not with those of
    the first layer; bonus, normalisation and gate of the output are left out. ``GatedBlock`` has a convolution, norm
    and gate.
    The state is [y_t, S_t], S = N + N d. Without C, whole sequences are scanned chunk by chunk.

    Args:
        hidden_size: N, a multiple of ``heads``.

    >>> network = RWKV7(input_size=8, hidden_size=8, heads=2)
    >>> network.state_size, sum(p.numel() for p in network.parameters())
    (40, 352)
    """

    def __init__(self, input_size: int, hidden_size: int, heads: int = 1) -> None:
        check_at_least(1, hidden_size=hidden_size, heads=heads)
        check_divides(heads=heads, hidden_size=hidden_size)
        super().__init__(input_size, hidden_size, hidden_size * (1 + hidden_size // heads))
        self.heads = heads
        # Rows of r, k and v, and of ω and α.
        self.drive = nn.Linear(input_size, 3 * hidden_size, bias=False)
        self.gates = nn.Linear(input_size, 2 * hidden_size)
        place = torch.arange(hidden_size) / max(1, hidden_size - 1)
        size = hidden_size // heads
        within = torch.arange(hidden_size) % size * 2 / max(1, size - 1) - 1
        zigzag = within * within.abs()
        self.key_scale = nn.Parameter(0.71 - 0.1 * (place - 0.5))
        self.rate_mix = nn.Parameter(torch.full((hidden_size,), 1.02))
        with torch.no_grad():
            for rows, gain in zip(self.drive.weight.chunk(3), (1.0, 0.1, 1.0), strict=True):
                if not rows.is_meta:  # where sizes are searched, orthogonal maps cannot be drawn
                    nn.init.orthogonal_(rows, gain)
            nn.init.zeros_(self.gates.weight)
            decay_bias, rate_bias = 6 * place - 5.5 + 2.5 * zigzag, 0.3 * zigzag + 0.4 * (place - 0.5) - 0.19
            self.gates.bias.copy_(torch.cat([decay_bias, rate_bias]))

    def project(self, inputs: Tensor) -> Tensor:
        """Return r, k, v, ω and α [..., 5N] of inputs [..., D]."""
        return torch.cat([self.drive(inputs), self.gates(inputs)], -1)

    def advance(self, projected: Tensor, state: Tensor) -> Tensor:
        """Return the next [y, S] [B, S]."""
        receptance, log_decay, read, write, key, value = self._parts(projected)
        memory = self._memory(state)
        known = (read.unsqueeze(-2) @ memory).squeeze(-2)
        memory = log_decay.exp().unsqueeze(-1) * memory + write.unsqueeze(-1) * known.unsqueeze(-2)
        memory = memory + key.unsqueeze(-1) * value.unsqueeze(-2)
        output = (receptance.unsqueeze(-2) @ memory).squeeze(-2)
        return torch.cat([output.flatten(-2), memory.flatten(-3)], -1)

    def respond(self, projected: Tensor, state: Tensor, past: Tensor | None) -> Scanned:
        """Scan chunk by chunk, as in ``LinearMap.respond``."""
        receptance, log_decay, read, write, key, value = self._parts(projected)
        if past is not None:
            log_decay, write, key = (each.masked_fill(past.unsqueeze(-1), 0.0) for each in (log_decay, write, key))
        found, memory = rank_one_scan(receptance, log_decay, read, write, key, value, self._memory(state))
        outputs = found.flatten(-2)
        return outputs, torch.cat([outputs[-1], memory.flatten(-3)], -1)

    def scan_kernel(self) -> KernelCall:
        """Return the scan in C, the affine maps that ``project`` is, ξ and ρ."""
        joint = torch.cat([affine(self.drive.weight), affine(self.gates.weight, self.gates.bias)])
        kernel = NativeLinearKernel("RWKV-7", self.hidden_size, self.hidden_size // self.heads)
        return kernel, [joint, self.key_scale, self.rate_mix]

    def _parts(self, projected: Tensor) -> tuple[Tensor, ...]:
        """Return r, log w, -κ, a ∘ κ, k̃ and v, all [..., H, d]."""
        receptance, key, value, decay, rate = projected.chunk(5, -1)
        rate = torch.sigmoid(rate)
        removed = unit((key * self.key_scale).unflatten(-1, (self.heads, -1)))
        key = key * (1 + (rate - 1) * self.rate_mix)
        receptance, log_decay, rate, key, value = (
            each.unflatten(-1, (self.heads, -1))
            for each in (receptance, -LARGEST_RATE * torch.sigmoid(decay), rate, key, value)
        )
        return receptance, log_decay, -removed, rate * removed, key, value

    def _memory(self, state: Tensor) -> Tensor:
        """Return S transposed [B, H, d, d]: rows for keys, columns for values."""
        size = self.hidden_size // self.heads
        return state[..., self.hidden_size :].unflatten(-1, (self.heads, size, size))
