"""The residual map R of many instances, written for a fast walk: out= everywhere, no dense product for pairs."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor


class Rows(NamedTuple):
    """Units as rows [M, N, B], and the rows of even and odd units [M, N/2, B] (``whole`` where nothing is paired)."""

    whole: Tensor
    even: Tensor
    odd: Tensor


class ResidualMap:
    """R x of states [M, N, B]: dense [M, N, N], diagonal ``own`` [M, N], or with ``cross`` [M, N] 2 × 2 blocks.

    In blocks the units (2i, 2i+1) are paired: R x = own ∘ x + cross ∘ (x with each pair swapped). Its gradients are
    summed up step by step by ``accumulate``, where they are wanted.

    Example:
        >>> turn = ResidualMap(torch.zeros(1, 2), torch.tensor([[-1.0, 1.0]]), None)
        >>> x, out = (turn.rows(torch.tensor(values).reshape(1, 1, 2, 1))[0] for values in ([1.0, 0.0], [0.0, 0.0]))
        >>> turn.apply(x, out)
        >>> out.whole.flatten().tolist()
        [0.0, 1.0]
    """

    def __init__(self, own: Tensor | None, cross: Tensor | None, dense: Tensor | None) -> None:
        """Lay out the tensors; one of ``own`` and ``dense`` is given."""
        self.dense = dense
        self.own = None if own is None else own.unsqueeze(-1)
        self.cross = None if cross is None else (cross[:, 0::2, None], cross[:, 1::2, None])
        self._sums: dict[str, Tensor] = {}

    def rows(self, steps: Tensor) -> list[Rows]:
        """Return the rows of every step of [K, M, N, B]."""
        whole = steps.unbind(0)
        if self.cross is None:
            return [Rows(step, step, step) for step in whole]
        even, odd = steps[:, :, 0::2].unbind(0), steps[:, :, 1::2].unbind(0)
        return [Rows(*step) for step in zip(whole, even, odd, strict=True)]

    def apply(self, x: Rows, out: Rows) -> None:
        """Write R x into ``out``, another buffer."""
        if self.dense is not None:
            torch.bmm(self.dense, x.whole, out=out.whole)
            return
        torch.mul(x.whole, self.own, out=out.whole)
        if self.cross is not None:
            out.even.addcmul_(self.cross[0], x.odd)
            out.odd.addcmul_(self.cross[1], x.even)

    def apply_transposed(self, x: Rows, out: Rows) -> None:
        """Write Rᵀ x into ``out``, another buffer."""
        if self.dense is not None:
            torch.bmm(self.dense.transpose(1, 2), x.whole, out=out.whole)
            return
        torch.mul(x.whole, self.own, out=out.whole)
        if self.cross is not None:
            out.even.addcmul_(self.cross[1], x.odd)
            out.odd.addcmul_(self.cross[0], x.even)

    def accumulate(self, gradient: Rows, x: Rows, wanted: tuple[bool, bool, bool]) -> None:
        """Add one step's part, for the gradient of R x, to the gradients of (own, cross, dense) that are wanted."""
        if wanted[0]:
            self._sum("own", gradient.whole).addcmul_(gradient.whole, x.whole)
        if wanted[1]:
            self._sum("even", gradient.even).addcmul_(gradient.even, x.odd)
            self._sum("odd", gradient.odd).addcmul_(gradient.odd, x.even)
        if wanted[2]:
            self._sum("dense", self.dense).baddbmm_(gradient.whole, x.whole.transpose(1, 2))

    def gradients(self) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
        """Return what was summed up: gradients of own [M, N], cross [M, N] and dense [M, N, N]."""
        own, cross = (self._sums[name].sum(-1) if name in self._sums else None for name in ("own", "even"))
        if cross is not None:
            cross = torch.stack([cross, self._sums["odd"].sum(-1)], -1).flatten(1)
        return own, cross, self._sums.get("dense")

    def _sum(self, name: str, like: Tensor) -> Tensor:
        if name not in self._sums:
            self._sums[name] = torch.zeros_like(like)
        return self._sums[name]
