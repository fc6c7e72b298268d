"""The residual family's walk through time, for M instances, without autograd.

Units are rows and sequences columns, [M, N, B]: each unit's own factor then multiplies a contiguous row, and inputs and
biases join a step's one product as further rows under the state.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from lit_models.scan.residual_map import ResidualMap, Rows

# Steps that share a buffer: large enough that filling it costs little, small enough for the heap to use it again
# (fresh pages of one buffer for all steps cost as much as a quarter of the walk).
CHUNK = 16

_tanh_backward = torch.ops.aten.tanh_backward.grad_input
_threshold_backward = torch.ops.aten.threshold_backward.grad_input


class Setting(NamedTuple):
    """What is not a tensor: x' = act(a), R x + γ act(a) or act(R x) + γ act(a), with a = W x + V s + b."""

    form: Literal["plain", "linear", "A"]
    activation: Literal["tanh", "relu", "identity"]


class Tensors(NamedTuple):
    """Inputs s [T, I, B, D] with I = M or 1 (shared), first states [M, B, N], W, V, b, and γ and R where they exist."""

    inputs: Tensor
    state: Tensor
    weight: Tensor
    input_weight: Tensor
    bias: Tensor
    gamma: Tensor | None = None
    own: Tensor | None = None
    cross: Tensor | None = None
    dense: Tensor | None = None


class Stored(NamedTuple):
    """What the way back needs.

    Attributes:
        states: of a plain walk the chunks of states; of another the first state of every chunk [M, N, B].
        couplings: the chunks of act(a) [steps, M, N, B], from which the other states follow; none of a plain walk.
    """

    states: list[Tensor]
    couplings: list[Tensor]


