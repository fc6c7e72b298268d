"""The residual family's way back through time: backpropagation by hand, in the layout of ``residual_walk``."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from lit_models.scan.residual_map import Rows
from lit_models.scan.residual_walk import CHUNK, Stored, Walk


class Wanted(NamedTuple):
    """Whether the gradient of each of ``Tensors`` is wanted."""

    inputs: bool
    state: bool
    weight: bool
    input_weight: bool
    bias: bool
    gamma: bool
    own: bool
    cross: bool
    dense: bool


class WalkBack:
    """Sums up gradients on the way back.

    With δ the gradient of x' and g that of a, up to γ: g = act'(a) ∘ δ and, in the linear form, the gradient of x is
    Rᵀ δ + (γ W)ᵀ g. γ moves into the weights, once, instead of into g at every step.

    Args:
        walk: the problem.
        stored: what the way there left.
        wanted: which gradients are.
    """

    def __init__(self, walk: Walk, stored: Stored, wanted: Wanted) -> None:
        """Make room for the gradients."""
        tensors = walk.tensors
        self.walk, self.stored, self.wanted = walk, stored, wanted
        gamma = walk.gamma
        weight, input_weight = (
            each if gamma is None else gamma * each for each in (tensors.weight, tensors.input_weight)
        )
        self.to_state, self.to_inputs = weight.transpose(1, 2).contiguous(), input_weight
        self.wants_weights = wanted.weight or wanted.input_weight or wanted.bias
        self.wants_residual = wanted.own or wanted.cross or wanted.dense
        # Transposed, the one product that gives the gradients of W, b and, joined, V is faster.
        rows = walk.new_states(0).shape[2]
        self.by_weights = tensors.state.new_zeros(walk.instances, rows, walk.units)
        self.by_input_weight = torch.zeros_like(tensors.input_weight.transpose(1, 2))
        self.by_inputs = tensors.inputs.new_empty(tensors.inputs.shape) if wanted.inputs else None
        self.by_gamma = walk.new_buffer(1)[0].zero_() if wanted.gamma else None
        self.inputs = () if walk.joined else tensors.inputs.unbind(0)
        self.delta, self.spare, self.pulled, self.inner = walk.residual.rows(walk.new_buffer(4))
        self.turned = self.pulled.whole.transpose(1, 2)

    def run(self, by_outputs: Tensor | None, by_final: Tensor | None) -> tuple[Tensor | None, ...]:
        """Return the gradients of ``Tensors``, None where not wanted, for those of outputs and final states.

        Args:
            by_outputs: [T, M, B, N].
            by_final: [M, B, N].
        """
        walk, longest = self.walk, min(CHUNK, self.walk.steps)
        if by_final is None:
            self.delta.whole.zero_()
        else:
            self.delta.whole.copy_(by_final.transpose(1, 2))
        states = None if walk.plain else walk.new_states(longest)
        squashed = walk.residual.rows(walk.new_buffer(longest)) if walk.squashes else [None] * longest
        arriving = None if by_outputs is None else walk.new_buffer(longest)
        for index, (start, stop) in reversed(list(enumerate(walk.spans()))):
            chunk = self.stored.states[index]
            if states is not None:
                chunk = walk.begin(states, chunk, start, stop)
            operands, rows = chunk.unbind(0), walk.residual.rows(chunk[:, :, : walk.units])
            couplings = [each.whole for each in rows[1:]] if walk.plain else self.stored.couplings[index].unbind(0)
            if not walk.plain:
                # To compute states again, in cache, costs no more than to write and read them, and no memory.
                for step, coupling in enumerate(couplings):
                    walk.advance(rows[step], coupling, rows[step + 1], squashed[step])
            arrivals = None
            if by_outputs is not None and arriving is not None:
                arrivals = arriving[: stop - start].copy_(by_outputs[start:stop].transpose(-1, -2)).unbind(0)
            for step in reversed(range(stop - start)):
                if arrivals is not None:
                    self.delta.whole.add_(arrivals[step])
                self._step(start + step, operands[step], rows[step], couplings[step], squashed[step])
        return self._gradients()

    def _step(self, time: int, operand: Tensor, x: Rows, coupling: Tensor, squashed: Rows | None) -> None:
        """Move δ from x' = x_{t+1} to x = x_t, given act(a) and act(R x)."""
        walk, delta, gradient = self.walk, self.delta, self.pulled.whole
        walk.pull_back(delta.whole, coupling, gradient)
        if self.wants_weights:
            self._add_to_weights(time, operand)
        if self.by_inputs is not None:
            by_inputs = torch.bmm(self.turned, self.to_inputs)
            shared = len(by_inputs) > self.by_inputs.shape[1]
            self.by_inputs[time] = by_inputs.sum(0, keepdim=True) if shared else by_inputs
        if walk.plain:
            torch.bmm(self.to_state, gradient, out=delta.whole)
            return
        if self.by_gamma is not None:
            self.by_gamma.addcmul_(delta.whole, coupling)
        if squashed is not None:
            walk.pull_back(delta.whole, squashed.whole, self.inner.whole)
            delta = self.inner
        if self.wants_residual:
            walk.residual.accumulate(delta, x, (self.wanted.own, self.wanted.cross, self.wanted.dense))
        walk.residual.apply_transposed(delta, self.spare)
        self.spare.whole.baddbmm_(self.to_state, gradient)
        self.delta, self.spare = self.spare, self.delta

    def _add_to_weights(self, time: int, operand: Tensor) -> None:
        self.by_weights.baddbmm_(operand, self.turned)
        if self.inputs:
            inputs = self.inputs[time].transpose(1, 2).expand(self.walk.instances, -1, -1)
            self.by_input_weight.baddbmm_(inputs, self.turned)

    def _gradients(self) -> tuple[Tensor | None, ...]:
        units, gamma, wanted = self.walk.units, self.walk.gamma, self.wanted
        by_weights = self.by_weights.transpose(1, 2)
        by_input_weight = by_weights[..., units:-1] if self.walk.joined else self.by_input_weight.transpose(1, 2)
        by_weight, by_input_weight, by_bias = (
            each if gamma is None else gamma * each
            for each in (by_weights[..., :units], by_input_weight, by_weights[..., -1:])
        )
        return (
            self.by_inputs,
            self.delta.whole.transpose(1, 2) if wanted.state else None,
            by_weight if wanted.weight else None,
            by_input_weight if wanted.input_weight else None,
            by_bias.squeeze(-1) if wanted.bias else None,
            None if self.by_gamma is None else self.by_gamma.sum(-1),
            *self.walk.residual.gradients(),
        )
