"""Peak memory of forward and backward for one instance, in units of the states of all steps: T·B·N·4 bytes."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from rnnbench.benchmark.speed.cases import SequenceCase, build_first_of_ensemble, loop_and_ensembles
from rnnbench.benchmark.speed.contender import Contender, Report, Target


def bytes_of_all_outputs(case: SequenceCase) -> float:
    """Return T·B·N·4.

    >>> bytes_of_all_outputs(SequenceCase("GRU", units=10, sequences=3, steps=7))
    840.0
    """
    return 4.0 * case.steps * case.sequences * case.units


def _report(case: SequenceCase, largest: float | None, quick: SequenceCase | None = None) -> Report[SequenceCase]:
    return Report(
        title=f"peak memory of {case.cell}, {case.units} units; one unit is T·B·N·4 bytes",
        case=case,
        quick=quick,
        contenders=loop_and_ensembles(largest_memory=largest),
        # Sums of some thousand products, in double precision.
        tolerance=1e-10,
        agreement=case.for_agreement(),
        memory_unit=bytes_of_all_outputs,
    )


def _long_report(case: SequenceCase, largest: float) -> Report[SequenceCase]:
    """Return a report on long sequences, with and without ``--checkpoint-every``."""
    names = "rnnbench", "rnnbench, checkpoint_every"
    return Report(
        title=f"peak memory of {case.cell}, {case.units} units, {case.steps} steps; one unit is T·B·N·4 bytes",
        case=case,
        quick=None,
        contenders=(
            Contender(names[0], partial(build_first_of_ensemble, instances=1), largest_memory=largest),
            Contender(
                names[1],
                partial(build_first_of_ensemble, instances=1, checkpoint_every="auto"),
                largest_memory=largest / 4,
            ),
        ),
        tolerance=1e-10,
        agreement=case.for_agreement(),
        memory_unit=bytes_of_all_outputs,
        targets=(Target(names[1:], names[:1], 1.4),),
    )


_DIAGONAL = SequenceCase("WCRNN, diagonal R", units=100)
REPORTS = (
    _report(_DIAGONAL, 2.2, quick=replace(_DIAGONAL, steps=50)),
    _report(SequenceCase("WCRNN, rotation R", units=100), 2.2),
    _report(SequenceCase("LSTM", units=47), 7.0),
    _report(SequenceCase("GRU", units=58), None),
    _long_report(replace(_DIAGONAL, steps=10_000), 2.2),
    _long_report(SequenceCase("LSTM", units=47, steps=10_000), 7.0),
)
