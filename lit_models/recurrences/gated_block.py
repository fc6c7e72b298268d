"""The block that today's linear recurrences stand in: norm, short convolution, gate and residual around one."""

from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from rnnbench.datamodules.checks import check_at_least, check_choice
from rnnbench.lit_models.recurrence import Recurrence
from rnnbench.lit_models.scan.contract import Scanned, keeps_definition
from rnnbench.lit_models.scan.padding import freeze_padding

_GATES: dict[str, Callable[[Tensor], Tensor]] = {"silu": functional.silu, "gelu": functional.gelu}


class GatedBlock(Recurrence):
    """A recurrence between two maps, with a gate beside it and a residual around it (Mamba's block; De et al. 2024).

    With e_t the encoded input (an affine map where D differs from N, the input itself where it does not) and RMS the
    division by the root mean square, with a gain for each feature:

    * u_t = RMS(e_t); a_t = W_a u_t, of E N features; g_t = W_g u_t, as many as the recurrence has units;
    * c_t = SiLU(Σ_{j<k} w_j ∘ a_{t-j} + b), the causal convolution of each feature over k steps;
    * r_t is the recurrence's output of c_t; z_t = e_t + W_o (RMS(r_t) ∘ act(g_t)), the block's output.

    Around S6 with E = 2 this is Mamba's block (Gu & Dao 2023, figure 3). From the blocks of others it differs:
    DeltaNet's and the mLSTM's convolve queries and keys, values by themselves or not at all, and divide each head by
    its own norm; Griffin's has no SiLU behind the convolution; feed-forward layers between blocks are left out. The
    state is
    [z_t, a_{t-k+2} ... a_t, the recurrence's], S = N + (k - 1) E N and the recurrence's; the window is nilpotent, and z
    nothing depends on, so the Lyapunov exponents above -∞ are the recurrence's.

    Args:
        hidden_size: N, features.
        layer: builds the recurrence from its input size E N.
        expansion: E.
        convolution: k; 1 leaves convolution and SiLU out.
        gate: act; none leaves the gate out.
        norm: ``pre`` for RMS of e alone, ``both`` for that of r too; none leaves both out.

    >>> import functools
    >>> from rnnbench.lit_models.recurrences.s6 import S6
    >>> mamba = GatedBlock(64, 64, functools.partial(S6, hidden_size=128), expansion=2)
    >>> mamba.state_size, sum(p.numel() for p in mamba.parameters())
    (2624, 32704)
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        layer: Callable[[int], Recurrence],
        expansion: int = 1,
        convolution: int = 4,
        gate: Literal["silu", "gelu"] | None = "silu",
        norm: Literal["pre", "both"] | None = "pre",
    ) -> None:
        check_at_least(1, input_size=input_size, hidden_size=hidden_size, expansion=expansion, convolution=convolution)
        if gate is not None:
            check_choice("gate", gate, _GATES)
        if norm is not None:
            check_choice("norm", norm, ("pre", "both"))
        width = expansion * hidden_size
        recurrence = layer(width)
        super().__init__(input_size, hidden_size, hidden_size + (convolution - 1) * width + recurrence.state_size)
        self.gate, self.taps, self.width = gate, convolution, width
        self.encoder = nn.Identity() if input_size == hidden_size else nn.Linear(input_size, hidden_size)
        self.norm = None if norm is None else nn.Parameter(torch.ones(hidden_size))
        self.enter = nn.Linear(hidden_size, width + (recurrence.hidden_size if gate else 0), bias=False)
        if convolution > 1:
            # Drawn as in torch.nn.Conv1d with one group for each feature.
            bound = convolution**-0.5
            self.kernel = nn.Parameter(torch.empty(convolution, width).uniform_(-bound, bound))
            self.bias = nn.Parameter(torch.empty(width).uniform_(-bound, bound))
        self.layer = recurrence
        self.output_norm = nn.Parameter(torch.ones(recurrence.hidden_size)) if norm == "both" else None
        self.leave = nn.Linear(recurrence.hidden_size, hidden_size, bias=False)

    def initial_state(self, batch_size: int) -> Tensor:
        """Return zeros and the recurrence's initial state [B, S]."""
        inner = self.layer.initial_state(batch_size)
        return torch.cat([inner.new_zeros(batch_size, self.state_size - inner.shape[-1]), inner], -1)

    def project(self, inputs: Tensor) -> Tensor:
        """Return e, a and g [..., P] of inputs [..., D]."""
        encoded = self.encoder(inputs)
        return torch.cat([encoded, self.enter(_rms(encoded, self.norm))], -1)

    def advance(self, projected: Tensor, state: Tensor) -> Tensor:
        """Return the next state [B, S]."""
        encoded, branch, gate = self._parts(projected)
        window, inner = self._carried(state)
        stream = torch.cat([window, branch.unsqueeze(0)])
        inner = self.layer.step(self._convolved(stream)[0], inner)
        output = self._leave(self.layer.output(inner), encoded, gate)
        return torch.cat([output, stream[1:].transpose(0, 1).flatten(1), inner], -1)

    def run(self, inputs: Tensor, state: Tensor, lengths: Tensor | None, keep_outputs: bool) -> Scanned:
        """Run the recurrence over the whole sequence; as in ``Recurrence.run``."""
        if not keeps_definition(type(self), "run") or len(inputs) == 0:
            return super().run(inputs, state, lengths, keep_outputs)
        encoded, branch, gate = self._parts(self.project(inputs))
        window, inner = self._carried(state)
        stream = torch.cat([window, branch])
        read, inner = self.layer(self._convolved(stream), inner, lengths)
        outputs = self._leave(read, encoded, gate)
        if lengths is None:
            last, window = outputs[-1], stream[len(inputs) :]
        else:
            outputs, last = freeze_padding(outputs, state, lengths, keep=True)
            at = lengths + torch.arange(self.taps - 1, device=lengths.device).unsqueeze(1)
            window = stream.gather(0, at.unsqueeze(-1).expand(-1, -1, self.width))
        final = torch.cat([last, window.transpose(0, 1).flatten(1), inner], -1)
        return outputs if keep_outputs else inputs.new_empty(0), final

    def _parts(self, projected: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return e [..., N], a [..., E N] and g (empty without a gate)."""
        encoded, branch, gate = projected.tensor_split([self.hidden_size, self.hidden_size + self.width], -1)
        return encoded, branch, gate

    def _carried(self, state: Tensor) -> tuple[Tensor, Tensor]:
        """Return the window [k-1, B, E N], oldest first, and the recurrence's state [B, S']."""
        start, size = self.hidden_size, (self.taps - 1) * self.width
        window = state[..., start : start + size].unflatten(-1, (self.taps - 1, self.width)).transpose(0, 1)
        return window, state[..., start + size :]

    def _convolved(self, stream: Tensor) -> Tensor:
        """Return c for all steps but the first k-1 of a [k-1+T, B, E N]."""
        if self.taps == 1:
            return stream
        steps = len(stream) - self.taps + 1
        taps = (self.kernel[i] * stream[i : i + steps] for i in range(self.taps))
        return functional.silu(sum(taps, self.bias))

    def _leave(self, read: Tensor, encoded: Tensor, gate: Tensor) -> Tensor:
        """Return z [..., N]."""
        read = _rms(read, self.output_norm)
        return encoded + self.leave(read if self.gate is None else read * _GATES[self.gate](gate))


def _rms(values: Tensor, gain: Tensor | None) -> Tensor:
    """Return values over their root mean square, times a gain; as they are if there is none."""
    if gain is None:
        return values
    return gain * values * torch.rsqrt(values.square().mean(-1, keepdim=True) + 1e-6)
