"""Scans that keep the first state of every segment alone, and compute each segment again in the backward pass."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from rnnbench.lit_models.scan.contract import Forward, Grads, Needs, Operands, ScanKernel
from rnnbench.lit_models.scan.policy import CheckpointEvery

# Kernels hold states and gradients of so many steps at a time anyway.
_MULTIPLE = 16


def segment_length(steps: int, every: CheckpointEvery) -> int | None:
    """Return the steps of a segment for T = ``steps``; None where there is only one segment.

    >>> segment_length(10_000, "auto"), segment_length(784, 100), segment_length(50, 100), segment_length(784, None)
    (112, 100, None, None)
    """
    if every == "auto":
        every = math.ceil(math.sqrt(steps) / _MULTIPLE) * _MULTIPLE
    return every if every is not None and every < steps else None


class SegmentedKernel(NamedTuple):
    """Another kernel, segment by segment: beyond their first states, the steps of one segment are kept at a time.

    ``recomputes`` says that it keeps nothing and computes its steps again by itself in the backward pass.
    """

    kernel: ScanKernel
    length: int
    recomputes: bool = False

    def forward(self, given: Operands, store: bool, keep_outputs: bool) -> Forward:
        """See ``ScanKernel.forward``."""
        inputs, state, weights = given
        outputs: Tensor | None = None
        firsts = []
        for start in range(0, len(inputs), self.length):
            firsts.append(state)
            steps = slice(start, start + self.length)
            some, state, _ = self.kernel.forward(Operands(inputs[steps], state, weights), False, keep_outputs)
            if keep_outputs:
                outputs = _room_for(some, len(inputs)) if outputs is None else outputs
                outputs[steps] = some
        return inputs.new_empty(0) if outputs is None else outputs, state, [torch.stack(firsts)] if store else []

    def backward(self, given: Operands, stores: Sequence[Tensor], grads: Grads, needs: Needs) -> list[Tensor | None]:
        """See ``ScanKernel.backward``."""
        (inputs, _, weights), (grad_outputs, grad_final) = given, grads
        (firsts,) = stores
        d_inputs = inputs.new_empty(inputs.shape) if needs.inputs else None
        d_weights: list[Tensor | None] = [None] * len(weights)
        needs = needs._replace(state=True)
        starts = range(0, len(inputs), self.length)
        for start, first in reversed(list(zip(starts, firsts, strict=True))):
            steps = slice(start, start + self.length)
            part = Operands(inputs[steps], first, weights)
            kept = [] if self.recomputes else self.kernel.forward(part, True, False)[2]
            arriving = Grads(None if grad_outputs is None else grad_outputs[steps], grad_final)
            found = self.kernel.backward(part, kept, arriving, needs)
            if d_inputs is not None:
                d_inputs[steps] = 0.0 if found[0] is None else found[0]
            grad_final = found[1]
            d_weights = [_sum(total, each) for total, each in zip(d_weights, found[2:], strict=True)]
        return [d_inputs, grad_final, *d_weights]


def _room_for(outputs: Tensor, steps: int) -> Tensor:
    """Return room for outputs [T, M, N, B] in the memory order of those of a segment."""
    if outputs.stride(-1) == 1:
        return outputs.new_empty(steps, *outputs.shape[1:])
    return outputs.new_empty(steps, *outputs.mT.shape[1:]).mT


def _sum(total: Tensor | None, part: Tensor | None) -> Tensor | None:
    if total is None or part is None:
        return part if total is None else total
    # Not in place: autograd may give one tensor as the gradient of two weights.
    return total + part
