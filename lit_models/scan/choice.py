"""Which scan walks a recurrence: chosen by itself, or by whoever runs it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Literal

from torch import Tensor

from lit_models.scan.loop import scan_loop

if TYPE_CHECKING:
    from lit_models.recurrence import Recurrence

ScanName = Literal["auto", "loop", "fused"]

_chosen: ContextVar[ScanName] = ContextVar("scan", default="auto")


@contextmanager
def scanning(name: ScanName) -> Iterator[None]:
    """Use a scan within a block: ``loop`` for the definition, ``fused`` and ``auto`` for hand-derived ones.

    Where a recurrence has no hand-derived scan, or sequences have lengths of their own, ``fused`` and ``auto`` walk the
    loop too.
    """
    token = _chosen.set(name)
    try:
        yield
    finally:
        _chosen.reset(token)


def scan(
    recurrence: Recurrence, inputs: Tensor, state: Tensor, lengths: Tensor | None, keep_outputs: bool = True
) -> tuple[Tensor, Tensor]:
    """Walk a recurrence by the chosen scan; arguments and results are as in ``scan_loop``."""
    if _chosen.get() != "loop" and lengths is None:
        found = recurrence.fused_scan(inputs, state, keep_outputs)
        if found is not None:
            return found
    return scan_loop(recurrence, inputs, state, lengths, keep_outputs)
