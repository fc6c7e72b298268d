"""The residual family's hand-derived scan in C: all of a network's walk, forward or back, in one call.

A step of a small network costs PyTorch more in calls than in arithmetic, and each operation reads what the one before
wrote. Here one instance after the other walks through time with its weights in the processor's caches, and what
follows a matrix product is done while its result is in registers. The formulas are those of ``ResidualWalk``
(Dubinin & Effenberger 2024, eqs. 11 and 18) and ``ElmanWalk`` (Elman 1990).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor

from rnnbench.lit_models.scan.fused_residual import ResidualWeights
from rnnbench.lit_models.scan.native_call import NativeCall
from rnnbench.lit_models.scan.walk import Needs

_CHUNK = 16
_ACTIVATIONS = ("tanh", "relu", "identity")


class NativeWalk(NamedTuple):
    """x' = R x + γ act(a), tanh(R x) + γ tanh(a) or, without residual, act(a), with a = W x + V s + b.

    A step keeps act(a), N numbers a sequence, and a chunk of steps its first state.

    Attributes:
        form: ``linear``, ``A`` or ``plain``.
        activation: act.
    """

    form: Literal["linear", "A", "plain"]
    activation: Literal["tanh", "relu", "identity"] = "tanh"

    def forward(
        self, inputs: Tensor, state: Tensor, weights: Sequence[Any], store: bool, keep_outputs: bool
    ) -> tuple[Tensor, Tensor, list[Tensor]]:
        """See ``Walk.forward``."""
        call = _ResidualCall(self, inputs, state, weights)
        steps, instances, units, batch = call.steps, call.instances, call.units, call.batch
        call.give(state=call.padded(state.mT))
        outputs = state.new_empty(steps, instances, units, batch) if keep_outputs else state.new_empty(0)
        if keep_outputs:
            call.give(outputs=outputs)
        stores: list[Tensor] = []
        if store:
            firsts = state.new_empty(len(range(0, steps, _CHUNK)), instances, call.blocks * units, call.columns)
            call.give(firsts=firsts)
            stores = [firsts, *call.keep(units)]
        call.run("forward")
        return outputs, call.whole("state").mT.contiguous(), stores

    def backward(
        self,
        inputs: Tensor,
        state: Tensor,
        weights: Sequence[Any],
        stores: Sequence[Tensor],
        grad_outputs: Tensor | None,
        grad_final: Tensor | None,
        needs: Needs,
    ) -> list[Tensor | None]:
        """See ``Walk.backward``."""
        call = _ResidualCall(self, inputs, state, weights)
        instances, units, features = call.instances, call.units, call.features
        given, scale = call.weights, call.weights.gamma.unsqueeze(-1)
        final = state.new_zeros(state.shape) if grad_final is None else grad_final
        call.give(state=call.padded(final.mT), firsts=stores[0])
        call.give_kept(stores[1:])
        call.give(to_state=scale * torch.cat([given.weight, given.input_weight], -1))
        if grad_outputs is not None:
            call.give(grad_outputs=grad_outputs.contiguous())
        if needs.inputs:
            call.give(d_inputs=torch.zeros_like(call.given["inputs"]))
        if any(needs.weights[:3]):
            call.give(d_joint=state.new_zeros(instances, units, call.row))
        wanted = dict(zip(("d_gain", "d_own", "d_cross"), needs.weights[3:6], strict=False))
        for name, want in wanted.items():
            if want:
                call.give(**{name: state.new_zeros(instances, units)})
        call.run("backward")
        d_joint = call.given.get("d_joint")
        joint = (None,) * 3
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
    """A call of the residual family's walks: what they are given of the weights."""

    def __init__(self, walk: NativeWalk, inputs: Tensor, state: Tensor, weights: Sequence[Any]) -> None:
        units, width = state.shape[2], state.shape[2] + inputs.shape[3] + 1
        # States of a chunk with their inputs, and gradients of two states and of a beside what is kept.
        super().__init__(inputs, state, units, _CHUNK, (_CHUNK + 1) * width + 4 * units)
        self.arguments.squashes = walk.form == "A"
        self.arguments.activation = _ACTIVATIONS.index(walk.activation)
        if walk.form == "plain":
            weights = (*weights, state.new_ones(self.instances, self.units), None, None, None)
        self.weights = ResidualWeights(*weights)
        joint = torch.cat([*self.weights[:2], self.weights.bias.unsqueeze(-1)], -1)
        self.give(joint=joint, gain=self.weights.gamma)
        for name, residual in (("own", self.weights.own), ("cross", self.weights.cross)):
            if residual is not None:
                self.give(**{name: residual})
