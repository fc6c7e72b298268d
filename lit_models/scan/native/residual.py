"""The residual family's hand-derived scan in C: a network's whole forward or backward pass in one call.

A step of a small network costs PyTorch more in calls than in arithmetic, and each operation reads what the one before
wrote. Here one instance after the other is scanned with its weights in the processor's caches, and what
follows a matrix product is done while its result is in registers. The formulas are those of ``ResidualKernel``
(Dubinin & Effenberger 2024, eqs. 11 and 18) and ``ElmanKernel`` (Elman 1990).
"""

from collections.abc import Sequence
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from rnnbench.lit_models.scan.contract import Forward, Grads, Needs, Operands
from rnnbench.lit_models.scan.eager.residual import ResidualWeights
from rnnbench.lit_models.scan.native.call import NativeCall

_CHUNK = 16
_ACTIVATIONS = ("tanh", "relu", "identity")
_VECTORS = ("d_gain", "d_own", "d_cross")


class NativeResidualKernel(NamedTuple):
    """x' = R x + γ act(a), tanh(R x) + γ tanh(a) (``A``) or act(a) (``plain``), with a = W x + V s + b.

    A step keeps act(a), N numbers a sequence, and a chunk of steps its first state.
    """

    form: Literal["linear", "A", "plain"]
    activation: Literal["tanh", "relu", "identity"] = "tanh"

    def forward(self, given: Operands, store: bool, keep_outputs: bool) -> Forward:
        """See ``ScanKernel.forward``."""
        call, weights = self._call(given)
        stores: list[Tensor] = []
        if store:
            chunks = len(range(0, call.steps, _CHUNK))
            firsts = given.state.new_empty(chunks, call.instances, call.blocks * call.units, call.columns)
            call.bind(firsts=firsts)
            stores = [firsts, *call.keep(call.units)]
        joint = torch.cat([weights.weight, weights.input_weight, weights.bias.unsqueeze(-1)], -1)
        return *call.forward(joint, keep_outputs), stores

    def backward(self, given: Operands, stores: Sequence[Tensor], grads: Grads, needs: Needs) -> list[Tensor | None]:
        """See ``ScanKernel.backward``."""
        call, weights = self._call(given)
        units, scale = call.units, weights.gamma.unsqueeze(-1)
        call.bind(firsts=stores[0])
        for name, want in zip(_VECTORS, needs.weights[3:6], strict=False):
            if want:
                call.bind(**{name: given.state.new_zeros(call.instances, units)})
        wanted = (needs.inputs, needs.state, any(needs.weights[:3]))
        to_state = scale * torch.cat([weights.weight, weights.input_weight], -1)
        *found, d_joint = call.backward(to_state, stores[1:], grads, wanted)
        joint: tuple[Tensor | None, ...] = (None,) * 3
        if d_joint is not None:
            d_joint = scale * d_joint
            joint = (d_joint[..., :units], d_joint[..., units:-1], d_joint[..., -1])
        return [*found, *joint, *map(call.given.get, _VECTORS), None][: 2 + len(given.weights)]

    def _call(self, given: Operands) -> tuple[NativeCall, ResidualWeights]:
        """Return a call that has been given all but the matrices, and the weights."""
        inputs, state, weights = given
        units, width = state.shape[2], state.shape[2] + inputs.shape[3] + 1
        # States of a chunk with their inputs, and gradients of two states and of a beside what is kept.
        call = NativeCall(inputs, state, units, _CHUNK, (_CHUNK + 1) * width + 4 * units)
        call.arguments.squashes = self.form == "A"
        call.arguments.activation = _ACTIVATIONS.index(self.activation)
        if self.form == "plain":
            weights = (*weights, state.new_ones(call.instances, units), None, None, None)
        found = ResidualWeights(*weights)
        call.bind(gain=found.gamma)
        for name, residual in (("own", found.own), ("cross", found.cross)):
            if residual is not None:
                call.bind(**{name: residual})
        return call, found
