"""Diagonal linear recurrences whose decay changes from step to step: h_t = a_t ∘ h_{t-1} + u_t."""

import math
from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function

from rnnbench.lit_models.scan.linear.diagonal import FEW_STEPS, SMALL_STEP


def gated_scan(decay: Tensor, inputs: Tensor, state: Tensor) -> Tensor:
    """Return the states [T, *shape] of h_t = a_t ∘ h_{t-1} + u_t, for decays and inputs [T, *shape] and h_0 [*shape].

    T must be at least 1. Nothing is divided by a product of decays, which may be zero. Derivatives are in reverse mode,
    of any order, also under ``torch.vmap``; for the backward pass decays and states are kept.

    >>> import torch
    >>> gated_scan(torch.tensor([[1.0], [0.5], [0.0]]), torch.ones(3, 1), torch.ones(1)).flatten().tolist()
    [2.0, 2.0, 1.0]
    """
    states: Tensor = _GatedScan.apply(decay, inputs, state, 1)  # type: ignore[no-untyped-call]
    return states


class _GatedScan(Function):
    """The scan from the first step to the last (direction 1) or from the last to the first (direction -1)."""

    @staticmethod
    def forward(decay: Tensor, inputs: Tensor, state: Tensor, direction: int) -> Tensor:
        large = inputs.device.type == "cpu" and inputs[0].numel() >= SMALL_STEP
        # As for ``diagonal_scan``: backward, one by one, gradients of the last step alone would stay denormal.
        if len(inputs) >= FEW_STEPS and not (large and direction == 1):
            return _in_blocks(decay, inputs, state, direction)
        states = torch.empty_like(inputs, memory_format=torch.contiguous_format)
        steps = zip(decay.unbind(0)[::direction], inputs.unbind(0)[::direction], strict=True)
        for (factor, step), following in zip(steps, states.unbind(0)[::direction], strict=True):
            torch.addcmul(step, factor, state, out=following)
            state = following
        return states

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        decay, _, state, ctx.direction = inputs
        ctx.save_for_backward(decay, state, output)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        decay, state, states = ctx.saved_tensors
        first = slice(None, 1) if ctx.direction == 1 else slice(-1, None)
        # What follows step t multiplies its state by the decay of step t + 1.
        later = decay.roll(-ctx.direction, 0)
        back = _GatedScan.apply(later, grad, torch.zeros_like(state), -ctx.direction)  # type: ignore[no-untyped-call]
        before = [state.unsqueeze(0), states[:-1] if ctx.direction == 1 else states[1:]]
        grad_decay = back * torch.cat(before[:: ctx.direction]) if ctx.needs_input_grad[0] else None
        return grad_decay, back, (decay[first] * back[first]).squeeze(0) if ctx.needs_input_grad[2] else None, None

    @staticmethod
    def vmap(
        info: Any, in_dims: tuple[int | None, ...], decay: Tensor, inputs: Tensor, state: Tensor, direction: int
    ) -> tuple[Tensor, int]:
        decay, inputs, state = (
            (each.unsqueeze(axis) if dim is None else each.movedim(dim, axis))
            for each, dim, axis in zip((decay, inputs, state), in_dims[:3], (1, 1, 0), strict=True)
        )
        shape = (info.batch_size, *state.shape[1:])
        decay, inputs = (each.expand(-1, *shape) for each in (decay, inputs))
        state = state.expand(shape)
        return _GatedScan.apply(decay, inputs, state, direction), 1  # type: ignore[no-untyped-call]


def _in_blocks(decay: Tensor, inputs: Tensor, state: Tensor, direction: int) -> Tensor:
    """Return all states: √T blocks of √T steps are scanned side by side from zero, then what came before is added."""
    if direction == -1:
        return _in_blocks(decay.flip(0), inputs.flip(0), state, 1).flip(0)
    steps, length = len(inputs), math.isqrt(len(inputs))
    # Steps that are filled up keep the state.
    missing = -steps % length
    shape = (missing, *inputs.shape[1:])
    decay = torch.cat([decay, decay.new_ones(shape)]).unflatten(0, (-1, length))
    states = torch.cat([inputs, inputs.new_zeros(shape)]).unflatten(0, (-1, length))
    factors = decay.cumprod(1)
    for i in range(1, length):
        states[:, i].addcmul_(decay[:, i], states[:, i - 1])
    for block, powers in zip(states.unbind(0), factors.unbind(0), strict=True):
        block.addcmul_(powers, state)
        state = block[-1]
    return states.flatten(0, 1)[:steps]
