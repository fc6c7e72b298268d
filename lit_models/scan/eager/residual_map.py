"""The residual map R of many instances, written for a fast scan: in place, no dense product for pairs."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from rnnbench.lit_models.scan.eager.state_rows import StateRows


class Rows(NamedTuple):
    """All rows of a native step and, where they are needed apart, those of the units, and of even and odd units.

    Of the last three those are None that nobody asks for; to check it at every step would take time.
    """

    whole: Tensor
    units: Any
    even: Any
    odd: Any


class ResidualMap:
    """R x of native steps: dense [M, N, N], diagonal ``own`` [M, N], or with ``cross`` [M, N] 2 × 2 blocks.

    In blocks the units (2i, 2i+1) are paired: R x = own ∘ x + cross ∘ (x with each pair swapped). Its gradients are
    summed up step by step by ``accumulate``, where they are wanted.

    Attributes:
        diagonal: of a diagonal R its numbers for whole native steps, so that kernels can save a call a step; else None.

    Example:
        >>> rows = StateRows(torch.zeros(1, 1, 20, 1), torch.zeros(1, 20, 2))
        >>> turn = ResidualMap(rows, torch.zeros(1, 2), torch.tensor([[-1.0, 1.0]]), None)
        >>> x, out = turn.split(torch.zeros(2, 1, rows.rows, 20))
        >>> _ = x.whole[0, 0].fill_(1.0)
        >>> turn.add(x, out)
        >>> out.whole[0, :2, 0].tolist()
        [0.0, 1.0]
    """

    def __init__(
        self,
        rows: StateRows,
        own: Tensor | None,
        cross: Tensor | None,
        dense: Tensor | None,
        wanted: Sequence[bool] = (False, False, False),
    ) -> None:
        """Lay out the tensors, one of ``own`` and ``dense`` given; ``wanted`` says whose gradients are."""
        self._state_rows, self._wanted = rows, wanted
        self._layout = rows.layout
        self._matrices = None if dense is None else [rows.layout.matrix(each) for each in (dense, dense.mT)]
        self._own: Any = None if own is None else rows.constant(own)
        self.diagonal = self._own if cross is None else None
        self._cross = None if cross is None else self._pairs(rows.constant(cross))
        self._units_apart = dense is not None or any(wanted)
        zeros = rows.new(1, rows.rows)[0].zero_() if any(wanted) else None
        self._sum: Any = None if zeros is None else self.split(zeros.unsqueeze(0))[0]
        self._cross_sum: Any = None if zeros is None else self.split(torch.zeros_like(zeros).unsqueeze(0))[0]
        self._dense_sum = None if dense is None or not wanted[2] else torch.zeros_like(dense)

    def split(self, steps: Tensor) -> list[Rows]:
        """Return the rows of every native step of [K, ...]."""
        whole = steps.unbind(0)
        nothing = [None] * len(whole)
        units = self._state_rows.units_of(steps).unbind(0) if self._units_apart else nothing
        even, odd = (nothing, nothing) if self._cross is None else (each.unbind(0) for each in self._pairs(steps))
        return [Rows(*step) for step in zip(whole, units, even, odd, strict=True)]

    def add(self, x: Rows, out: Rows) -> None:
        """Add R x to ``out``, another step."""
        if self._matrices is not None:
            self._layout.add_product(self._matrices[0], x.units, out.units)
            return
        out.whole.addcmul_(self._own, x.whole)
        if self._cross is not None:
            out.even.addcmul_(self._cross[0], x.odd)
            out.odd.addcmul_(self._cross[1], x.even)

    def set_transposed(self, x: Rows, out: Rows) -> None:
        """Write Rᵀ x into ``out``, another step, and zeros into its other rows."""
        if self._matrices is not None:
            out.whole.zero_()
            self._layout.add_product(self._matrices[1], x.units, out.units)
            return
        torch.mul(x.whole, self._own, out=out.whole)
        if self._cross is not None:
            out.even.addcmul_(self._cross[1], x.odd)
            out.odd.addcmul_(self._cross[0], x.even)

    def accumulate(self, gradient: Rows, x: Rows) -> None:
        """Add one step's part, for the gradient of R x, to the gradients that are wanted."""
        if self._wanted[0]:
            self._sum.units.addcmul_(gradient.units, x.units)
        if self._wanted[1]:
            self._cross_sum.even.addcmul_(gradient.even, x.odd)
            self._cross_sum.odd.addcmul_(gradient.odd, x.even)
        if self._dense_sum is not None:
            self._dense_sum.baddbmm_(self._layout.logical(gradient.units), self._layout.logical(x.units).mT)

    def gradients(self) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
        """Return what was summed up: gradients of own [M, N], cross [M, N] and dense [M, N, N]."""
        own, cross = (
            self._layout.logical(part.units).sum(-1) if wanted else None
            for part, wanted in zip((self._sum, self._cross_sum), self._wanted, strict=False)
        )
        return own, cross, self._dense_sum

    def _pairs(self, steps: Tensor) -> tuple[Tensor, Tensor]:
        """Return the rows of even and of odd units."""
        units = self._state_rows.units
        return self._layout.slice(steps, 0, units, 2), self._layout.slice(steps, 1, units, 2)
