"""Reports on sequences alone: scans in parallel, ensembles, peak memory, and how time grows."""

import itertools
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

from rnnbench.benchmark.speed.cases import (
    LOOP,
    Cell,
    SequenceCase,
    build_ensemble,
    build_first_of_ensemble,
    build_loops_in_turn,
    ensembles,
    sequence_report,
)
from rnnbench.benchmark.speed.contender import Contender, Report, Result, Target

_DIAGONAL, _LSTM = SequenceCase("WCRNN, diagonal R", units=100), SequenceCase("LSTM", units=47)


def _linear(cell: Cell, largest: float, quick: bool = False, states: str = "64 states") -> Report[SequenceCase]:
    """Whole sequences of a linear recurrence, convolved or scanned in parallel, beside the loop over their steps."""
    case = SequenceCase(cell, units=64, sequences=32)
    return sequence_report(
        f"forward and backward of {cell}, {case.units} features, {states}, {case.precision}",
        case,
        (LOOP, *ensembles(1, 5, largest_ratio=largest)),
        quick=replace(case, units=4, sequences=2, steps=8) if quick else None,
        agreement=replace(case.for_agreement(), steps=100),
    )


_HEADS: tuple[Cell, ...] = ("DeltaNet", "DeltaNet, gated", "RWKV7", "MLSTM")
_GATED: tuple[Cell, ...] = ("MinGRU", "MinLSTM", "RGLRU")
LINEAR = (
    _linear("S4D", 0.1, quick=True),
    _linear("S4", 0.1),
    *(_linear(cell, 0.2) for cell in ("LRU", "LinOSS")),
    *(_linear(cell, 0.2, states="4 heads") for cell in _HEADS),
    _linear("S6", 0.2, states="16 states"),
    _linear("BlockDiagonalRNN", 0.2, states="blocks of 4"),
    *(_linear(cell, 0.2, states="1 state") for cell in _GATED),
)


def _ensemble(
    sequences: int, units: int, instances: int, steps: int = 100, largest: float = 1.0, quick: bool = False
) -> Report[SequenceCase]:
    """Instances trained together in one ensemble, against the same instances one after the other."""
    case = SequenceCase("WCRNN, diagonal R", units, sequences, steps)
    return sequence_report(
        f"{instances} instances of {case.cell}, {units} units, batches of {sequences}, forward and backward",
        case,
        (
            Contender("plain loops in turn", partial(build_loops_in_turn, instances=instances)),
            Contender("one ensemble", partial(build_ensemble, instances=instances), largest),
            Contender("one ensemble, plain loop", partial(build_ensemble, instances=instances, scan="loop")),
        ),
        quick=replace(case, steps=10) if quick else None,
    )


ENSEMBLE = (
    _ensemble(32, 50, 5, steps=200, largest=0.25, quick=True),
    _ensemble(8, 50, 20, steps=200, largest=0.10),
    # Wherever there is no target of its own: never slower.
    *itertools.starmap(_ensemble, itertools.product((8, 128), (16, 100), (2, 20))),
)


def bytes_of_all_outputs(case: SequenceCase) -> float:
    """Return T·B·N·4.

    >>> bytes_of_all_outputs(SequenceCase("GRU", units=10, sequences=3, steps=7))
    840.0
    """
    return 4.0 * case.steps * case.sequences * case.units


def _memory(case: SequenceCase, *contenders: Contender[SequenceCase], **settings: Any) -> Report[SequenceCase]:
    """Peak memory of forward and backward for one instance, in units of the states of all steps."""
    length = "" if case.steps == SequenceCase.steps else f", {case.steps} steps"
    title = f"peak memory of {case.cell}, {case.units} units{length}; one unit is T·B·N·4 bytes"
    settings = {"quick": None, "memory_unit": bytes_of_all_outputs, **settings}
    return sequence_report(title, case, contenders, **settings)


def _checkpointed(case: SequenceCase, largest: float) -> Report[SequenceCase]:
    """The same on long sequences, with and without ``--checkpoint-every``."""
    all_kept = Contender("rnnbench", partial(build_first_of_ensemble, instances=1), largest_memory=largest)
    build = partial(build_first_of_ensemble, instances=1, checkpoint_every="auto")
    few_kept = Contender("rnnbench, checkpoint_every", build, largest_memory=largest / 4)
    return _memory(case, all_kept, few_kept, targets=(Target((few_kept.name,), (all_kept.name,), 1.4),))


_RESIDUAL = (LOOP, *ensembles(1, 5, largest_memory=2.2))
MEMORY = (
    _memory(_DIAGONAL, *_RESIDUAL, quick=replace(_DIAGONAL, steps=50)),
    _memory(SequenceCase("WCRNN, rotation R", units=100), *_RESIDUAL),
    _memory(_LSTM, LOOP, *ensembles(1, 5, largest_memory=7.0)),
    _memory(SequenceCase("GRU", units=58), LOOP, *ensembles(1, 5)),
    *(
        _memory(SequenceCase(cell, units=64, sequences=32), LOOP, *ensembles(1, 5))
        for cell in (*_HEADS, "S6", "BlockDiagonalRNN", *_GATED)
    ),
    _checkpointed(replace(_DIAGONAL, steps=10_000), 2.2),
    _checkpointed(replace(_LSTM, steps=10_000), 7.0),
)


def build_grown(case: SequenceCase, axis: str, factor: int) -> Callable[[], Result]:
    """Prepare ``factor`` times as many steps (T) or sequences (B) of one instance, or as many instances (M).

    The result is that of the first instance.
    """
    steps, sequences, instances = (factor if axis == name else 1 for name in "TBM")
    grown = replace(case, steps=steps * case.steps, sequences=sequences * case.sequences)
    return build_first_of_ensemble(grown, instances)


def _scaling(axis: str, case: SequenceCase, smallest: float, quick: SequenceCase | None = None) -> Report[SequenceCase]:
    """How the time of forward and backward grows over a decade."""
    names = {factor: f"{axis} × {factor}" for factor in (1, 3, 10)}
    # The time is that of all instances together: its growth is what is measured.
    contenders = tuple(
        Contender(name, partial(build_grown, axis=axis, factor=factor), compared=axis == "M" or factor == 1)
        for factor, name in names.items()
    )
    target = Target((names[10],), (names[1],), largest=1.1, smallest=smallest, factor=10.0)
    title = f"growth of time with {axis}, {case.cell}, {case.units} units, forward and backward"
    return sequence_report(title, case, contenders, quick=quick, targets=(target,))


# Large enough that what a run, and in B each step, costs whatever its size is a small part of the shortest: in B twice
# the batch of sequential MNIST, in M that batch; in T long sequences, in batches that fit into memory at ten times the
# length.
_SHORT, _LONG = replace(_DIAGONAL, steps=200), replace(_DIAGONAL, sequences=32, steps=1000)
SCALING = (
    _scaling("T", _LONG, 0.9, quick=replace(_LONG, sequences=4, steps=8)),
    _scaling("B", replace(_SHORT, sequences=256), 0.9),
    # Instances may share work: less than ten times the time for ten of them is no fault.
    _scaling("M", _SHORT, 0.0),
)
