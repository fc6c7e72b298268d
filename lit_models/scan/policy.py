"""Which backend is asked for here, for scans within a block."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Literal, NamedTuple, get_args

BackendName = Literal["auto", "loop", "eager", "native", "triton"]

#: Steps of a segment, or ``auto`` for about √T; None where all steps are kept.
CheckpointEvery = int | Literal["auto"] | None


class Backend(NamedTuple):
    """What recurrences are scanned by.

    Attributes:
        name: ``loop`` for the definition; ``eager`` for hand-derived scans in PyTorch; ``native`` for those in C where
            there is one, and ``triton`` for those that are Triton kernels; ``auto`` for C on a CPU, where it was
            compiled, and kernels on CUDA.
        checkpoint_every: steps of a segment, of which only the first state is kept until the backward pass; None keeps
            all.
    """

    name: BackendName = "auto"
    checkpoint_every: CheckpointEvery = None


_DEFAULT = Backend()
_current: ContextVar[Backend] = ContextVar("backend", default=_DEFAULT)


def current_backend() -> Backend:
    """Return what holds here.

    >>> current_backend().name
    'auto'
    """
    return _current.get()


@contextmanager
def use_backend(name: BackendName, checkpoint_every: CheckpointEvery = None) -> Iterator[None]:
    """Scan recurrences within a block as ``Backend`` describes.

    Where a recurrence has no such scan, or none for sequences that have lengths of their own, the loop runs whatever is
    asked for; over sequences with lengths of their own the loop keeps all steps. Where there is no C or no kernel of a
    scan, ``native`` and ``triton`` take that in PyTorch; ``native`` also where a batch fills no vectors.

    Raises:
        ValueError: there is no such backend, or ``checkpoint_every`` is not positive.
        RuntimeError: within the block, where a scan runs: nothing is compiled or no kernel can run at all.

    >>> with use_backend("loop"):
    ...     current_backend().name
    'loop'
    """
    if name not in get_args(BackendName):
        raise ValueError(f"the backend must be one of {', '.join(get_args(BackendName))}, got {name!r}")
    if checkpoint_every is not None and checkpoint_every != "auto" and checkpoint_every < 1:
        raise ValueError(f"checkpoint_every must be at least 1, 'auto' or None, got {checkpoint_every}")
    token = _current.set(Backend(name, checkpoint_every))
    try:
        yield
    finally:
        _current.reset(token)
