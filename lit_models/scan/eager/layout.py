"""The memory order of a kernel's steps, and buffers in it: rows [M, R, B] or, where batches are small, [M, B, R]."""

from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor

#: Of a prepared matrix, values and the tensor that the product is written into or added to.
Product = Callable[[Tensor, Tensor, Tensor], object]

# Buffers that are kept for the backward pass stay small enough for the allocator's heap: larger ones are mapped again,
# page by page, each time, which costs as much as a quarter of the scan.
_STORE_BYTES = 4 * 2**20

# Below this many sequences a matrix product is up to three times faster with the batch first in memory.
_SMALL_BATCH = 16


def store_lengths(steps: int, step_bytes: int, multiple: int = 1) -> list[int]:
    """Return how many steps each buffer keeps, all but the last a multiple of some steps."""
    length = max(1, _STORE_BYTES // (max(1, step_bytes) * multiple)) * multiple
    return [min(length, steps - start) for start in range(0, steps, length)]


class Layout:
    """How matrices, rows and constants stand in memory; "native" is what is said of tensors in this order.

    With rows first, each unit's own factor multiplies a contiguous row.

    Attributes:
        batch_first: whether steps are [M, B, R].
        product: writes matrix times values into a third tensor.
        add_product: adds it.

    Example:
        >>> for batch in (3, 30):
        ...     layout = Layout(batch)
        ...     out = layout.native(torch.zeros(1, 2, batch))
        ...     _ = layout.product(layout.matrix(torch.ones(1, 2, 4)), layout.native(torch.ones(1, 4, batch)), out)
        ...     layout.logical(out)[0, :, 0].tolist(), tuple(out.shape)
        ([4.0, 4.0], (1, 3, 2))
        ([4.0, 4.0], (1, 2, 30))
    """

    def __init__(self, batch: int) -> None:
        self.batch_first = batch < _SMALL_BATCH
        self.batch = batch
        self.product: Product = lambda matrix, values, out: torch.bmm(matrix, values, out=out)
        self.add_product: Product = lambda matrix, values, out: out.baddbmm_(matrix, values)
        if self.batch_first:
            self.product = lambda matrix, values, out: torch.bmm(values, matrix, out=out)
            self.add_product = lambda matrix, values, out: out.baddbmm_(values, matrix)

    def native(self, rows: Tensor) -> Tensor:
        """Return the native view of [..., R, B], or of a matrix that is only read."""
        return rows.mT if self.batch_first else rows

    logical = native

    def shape(self, *shape: int) -> tuple[int, ...]:
        """Return the native shape of [..., R, B]."""
        *leading, rows, batch = shape
        return (*leading, batch, rows) if self.batch_first else shape

    def slice(self, steps: Tensor, start: int | None, stop: int | None, stride: int = 1) -> Tensor:
        """Return some of the rows of native steps."""
        return steps[..., start:stop:stride] if self.batch_first else steps[..., start:stop:stride, :]

    def split(self, steps: Tensor, sizes: int | list[int]) -> tuple[Tensor, ...]:
        """Return the rows of native steps in blocks."""
        return steps.split(sizes, -1 if self.batch_first else -2)

    def matrix(self, matrix: Tensor) -> Tensor:
        """Return [M, P, Q] prepared for ``product``."""
        return self.native(matrix).contiguous()

    def pair(self, matrix: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        """Return what ``torch.bmm`` multiplies for a prepared matrix and native values, in its order."""
        return (values, matrix) if self.batch_first else (matrix, values)

    def constant(self, column: Tensor) -> Tensor:
        """Return [M, R] so that it multiplies native steps row by row."""
        if self.batch_first:
            # Too few sequences to spread one number over: operations on equal shapes are up to twice as fast.
            return column.unsqueeze(1).expand(-1, self.batch, -1).contiguous()
        return column.unsqueeze(-1)


class Buffers:
    """The sizes of a scan and native buffers for it; ``native_inputs`` are [T, M or 1, D, B]."""

    def __init__(self, inputs: Tensor, instances: int, units: int) -> None:
        """Take inputs [T, I, B, D] of M instances with N units; I is M, or 1 where instances share their inputs."""
        self.steps, self.copies, self.batch, self.features = inputs.shape
        self.instances, self.units, self.inputs = instances, units, inputs
        self.layout = Layout(self.batch)
        self.native_inputs = self.layout.native(inputs.mT)

    def new(self, steps: int, rows: int) -> Tensor:
        """Return room for native steps [steps, M, rows, B]."""
        return self.inputs.new_empty(self.layout.shape(steps, self.instances, rows, self.batch))

    def new_outputs(self, keep: bool) -> Tensor:
        """Return room for outputs [T, M, N, B], in the native order; an empty tensor if they are not kept."""
        return self.layout.logical(self.new(self.steps, self.units)) if keep else self.inputs.new_empty(0)

    def new_stores(self, rows: Sequence[int], store: bool) -> list[list[Tensor]]:
        """Return, for each number of rows, buffers of all steps [T', M, rows, B].

        Without ``store`` there is one buffer, and all steps are views of it.
        """
        if not store:
            return [[self.new(1, count).expand(self.steps, -1, -1, -1)] for count in rows]
        step_bytes = self.instances * max(rows) * self.batch * self.inputs.element_size()
        return [[self.new(length, count) for length in store_lengths(self.steps, step_bytes)] for count in rows]

    def new_operand(self, units: int) -> tuple[Tensor, Tensor, Tensor]:
        """Return what one matrix product of a step multiplies, the rows [h; x; 1], and views of h and of x."""
        rows = self.new(1, units + self.features + 1)[0]
        hidden, features, ones = self.layout.split(rows, [units, self.features, 1])
        ones.fill_(1.0)
        return rows, hidden, features

    def first_gradient(self, grad_final: Tensor | None) -> Tensor:
        """Return the gradient [M, B, R] of the final state as native rows, a copy; zeros where there is none."""
        if grad_final is None:
            return self.new(1, self.units)[0].zero_()
        return self.new(1, grad_final.shape[-1])[0].copy_(self.layout.native(grad_final.mT))

    def backward_steps(self, gradient: Tensor, grad_outputs: Tensor | None) -> Iterator[int]:
        """Yield all steps, the last first, each after the gradient of its outputs was added to that of its state."""
        arriving = None if grad_outputs is None else self.layout.native(grad_outputs).unbind(0)
        for t in reversed(range(self.steps)):
            if arriving is not None:
                gradient.add_(arriving[t])
            yield t

    def rows_of(self, stores: Sequence[Tensor], start: int = 0, stop: int | None = None) -> list[Tensor]:
        """Return for each step the native view of some rows of its store."""
        # Slicing a store once and unbinding it costs a fraction of slicing at every step.
        return [view for each in stores for view in self.layout.slice(each, start, stop).unbind(0)]

    def parts_of(self, stores: Sequence[Tensor], count: int) -> list[list[Tensor]]:
        """Return for each of so many blocks of N rows, and for each step, its native view."""
        return [self.rows_of(stores, k * self.units, (k + 1) * self.units) for k in range(count)]


class InputGradients:
    """The gradients of inputs [T, M or 1, B, D], step by step; of shared inputs the sum over instances."""

    def __init__(self, inputs: Tensor, instances: int, layout: Layout) -> None:
        steps, copies, batch, features = inputs.shape
        self._layout = layout
        self._all = inputs.new_empty(layout.shape(steps, copies, features, batch))
        self._steps = self._all.unbind(0)
        self._own = inputs.new_empty(layout.shape(instances, features, batch)) if copies < instances else None

    def set_products(self, t: int, *terms: tuple[Tensor, Tensor]) -> None:
        """Set those of step t to a sum of products of prepared matrices [M, D, P] and native rows [M, P, B]."""
        own = self._steps[t] if self._own is None else self._own
        self._layout.product(*terms[0], own)
        for term in terms[1:]:
            self._layout.add_product(*term, own)
        if self._own is not None:
            torch.sum(own, 0, keepdim=True, out=self._steps[t])

    def set(self, t: int, own: Tensor) -> None:
        """Set those of step t to each instance's own native rows [M, D, B]; of shared inputs to their sum."""
        if self._own is None:
            self._steps[t].copy_(own)
        else:
            torch.sum(own, 0, keepdim=True, out=self._steps[t])

    def set_steps(self, start: int, stop: int, own: Tensor) -> None:
        """Set those of some steps to each instance's own [T', M, D, B], native; of shared inputs to their sum."""
        self._all[start:stop] = own if self._own is None else own.sum(1, keepdim=True)

    def result(self) -> Tensor:
        """Return all of them [T, M or 1, B, D]."""
        return self._layout.logical(self._all).mT
