"""The real-gated linear recurrent unit of Hawk and Griffin (De et al. 2024)."""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from rnnbench.datamodules.checks import check_at_least
from rnnbench.lit_models.recurrence import Recurrence
from rnnbench.lit_models.recurrences._common import check_divides
from rnnbench.lit_models.recurrences._linear_map import DiagonalMap, affine
from rnnbench.lit_models.scan.contract import KernelCall
from rnnbench.lit_models.scan.native.linear import NativeLinearKernel

#: c of the paper's section 2.4.
SHARPNESS = 8.0


class RGLRU(DiagonalMap, Recurrence):
    """The real-gated linear recurrent unit (De et al. 2024, section 2.4).

    With x_t the encoded input (an affine map where D differs from N, the input itself where it does not):

    * r_t = σ(W_a x_t + b_a), i_t = σ(W_x x_t + b_x), with block-diagonal W of ``heads`` blocks;
    * a_t = a^(c r_t) with a = σ(Λ), c = 8; h_t = a_t ∘ h_{t-1} + √(1 - a_t²) ∘ (i_t ∘ x_t).

    The state is h: S = N. Λ is drawn so that a^c is uniform from 0.9 to 0.999 (section 2.4; the released code has a
    itself there), W from N(0, heads/N), b is zero. Deviations: the first step of a sequence is scaled like any other,
    and the gradient of the square root is not clipped, as 1 - a² is computed without cancellation. Convolution, gate
    and residual of the paper's block are ``GatedBlock``'s.

    Args:
        hidden_size: N, a multiple of ``heads``.
        heads: blocks of W.

    >>> unit = RGLRU(input_size=8, hidden_size=8, heads=2)
    >>> unit.state_size, sum(p.numel() for p in unit.parameters())
    (8, 88)
    """

    def __init__(self, input_size: int, hidden_size: int, heads: int = 1) -> None:
        super().__init__(input_size, hidden_size)
        check_at_least(1, heads=heads)
        check_divides(heads=heads, hidden_size=hidden_size)
        self.encoder = nn.Identity() if input_size == hidden_size else nn.Linear(input_size, hidden_size)
        size = hidden_size // heads
        # Of r, then of i.
        self.gate_weight = nn.Parameter(torch.randn(2, heads, size, size) / math.sqrt(size))
        self.gate_bias = nn.Parameter(torch.zeros(2, hidden_size))
        log_decay = torch.empty(hidden_size).uniform_(0.9, 0.999).log() / SHARPNESS
        self.decay = nn.Parameter(log_decay - torch.log(-torch.expm1(log_decay)))

    def project(self, inputs: Tensor) -> Tensor:
        """Return x and what r and i are the sigmoids of [..., 3N], of inputs [..., D]."""
        encoded = self.encoder(inputs)
        blocks = encoded.unflatten(-1, (self.gate_weight.shape[1], -1))
        gates = [
            torch.einsum("...hi,hij->...hj", blocks, weight).flatten(-2) + bias
            for weight, bias in zip(self.gate_weight, self.gate_bias, strict=True)
        ]
        return torch.cat([encoded, *gates], -1)

    def coefficients(self, projected: Tensor) -> tuple[Tensor, Tensor]:
        """Return a_t and √(1 - a_t²) ∘ (i_t ∘ x_t)."""
        encoded, recurrence_gate, input_gate = projected.chunk(3, -1)
        log_decay = SHARPNESS * torch.sigmoid(recurrence_gate) * functional.logsigmoid(self.decay)
        scale = torch.sqrt(-torch.expm1(2 * log_decay))
        return log_decay.exp(), scale * torch.sigmoid(input_gate) * encoded

    def scan_kernel(self) -> KernelCall:
        """Return the scan in C, the affine maps of the inputs that x, r and i are of, and c log a."""
        encoder = self.encoder
        identity = torch.eye(self.hidden_size, dtype=self.decay.dtype, device=self.decay.device)
        encoded = affine(encoder.weight, encoder.bias) if isinstance(encoder, nn.Linear) else affine(identity)
        blocks = encoded.unflatten(0, (self.gate_weight.shape[1], -1))
        gates = torch.einsum("ghij,hid->ghjd", self.gate_weight, blocks).flatten(0, 2)
        gates = torch.cat([gates[:, :-1], gates[:, -1:] + self.gate_bias.reshape(-1, 1)], -1)
        kernel = NativeLinearKernel("RG-LRU", self.hidden_size)
        return kernel, [torch.cat([encoded, gates]), SHARPNESS * functional.logsigmoid(self.decay)]
