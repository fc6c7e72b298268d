"""The residual family's hand-derived scan in C: all of a network's walk, forward or back, in one call.

A step of a small network costs PyTorch more in calls than in arithmetic, and each operation reads what the one before
wrote. Here one instance after the other walks through time with its weights in the processor's caches, and what
follows a matrix product is done while its result is in registers. The formulas are those of ``ResidualWalk``
(Dubinin & Effenberger 2024, eqs. 11 and 18) and ``ElmanWalk`` (Elman 1990).
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from lit_models.scan.fused_residual import ResidualWeights
from lit_models.scan.native_library import Arguments, native_library, padded_length
from lit_models.scan.walk import Needs

_CHUNK = 16
_ACTIVATIONS = ("tanh", "relu", "identity")
# Buffers that are kept for the way back stay small enough for the allocator's heap (``state_rows``).
_STORE_BYTES = 4 * 2**20


class NativeWalk(NamedTuple):
    """x' = R x + γ act(a), tanh(R x) + γ tanh(a) or, without residual, act(a), with a = W x + V s + b.

    A step keeps act(a), or σ(2a) for tanh, N numbers a sequence, and a chunk of steps its first state.

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
        call = _Call(self, inputs, state, weights)
        steps, instances, units, batch = call.steps, call.instances, call.units, call.batch
        call.give(state=call.padded(state.mT))
        outputs = state.new_empty(steps, instances, units, batch) if keep_outputs else state.new_empty(0)
        if keep_outputs:
            call.give(outputs=outputs)
        stores: list[Tensor] = []
        if store:
            shape = (instances, units, call.columns)
            step_bytes = max(1, instances * units * call.columns * state.element_size())
            length = max(1, _STORE_BYTES // (step_bytes * _CHUNK)) * _CHUNK
            kept = [state.new_empty(min(length, steps - start), *shape) for start in range(0, steps, length)]
            firsts = state.new_empty(len(range(0, steps, _CHUNK)), *shape)
            call.give(firsts=firsts)
            call.give_activations(kept)
            stores = [firsts, *kept]
        call.run("forward")
        return outputs, call.given["state"][..., :batch].mT.contiguous(), stores

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
        call = _Call(self, inputs, state, weights)
        instances, units, batch, features = call.instances, call.units, call.batch, call.features
        given, scale = call.weights, call.scale.unsqueeze(-1)
        final = state.new_zeros(state.shape) if grad_final is None else grad_final
        call.give(state=call.padded(final.mT), firsts=stores[0])
        call.give_activations(stores[1:])
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
            call.given["d_inputs"][..., :batch].mT if needs.inputs else None,
            call.given["state"][..., :batch].mT if needs.state else None,
            *joint,
            *(call.given.get(name) for name in ("d_gain", "d_own", "d_cross")),
            None,
        ]
        return found[: 2 + len(weights)]


class _Call:
    """One call of the library: the tensors that it is given, by their names, and the numbers that describe them."""

    def __init__(self, walk: NativeWalk, inputs: Tensor, state: Tensor, weights: Sequence[Any]) -> None:
        self.instances, self.batch, self.units = state.shape
        self.steps, copies, _, self.features = inputs.shape
        self.columns = padded_length(self.batch, state.element_size())
        self.row = padded_length(self.units + self.features + 1, state.element_size())
        self.given: dict[str, Tensor] = {}
        self._like = state
        tanh = walk.activation == "tanh"
        if walk.form == "plain":
            weights = (*weights, state.new_ones(self.instances, self.units), None, None, None)
        self.weights = ResidualWeights(*weights)
        gamma = self.weights.gamma
        # γ tanh(a) = 2γ σ(2a) - γ, the derivative of which is 4γ σ (1 - σ).
        self.scale = 4 * gamma if tanh else gamma
        joint = torch.cat([*self.weights[:2], self.weights.bias.unsqueeze(-1)], -1)
        self.give(
            inputs=self.padded(inputs.mT),
            joint=2 * joint if tanh else joint,
            gain=2 * gamma if tanh else gamma,
            offset=-gamma if tanh else torch.zeros_like(gamma),
        )
        for name, residual in (("own", self.weights.own), ("cross", self.weights.cross)):
            if residual is not None:
                self.give(**{name: residual})
        self._arguments = Arguments(
            steps=self.steps,
            instances=self.instances,
            copies=copies,
            units=self.units,
            features=self.features,
            batch=self.batch,
            columns=self.columns,
            chunk=_CHUNK,
            squashes=walk.form == "A",
            activation=_ACTIVATIONS.index(walk.activation),
            row=self.row,
        )

    def padded(self, columns: Tensor) -> Tensor:
        """Return [..., B] as rows of whole vectors, zeros behind: a copy."""
        return functional.pad(columns, (0, self.columns - self.batch)).clone(memory_format=torch.contiguous_format)

    def give(self, **tensors: Tensor) -> None:
        """Hand tensors to the library under their names."""
        self.given.update({name: tensor.contiguous() for name, tensor in tensors.items()})

    def give_activations(self, kept: Sequence[Tensor]) -> None:
        """Hand over where the activations of each chunk lie."""
        # Of instances that share them, a view repeats them.
        self._kept = [tensor.contiguous() for tensor in kept]
        places = [chunk.data_ptr() for tensor in self._kept for chunk in tensor.split(_CHUNK)]
        self._places = (ctypes.c_void_p * len(places))(*places)
        self._arguments.activations = ctypes.cast(self._places, ctypes.c_void_p)

    def run(self, name: str) -> None:
        """Call a function of the library."""
        for key, tensor in self.given.items():
            setattr(self._arguments, key, tensor.data_ptr())
        library, number = native_library(), "float" if self._like.dtype == torch.float32 else "double"
        where = ctypes.byref(self._arguments)
        scratch = self._like.new_empty(getattr(library, f"scratch_{number}")(where))
        self._arguments.scratch = scratch.data_ptr()
        getattr(library, f"{name}_{number}")(where)
