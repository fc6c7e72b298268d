"""Which scan walks a recurrence: chosen by itself, or by whoever runs it."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Literal, NamedTuple

from torch import Tensor, nn

from rnnbench.lit_models.scan.checkpointed import CheckpointEvery, segment_length
from rnnbench.lit_models.scan.loop import scan_loop

if TYPE_CHECKING:
    from rnnbench.lit_models.recurrence import Recurrence

ScanName = Literal["auto", "loop", "fused", "native", "triton", "graph"]


class Choice(NamedTuple):
    """How recurrences are walked.

    Attributes:
        name: ``loop`` for the definition; ``fused`` for hand-derived scans in PyTorch; ``native`` for those in C where
            there is one, and ``triton`` for those that are Triton kernels; ``auto`` for C on a CPU, where it was
            compiled, and kernels on CUDA; ``graph`` for what ``auto`` takes and, on CUDA, a graph of the loop where
            there is no hand-derived scan.
        checkpoint_every: steps of a segment, of which only the first state is kept until the way back; None keeps all.
    """

    name: ScanName = "auto"
    checkpoint_every: CheckpointEvery = None


# What a subclass may give otherwise without changing what a step computes.
_FREE = {"__init__", "initial_state", "forward", "forward_last", "fused_scan_to", "_abc_impl"}

_DEFAULT = Choice()
_chosen: ContextVar[Choice] = ContextVar("scan", default=_DEFAULT)


def chosen() -> Choice:
    """Return what holds here."""
    return _chosen.get()


@contextmanager
def scanning(name: ScanName, checkpoint_every: CheckpointEvery = None) -> Iterator[None]:
    """Walk recurrences within a block as ``Choice`` describes.

    Where a recurrence has no such scan, or none for sequences that have lengths of their own, the loop is walked
    whatever is chosen; over sequences with lengths of their own the loop keeps all steps. Where there is no C or no
    kernel of a scan, ``native`` and ``triton`` take that in PyTorch; ``native`` also where a batch fills no vectors.

    Raises:
        ValueError: ``checkpoint_every`` is not positive.
        RuntimeError: within the block, where a scan is walked: nothing is compiled or no kernel can run at all.
    """
    if checkpoint_every is not None and checkpoint_every != "auto" and checkpoint_every < 1:
        raise ValueError(f"checkpoint_every is {checkpoint_every}: a positive number, 'auto' or None is allowed")
    token = _chosen.set(Choice(name, checkpoint_every))
    try:
        yield
    finally:
        _chosen.reset(token)


def scan(
    recurrence: Recurrence, inputs: Tensor, state: Tensor, lengths: Tensor | None, keep_outputs: bool = True
) -> tuple[Tensor, Tensor]:
    """Walk a recurrence by the chosen scan; arguments and results are as in ``scan_loop``."""
    found = None
    if chosen().name != "loop" and keeps_definition(type(recurrence)):
        if lengths is None:
            found = recurrence.fused_scan(inputs, state, keep_outputs)
        else:
            found = recurrence.fused_scan_to(inputs, state, lengths, keep_outputs)
    length = None if lengths is not None else segment_length(len(inputs), chosen().checkpoint_every)
    if found is None and length is not None:
        # Here, for what it is made of reads the choice.
        from rnnbench.lit_models.scan.loop_walk import scan_checkpointed_loop

        found = scan_checkpointed_loop(recurrence, inputs, state, keep_outputs, length)
    if found is None and lengths is None and chosen().name == "graph" and inputs.is_cuda:
        from rnnbench.lit_models.scan.cuda_graph import scan_graphed_loop

        found = scan_graphed_loop(recurrence, inputs, state, keep_outputs)
    if found is not None:
        return found
    return scan_loop(recurrence, inputs, state, lengths, keep_outputs)


@functools.cache
def keeps_definition(cls: type[Recurrence], scan: str = "fused_scan") -> bool:
    """Return whether a faster scan that a class has, its own or inherited, still computes what its steps do.

    Such a scan is derived from the definition in the class that declares it. A class below that one may add methods,
    and give those that are abstract; if it overrides any other, its steps may be different ones.

    Args:
        cls: the class.
        scan: name of the method that scans faster.
    """
    order = cls.__mro__
    declaring = next(index for index, each in enumerate(order) if scan in vars(each))
    for index, each in enumerate(order[:declaring]):
        for name in vars(each).keys() - _FREE:
            overridden = next((vars(parent)[name] for parent in order[index + 1 :] if name in vars(parent)), None)
            if overridden is None or name.startswith("__") or hasattr(nn.Module, name):
                continue
            if not getattr(overridden, "__isabstractmethod__", False):
                return False
    return True
