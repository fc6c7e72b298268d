"""Diagonal linear recurrences, all states at once: h_t = λ ∘ h_{t-1} + u_t."""

import math
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function

#: Entries of one step below which, on a CPU, the steps cost less side by side in blocks than one after the other.
#: Scans of logarithmic depth and convolution by FFT (with 30 times the error) take several times as long.
SMALL_STEP = 1024
#: Fewer steps than this are computed one after the other.
FEW_STEPS = 64


def diagonal_scan(decay: Tensor, inputs: Tensor, state: Tensor) -> Tensor:
    """Return the states [T, *shape] of h_t = λ ∘ h_{t-1} + u_t, real or complex.

    ``decay`` is λ, broadcastable to ``shape``, inputs are u [T, *shape], T at least 1, and the state h_0 [*shape].
    Nothing is ever divided by a power of λ, so |λ| may be anything from 0 to 1 and a little more, over any length. All
    derivatives are there: reverse and forward mode, of any order, also under ``torch.vmap``.

    Raises:
        ValueError: the types differ, or there is no step.

    Example:
        A quarter turn in the complex plane, and a unit added in each step:

        >>> import torch
        >>> ones, start = torch.ones(4, 1, dtype=torch.complex64), torch.zeros(1, dtype=torch.complex64)
        >>> diagonal_scan(torch.tensor([1j]), ones, start).flatten().tolist()
        [(1+0j), (1+1j), 1j, 0j]
    """
    if not decay.dtype == inputs.dtype == state.dtype:
        raise ValueError(
            f"decay, inputs and state must be of one type, got {[each.dtype for each in (decay, inputs, state)]}"
        )
    if len(inputs) == 0:
        raise ValueError("inputs must have at least one step, got none")
    return _DiagonalScan.apply(decay.reshape([1] * (state.dim() - decay.dim()) + list(decay.shape)), inputs, state, 1)  # type: ignore[no-untyped-call]


class _DiagonalScan(Function):
    """The scan from the first step to the last (direction 1) or from the last to the first (direction -1)."""

    @staticmethod
    def forward(decay: Tensor, inputs: Tensor, state: Tensor, direction: int) -> Tensor:
        # Inputs that are expanded, or permuted and so not dense, would give states with overlapping or odd strides.
        states = torch.empty_like(inputs)
        large = inputs.device.type == "cpu" and inputs[0].numel() >= SMALL_STEP
        # Backward, a gradient that comes from the last step alone decays to denormal numbers, and one by one, rounded
        # up in each step, they would stay and take six times as long as others.
        if len(inputs) < FEW_STEPS or (large and direction == 1):
            _one_by_one(decay, inputs.unbind(0)[::direction], states.unbind(0)[::direction], state)
        else:
            _in_blocks(decay, inputs, states, state, direction)
        return states

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        decay, _, state, ctx.direction = inputs
        ctx.save_for_backward(decay, state, output)
        ctx.save_for_forward(decay, state, output)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        decay, state, states = ctx.saved_tensors
        grad_inputs = _DiagonalScan.apply(decay.conj_physical(), grad, torch.zeros_like(state), -ctx.direction)  # type: ignore[no-untyped-call]
        first, rest, before = _ends(grad_inputs, states, ctx.direction)
        grad_decay = grad_state = None
        if ctx.needs_input_grad[0]:
            grad_decay = ((before.conj() * rest).sum(0) + state.conj() * first).sum_to_size(decay.shape)
        if ctx.needs_input_grad[2]:
            grad_state = decay.conj() * first
        return grad_decay, grad_inputs, grad_state, None

    @staticmethod
    def jvp(ctx: Any, decay: Tensor | None, inputs: Tensor | None, state: Tensor | None, _: None) -> Tensor:
        at, start, states = ctx.saved_tensors
        change = torch.zeros_like(states) if inputs is None else inputs
        if decay is not None:
            parts = [start.unsqueeze(0), _ends(states, states, ctx.direction)[2]]
            change = change + decay * torch.cat(parts[:: ctx.direction])
        return _DiagonalScan.apply(at, change, torch.zeros_like(start) if state is None else state, ctx.direction)  # type: ignore[no-untyped-call]

    @staticmethod
    def vmap(
        info: Any, in_dims: tuple[int | None, ...], decay: Tensor, inputs: Tensor, state: Tensor, direction: int
    ) -> tuple[Tensor, int]:
        decay = decay.unsqueeze(0) if in_dims[0] is None else decay.movedim(in_dims[0], 0)
        inputs = _with_axis(inputs, in_dims[1], 1, info.batch_size)
        state = _with_axis(state, in_dims[2], 0, info.batch_size)
        return _DiagonalScan.apply(decay, inputs, state, direction), 1  # type: ignore[no-untyped-call]


def _with_axis(tensor: Tensor, dim: int | None, axis: int, size: int) -> Tensor:
    if dim is not None:
        return tensor.movedim(dim, axis)
    return tensor.unsqueeze(axis).expand(*tensor.shape[:axis], size, *tensor.shape[axis:])


def _ends(values: Tensor, states: Tensor, direction: int) -> tuple[Tensor, Tensor, Tensor]:
    """Return, in the scan's order, the first of ``values``, the others, and the states before these."""
    return (values[0], values[1:], states[:-1]) if direction == 1 else (values[-1], values[:-1], states[1:])


def _one_by_one(decay: Tensor, inputs: Iterable[Tensor], states: Iterable[Tensor], state: Tensor) -> None:
    """Write all states, one step after the other."""
    for step, following in zip(inputs, states, strict=True):
        torch.addcmul(step, decay, state, out=following)
        state = following


def _in_blocks(decay: Tensor, inputs: Tensor, states: Tensor, state: Tensor, direction: int) -> None:
    """Write all states: √T blocks of √T steps are scanned side by side from zero, then what came before is added."""
    length = math.isqrt(len(inputs))
    rest = len(inputs) % length
    parts = (slice(None, len(inputs) - rest), slice(len(inputs) - rest, None))
    if direction == -1:
        parts = slice(rest, None), slice(None, rest)
    block_inputs, blocks = (part[parts[0]].unflatten(0, (-1, length)) for part in (inputs, states))
    zero = torch.zeros_like(block_inputs[:, 0])
    _one_by_one(decay, block_inputs.unbind(1)[::direction], blocks.unbind(1)[::direction], zero)
    powers = torch.empty(length, *decay.shape, dtype=decay.dtype, device=decay.device)
    no_inputs = torch.zeros_like(decay).expand(length, *decay.shape)
    _one_by_one(decay, no_inputs.unbind(0), powers.unbind(0)[::direction], torch.ones_like(decay))
    for block in blocks.unbind(0)[::direction]:
        block.addcmul_(powers, state)
        state = block[-1 if direction == 1 else 0]
    _one_by_one(decay, inputs[parts[1]].unbind(0)[::direction], states[parts[1]].unbind(0)[::direction], state)
