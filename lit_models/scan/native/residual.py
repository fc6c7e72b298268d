"""The residual family's hand-derived scan in C: a network's whole forward or backward pass in one call.

A step of a small network costs PyTorch more in calls than in arithmetic, and each operation reads what the one before
wrote. Here one instance after the other is scanned with its weights in the processor's caches, and what
follows a matrix product is done while its result is in registers. The formulas are those of ``ResidualKernel``
(Dubinin & Effenberger 2024, eqs. 11 and 18) and ``ElmanKernel`` (Elman 1990).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor

from rnnbench.lit_models.scan.contract import Forward, Grads, Needs, Operands
from rnnbench.lit_models.scan.eager.residual import ResidualWeights
from rnnbench.lit_models.scan.native.call import NativeCall

_CHUNK = 16
_ACTIVATIONS = ("tanh", "relu", "identity")


class NativeResidualKernel(NamedTuple):
    """x' = R x + γ act(a), tanh(R x) + γ tanh(a) or, without residual, act(a), with a = W x + V s + b.

    A step keeps act(a), N numbers a sequence, and a chunk of steps its first state.

    Attributes:
        form: ``linear``, ``A`` or ``plain``.
        activation: act.
    """

    form: Literal["linear", "A", "plain"]
    activation: Literal["tanh", "relu", "identity"] = "tanh"

    def forward(self, given: Operands, store: bool, keep_outputs: bool) -> Forward:
        """See ``ScanKernel.forward``."""
        inputs, state, weights = given
        call = _ResidualCall(self, inputs, state, weights)
        steps, instances, units, batch = call.steps, call.instances, call.units, call.batch
        call.bind(state=call.padded(state.mT))
        outputs = state.new_empty(steps, instances, units, batch) if keep_outputs else state.new_empty(0)
        if keep_outputs:
            call.bind(outputs=outputs)
        stores: list[Tensor] = []
        if store:
            firsts = state.new_empty(len(range(0, steps, _CHUNK)), instances, call.blocks * units, call.columns)
            call.bind(firsts=firsts)
            stores = [firsts, *call.keep(units)]
        call.run("forward")
        return outputs, call.whole("state").mT.contiguous(), stores

    def backward(self, given: Operands, stores: Sequence[Tensor], grads: Grads, needs: Needs) -> list[Tensor | None]:
        """See ``ScanKernel.backward``."""
        (inputs, state, weights), (grad_outputs, grad_final) = given, grads
        call = _ResidualCall(self, inputs, state, weights)
        instances, units, features = call.instances, call.units, call.features
        own, scale = call.weights, call.weights.gamma.unsqueeze(-1)
        final = state.new_zeros(state.shape) if grad_final is None else grad_final
        call.bind(state=call.padded(final.mT), firsts=stores[0])
        call.bind_kept(stores[1:])
        call.bind(to_state=scale * torch.cat([own.weight, own.input_weight], -1))
        if grad_outputs is not None:
            call.bind(grad_outputs=grad_outputs.contiguous())
        if needs.inputs:
            call.bind(d_inputs=torch.zeros_like(call.given["inputs"]))
        if any(needs.weights[:3]):
            call.bind(d_joint=state.new_zeros(instances, units, call.row))
        wanted = dict(zip(("d_gain", "d_own", "d_cross"), needs.weights[3:6], strict=False))
        for name, want in wanted.items():
            if want:
                call.bind(**{name: state.new_zeros(instances, units)})
        call.run("backward")
        d_joint = call.given.get("d_joint")
        joint: tuple[Tensor | None, ...] = (None,) * 3
        if d_joint is not None:
            whole = scale * d_joint[..., : units + features + 1]
            joint = (whole[..., :units], whole[..., units:-1], whole[..., -1])
        found = [
            call.whole("d_inputs").mT if needs.inputs else None,
            call.whole("state").mT if needs.state else None,
            *joint,
            *(call.given.get(name) for name in ("d_gain", "d_own", "d_cross")),
            None,
        ]
        return found[: 2 + len(weights)]


class _ResidualCall(NativeCall):
    """A call of the residual family's kernels: what they are given of the weights."""

    def __init__(self, kernel: NativeResidualKernel, inputs: Tensor, state: Tensor, weights: Sequence[Any]) -> None:
        units, width = state.shape[2], state.shape[2] + inputs.shape[3] + 1
        # States of a chunk with their inputs, and gradients of two states and of a beside what is kept.
        super().__init__(inputs, state, units, _CHUNK, (_CHUNK + 1) * width + 4 * units)
        self.arguments.squashes = kernel.form == "A"
        self.arguments.activation = _ACTIVATIONS.index(kernel.activation)
        if kernel.form == "plain":
            weights = (*weights, state.new_ones(self.instances, self.units), None, None, None)
        self.weights = ResidualWeights(*weights)
        joint = torch.cat([*self.weights[:2], self.weights.bias.unsqueeze(-1)], -1)
        self.bind(joint=joint, gain=self.weights.gamma)
        for name, residual in (("own", self.weights.own), ("cross", self.weights.cross)):
            if residual is not None:
                self.bind(**{name: residual})