class Walk:
    """What the way there and the way back share.

    Args:
        setting: form and activation.
        tensors: native tensors, all with an instance axis.
    """

    def __init__(self, setting: Setting, tensors: Tensors) -> None:
        """Lay out the weights."""
        self.setting, self.tensors = setting, tensors
        self.plain = setting.form == "plain"
        self.instances, self.batch, self.units = tensors.state.shape
        self.steps, _, _, features = tensors.inputs.shape
        # Few inputs ride along in the product with the state; many would double what is stored.
        self.joined = features <= max(1, self.units // 16)
        self.inputs = tensors.inputs.transpose(-1, -2)
        # tanh(a) = 2 sigmoid(2 a) - 1 is ten times faster on a CPU, to about 1e-7: float32 only.
        self.fast_tanh = tensors.state.dtype == torch.float32 and tensors.state.device.type == "cpu"
        self.minus_one = tensors.state.new_tensor(-1.0)
        self.gamma = None if tensors.gamma is None else tensors.gamma.unsqueeze(-1)
        self.squashes = setting.form == "A"
        residual = (tensors.own, tensors.cross, tensors.dense)
        self.residual = ResidualMap(*residual)
        # The map whose result ``activate`` takes.
        self.doubled_residual = ResidualMap(*(None if each is None else each * self.doubling for each in residual))

    def spans(self) -> Iterator[tuple[int, int]]:
        """Yield the first step of every chunk and the one after its last."""
        for start in range(0, self.steps, CHUNK):
            yield start, min(start + CHUNK, self.steps)

    def new_states(self, steps: int) -> Tensor:
        """Return room [steps+1, M, N (+ D) + 1, B] for a chunk's states, before its first step and after each."""
        rows = self.units + 1 + (self.inputs.shape[2] if self.joined else 0)
        return self.tensors.state.new_empty(steps + 1, self.instances, rows, self.batch)

    def new_buffer(self, steps: int) -> Tensor:
        """Return room [steps, M, N, B]."""
        return self.tensors.state.new_empty(steps, self.instances, self.units, self.batch)

    def begin(self, states: Tensor, first: Tensor, start: int, stop: int) -> Tensor:
        """Fill a chunk's first state [M, N, B], inputs and ones; return the chunk cut to its steps."""
        states = states[: stop - start + 1]
        states[0, :, : self.units] = first
        states[:, :, -1] = 1.0
        if self.joined:
            states[:-1, :, self.units : -1] = self.inputs[start:stop]
        return states

    def activate(self, values: Tensor, out: Tensor) -> None:
        """Write act(values) into ``out``; ``values`` are doubled by ``doubling`` and lost."""
        if self.setting.activation == "relu":
            torch.clamp(values, min=0.0, out=out)
        elif self.setting.activation == "identity":
            out.copy_(values)
        elif self.fast_tanh:
            torch.add(self.minus_one, values.sigmoid_(), alpha=2.0, out=out)
        else:
            torch.tanh(values, out=out)

    def pull_back(self, gradient: Tensor, activated: Tensor, out: Tensor) -> None:
        """Write the gradient of a for that of act(a) into ``out``, given act(a)."""
        if self.setting.activation == "tanh":
            _tanh_backward(gradient, activated, grad_input=out)
        elif self.setting.activation == "relu":
            _threshold_backward(gradient, activated, 0.0, grad_input=out)
        else:
            out.copy_(gradient)

    @property
    def doubling(self) -> float:
        """The factor that ``activate`` wants on its argument."""
        return 2.0 if self.fast_tanh and self.setting.activation == "tanh" else 1.0

    def advance(self, x: Rows, coupling: Tensor, following: Rows, squashed: Rows | None = None) -> None:
        """Write R x + γ act(a), or act(R x) + γ act(a), into ``following``; keep act(R x) in ``squashed``, if given."""
        if not self.squashes:
            self.residual.apply(x, following)
            following.whole.addcmul_(self.gamma, coupling)
            return
        kept = following if squashed is None else squashed
        self.doubled_residual.apply(x, kept)
        self.activate(kept.whole, kept.whole)
        torch.addcmul(kept.whole, self.gamma, coupling, out=following.whole)


def walk_forward(walk: Walk, keep_outputs: bool, store: bool) -> tuple[Tensor, Tensor, Stored]:
    """Walk through time.

    Args:
        walk: the problem.
        keep_outputs: whether to return all states.
        store: whether to store what the way back needs.

    Returns:
        Outputs [T, M, B, N] or empty, final states [M, B, N], and what was stored.
    """
    tensors, units = walk.tensors, walk.units
    weight = torch.cat([tensors.weight, *([tensors.input_weight] if walk.joined else []), tensors.bias[..., None]], -1)
    weight, input_weight = weight * walk.doubling, tensors.input_weight * walk.doubling
    inputs = [] if walk.joined else walk.inputs.unbind(0)
    outputs = tensors.state.new_empty(walk.steps if keep_outputs else 0, *tensors.state.shape)
    # The product is read again at once: in one buffer, it stays in cache.
    total = walk.new_buffer(1)[0]
    states = couplings = None
    current = tensors.state.transpose(1, 2)
    stored = Stored([], [])
    for start, stop in walk.spans():
        length = stop - start
        if states is None or (store and walk.plain):
            states = walk.new_states(length)
        if not walk.plain and (couplings is None or store):
            couplings = walk.new_buffer(length)
        if store:
            stored.states.append(states if walk.plain else current.clone())
            stored.couplings.extend([] if walk.plain else [couplings])
        chunk = walk.begin(states, current, start, stop)
        operands, rows = chunk.unbind(0), walk.residual.rows(chunk[:, :, :units])
        each_coupling = None if couplings is None else couplings.unbind(0)
        for step in range(length):
            torch.bmm(weight, operands[step], out=total)
            if not walk.joined:
                total.baddbmm_(input_weight, inputs[start + step].expand(walk.instances, -1, -1))
            if each_coupling is None:
                walk.activate(total, rows[step + 1].whole)
            else:
                walk.activate(total, each_coupling[step])
                walk.advance(rows[step], each_coupling[step], rows[step + 1])
        current = rows[length].whole
        if keep_outputs:
            outputs[start:stop] = chunk[1:, :, :units].transpose(-1, -2)
    return outputs, current.transpose(1, 2).contiguous(), stored
