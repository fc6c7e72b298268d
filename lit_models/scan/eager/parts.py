"""What kernels share. Inside a kernel the batch is the last axis: [M, rows, B], gates one below the other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

import torch
from torch import Tensor

_tanh_backward = torch.ops.aten.tanh_backward.grad_input
_threshold_backward = torch.ops.aten.threshold_backward.grad_input

# Chunks of steps stay small enough for the allocator's heap: larger blocks are mapped again, page by page, each time.
_CHUNK_BYTES = 4 * 2**20

# Below this many sequences a matrix product is up to three times faster with the batch first in memory.
_SMALL_BATCH = 16


class Operand(NamedTuple):
    """What one matrix product of a step multiplies: the rows [h; x; 1], and views of its parts."""

    all: Tensor
    hidden: Tensor
    features: Tensor
    features_and_one: Tensor


def is_small(batch: int) -> bool:
    """Say whether batches of so many sequences stand first in memory."""
    return batch < _SMALL_BATCH


def new_rows(like: Tensor, *shape: int) -> Tensor:
    """Return a buffer [..., rows, B], in the memory order that suits its batch."""
    *leading, rows, batch = shape
    if is_small(batch):
        return like.new_empty(*leading, batch, rows).transpose(-1, -2)
    return like.new_empty(shape)


def product(matrix: Tensor, values: Tensor, out: Tensor) -> None:
    """Set ``out`` [M, P, B] to matrix [M, P, Q] times values [M, Q, B]."""
    if out.stride(-1) == 1:
        torch.bmm(matrix, values, out=out)
    else:
        torch.bmm(values.mT, matrix.mT, out=out.mT)


def add_product(matrix: Tensor, values: Tensor, out: Tensor) -> None:
    """Add matrix [M, P, Q] times values [M, Q, B] to ``out`` [M, P, B]."""
    if out.stride(-1) == 1:
        out.baddbmm_(matrix, values)
    else:
        out.mT.baddbmm_(values.mT, matrix.mT)


def new_operand(like: Tensor, instances: int, units: int, features: int, batch: int) -> Operand:
    """Return a buffer [M, N+D+1, B] with its row of ones set."""
    rows = new_rows(like, instances, units + features + 1, batch)
    rows[:, -1] = 1
    return Operand(rows, rows[:, :units], rows[:, units:-1], rows[:, units:])


def new_outputs(like: Tensor, steps: int, instances: int, units: int, batch: int, keep: bool) -> Tensor:
    """Return room for outputs [T, M, N, B]; an empty tensor if they are not kept."""
    return new_rows(like, steps, instances, units, batch) if keep else like.new_empty(0)


def new_stores(
    like: Tensor, steps: int, instances: int, batch: int, rows: Sequence[int], store: bool
) -> list[list[Tensor]]:
    """Return, for each number of rows, buffers of all steps in chunks [T', M, rows, B].

    Without ``store`` there is one buffer, and all steps are views of it.
    """
    if not store:
        return [[new_rows(like, 1, instances, count, batch).expand(steps, -1, -1, -1)] for count in rows]
    chunk = max(1, _CHUNK_BYTES // max(1, instances * max(rows) * batch * like.element_size()))
    lengths = [min(chunk, steps - t) for t in range(0, steps, chunk)]
    return [[new_rows(like, length, instances, count, batch) for length in lengths] for count in rows]


def regroup(stores: Sequence[Tensor], groups: int) -> list[Sequence[Tensor]]:
    """Return the lists of chunks, equally long, that a kernel handed over as one."""
    length = len(stores) // groups
    return [stores[start : start + length] for start in range(0, len(stores), length)]


def rows_of(chunks: Sequence[Tensor], start: int = 0, stop: int | None = None) -> list[Tensor]:
    """Return for each step the view [M, stop - start, B] of some rows."""
    # Slicing a chunk once and unbinding it costs a fraction of slicing at every step.
    return [view for chunk in chunks for view in chunk[:, :, start:stop].unbind(0)]


def parts_of(chunks: Sequence[Tensor], units: int) -> list[list[Tensor]]:
    """Return for each block of N rows, and for each step, its view [M, N, B]."""
    return [rows_of(chunks, start, start + units) for start in range(0, chunks[0].shape[2], units)]


def initial_gradient(grad_final: Tensor | None, like: Tensor, instances: int, rows: int, batch: int) -> Tensor:
    """Return rows [M, rows, B] of the gradient [M, B, rows] of the final state, a copy: zeros where there is none."""
    gradient = new_rows(like, instances, rows, batch)
    return gradient.zero_() if grad_final is None else gradient.copy_(grad_final.transpose(1, 2))


class Activation:
    """act in time, in place where it can be."""

    def __init__(self, name: Literal["tanh", "relu", "identity"]) -> None:
        """Choose act."""
        self._name = name

    def apply(self, values: Tensor, out: Tensor) -> None:
        """Write act(x) into ``out``, ``values`` or another."""
        if self._name == "tanh":
            torch.tanh(values, out=out)
        elif self._name == "relu":
            torch.clamp(values, min=0.0, out=out)
        elif out is not values:
            out.copy_(values)

    def vjp(self, gradient: Tensor, activated: Tensor, out: Tensor) -> None:
        """Write the gradient of x for that of act(x) into ``out``, given act(x)."""
        if self._name == "tanh":
            _tanh_backward(gradient, activated, grad_input=out)
        elif self._name == "relu":
            _threshold_backward(gradient, activated, 0.0, grad_input=out)
        else:
            out.copy_(gradient)


class InputGradients:
    """The gradients of inputs [T, M or 1, B, D], step by step; of shared inputs the sum over instances."""

    def __init__(self, inputs: Tensor, instances: int) -> None:
        """Make room for them."""
        steps, copies, batch, features = inputs.shape
        self._shared = copies < instances
        self._own = new_rows(inputs, instances, features, batch)
        self._all = new_rows(inputs, steps, copies, features, batch)
        self._steps = self._all.unbind(0)

    def put(self, t: int, *terms: tuple[Tensor, Tensor]) -> None:
        """Set those of step t to a sum of products of transposed weights [M, D, rows] and deltas [M, rows, B]."""
        own = self._own if self._shared else self._steps[t]
        product(*terms[0], out=own)
        for term in terms[1:]:
            add_product(*term, out=own)
        if self._shared:
            torch.sum(own, 0, keepdim=True, out=self._steps[t])

    def set(self, t: int, own: Tensor) -> None:
        """Set those of step t to each instance's own [M, D, B], which are summed up where inputs are shared."""
        if self._shared:
            torch.sum(own, 0, keepdim=True, out=self._steps[t])
        else:
            self._steps[t].copy_(own)

    def result(self) -> Tensor:
        """Return all of them [T, M or 1, B, D]."""
        return self._all.transpose(-1, -2)
