"""The memory order of a kernel's steps: rows [M, R, B] or, where batches are small, [M, B, R]."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from rnnbench.lit_models.scan.eager.parts import is_small

#: Of a prepared matrix, values and the tensor that the product is written into or added to.
Product = Callable[[Tensor, Tensor, Tensor], object]


class Layout:
    """How matrices, rows and constants stand in memory; "native" is what is said of tensors in this order.

    With rows first, each unit's own factor multiplies a contiguous row. Small batches go first: their products are
    then up to three times faster.

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
        """Choose by the number of sequences."""
        self.batch_first = is_small(batch)
        self.batch = batch
        self.product: Product = _batch_first_product if self.batch_first else _rows_first_product
        self.add_product: Product = _add_batch_first_product if self.batch_first else _add_rows_first_product

    def native(self, rows: Tensor) -> Tensor:
        """Return the native view of [..., R, B]."""
        return rows.mT if self.batch_first else rows

    logical = native

    def shape(self, *shape: int) -> tuple[int, ...]:
        """Return the native shape of [..., R, B]."""
        *leading, rows, batch = shape
        return (*leading, batch, rows) if self.batch_first else shape

    def slice(self, steps: Tensor, start: int | None, stop: int | None, stride: int = 1) -> Tensor:
        """Return some of the rows of native steps."""
        return steps[..., start:stop:stride] if self.batch_first else steps[..., start:stop:stride, :]

    def matrix(self, matrix: Tensor) -> Tensor:
        """Return [M, P, Q] prepared for ``product``."""
        return (matrix.mT if self.batch_first else matrix).contiguous()

    def pair(self, matrix: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        """Return what ``torch.bmm`` multiplies for a prepared matrix and native values, in its order."""
        return (values, matrix) if self.batch_first else (matrix, values)

    def constant(self, column: Tensor) -> Tensor:
        """Return [M, R] so that it multiplies native steps row by row."""
        if self.batch_first:
            # Too few sequences to spread one number over: operations on equal shapes are up to twice as fast.
            return column.unsqueeze(1).expand(-1, self.batch, -1).contiguous()
        return column.unsqueeze(-1)


def _rows_first_product(matrix: Tensor, values: Tensor, out: Tensor) -> None:
    torch.bmm(matrix, values, out=out)


def _add_rows_first_product(matrix: Tensor, values: Tensor, out: Tensor) -> None:
    out.baddbmm_(matrix, values)


def _batch_first_product(matrix: Tensor, values: Tensor, out: Tensor) -> None:
    torch.bmm(values, matrix, out=out)


def _add_batch_first_product(matrix: Tensor, values: Tensor, out: Tensor) -> None:
    out.baddbmm_(values, matrix)
