"""Linear recurrences whose transition, diagonal or a matrix, changes from step to step: h_t = A_t h_{t-1} + u_t."""

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


def matrix_scan(transitions: Tensor, inputs: Tensor, state: Tensor) -> Tensor:
    """Return the states [T, *shape, b] of h_t = A_t h_{t-1} + u_t, for matrices [T, *shape, b, b]; as ``gated_scan``.

    >>> import torch
    >>> flip = torch.tensor([[0.0, 1.0], [1.0, 0.0]]).expand(3, 2, 2)
    >>> matrix_scan(flip, torch.zeros(3, 2), torch.tensor([1.0, 2.0])).tolist()
    [[2.0, 1.0], [1.0, 2.0], [2.0, 1.0]]
    """
    shape, size = state.shape, state.shape[-1]
    # One axis of all blocks of all sequences, as products of batches of matrices take them.
    given = transitions.reshape(len(inputs), -1, size, size), inputs.reshape(len(inputs), -1, size)
    states: Tensor = _GatedScan.apply(*given, state.reshape(-1, size), 1)  # type: ignore[no-untyped-call]
    return states.reshape(len(inputs), *shape)


class _GatedScan(Function):
    """The scan from the first step to the last (direction 1) or from the last to the first (direction -1).

    Transitions are [T, ..., X], diagonal, or matrices [T, ..., X, X] for states [..., X].
    """

    @staticmethod
    def forward(transitions: Tensor, inputs: Tensor, state: Tensor, direction: int) -> Tensor:
        large = inputs.device.type == "cpu" and inputs[0].numel() >= SMALL_STEP
        # As for ``diagonal_scan``: backward, one by one, gradients of the last step alone would stay denormal.
        if len(inputs) >= FEW_STEPS and not (large and (direction == 1 or transitions.dim() > inputs.dim())):
            return _in_blocks(transitions, inputs, state, direction)
        states = torch.empty_like(inputs, memory_format=torch.contiguous_format)
        for t in range(len(inputs))[::direction]:
            _step(transitions[t], inputs[t], state, states[t])
            state = states[t]
        return states

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        transitions, _, state, ctx.direction = inputs
        ctx.save_for_backward(transitions, state, output)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        transitions, state, states = ctx.saved_tensors
        diagonal = transitions.dim() == states.dim()
        adjoint = transitions if diagonal else transitions.mT
        # What follows step t multiplies its state by the transition of step t + 1.
        later = adjoint.roll(-ctx.direction, 0)
        back = _GatedScan.apply(later, grad, torch.zeros_like(state), -ctx.direction)  # type: ignore[no-untyped-call]
        grad_transitions = grad_state = None
        if ctx.needs_input_grad[0]:
            before = [state.unsqueeze(0), states[:-1] if ctx.direction == 1 else states[1:]]
            earlier = torch.cat(before[:: ctx.direction])
            grad_transitions = back * earlier if diagonal else back.unsqueeze(-1) * earlier.unsqueeze(-2)
        if ctx.needs_input_grad[2]:
            first = 0 if ctx.direction == 1 else -1
            grad_state = _times(adjoint[first], back[first])
        return grad_transitions, back, grad_state, None

    @staticmethod
    def vmap(
        info: Any, in_dims: tuple[int | None, ...], transitions: Tensor, inputs: Tensor, state: Tensor, direction: int
    ) -> tuple[Tensor, int]:
        transitions, inputs, state = (
            (each.unsqueeze(axis) if dim is None else each.movedim(dim, axis)).expand(
                *[-1] * axis, info.batch_size, *[-1] * (each.dim() - (0 if dim is None else 1) - axis)
            )
            for each, dim, axis in zip((transitions, inputs, state), in_dims[:3], (1, 1, 0), strict=True)
        )
        return _GatedScan.apply(transitions, inputs, state, direction), 1  # type: ignore[no-untyped-call]


def _times(transition: Tensor, state: Tensor) -> Tensor:
    """Return A h, of a diagonal or a matrix."""
    if transition.dim() == state.dim():
        return transition * state
    return (transition @ state.unsqueeze(-1)).squeeze(-1)


def _step(transition: Tensor, step: Tensor, state: Tensor, out: Tensor) -> None:
    """Write A h + u."""
    if transition.dim() == state.dim():
        torch.addcmul(step, transition, state, out=out)
    else:
        three = (each.reshape(-1, *each.shape[-2:]) for each in (step.unsqueeze(-1), transition, state.unsqueeze(-1)))
        torch.baddbmm(*three, out=out.view(-1, out.shape[-1], 1))


def _in_blocks(transitions: Tensor, inputs: Tensor, state: Tensor, direction: int) -> Tensor:
    """Return all states: √T blocks of √T steps are scanned side by side from zero, then what came before is added."""
    if direction == -1:
        return _in_blocks(transitions.flip(0), inputs.flip(0), state, 1).flip(0)
    steps, length = len(inputs), math.isqrt(len(inputs))
    # Steps that are filled up come after the last one.
    missing = -steps % length
    products = torch.cat([transitions, transitions[:missing]]).unflatten(0, (-1, length))
    states = torch.cat([inputs, inputs[:missing]]).unflatten(0, (-1, length))
    for i in range(1, length):
        states[:, i] += _times(products[:, i], states[:, i - 1])
        if transitions.dim() == inputs.dim():
            products[:, i] *= products[:, i - 1]
        else:
            products[:, i] = products[:, i] @ products[:, i - 1]
    for block, powers in zip(states.unbind(0), products.unbind(0), strict=True):
        block += _times(powers, state.expand_as(block))
        state = block[-1]
    return states.flatten(0, 1)[:steps]
