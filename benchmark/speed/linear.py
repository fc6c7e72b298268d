"""Linear recurrences: whole sequences convolved or scanned in parallel, beside the loop over their steps."""

from dataclasses import replace

from rnnbench.benchmark.speed.cases import LOOP, Cell, SequenceCase, ensembles, sequence_report
from rnnbench.benchmark.speed.contender import Report


def _report(cell: Cell, largest: float, quick: bool = False) -> Report[SequenceCase]:
    case = SequenceCase(cell, units=64, sequences=32)
    return sequence_report(
        f"forward and backward of {cell}, {case.units} features, 64 states, {case.precision}",
        case,
        (LOOP, *ensembles(1, 5, largest_ratio=largest)),
        quick=replace(case, units=4, sequences=2, steps=8) if quick else None,
        agreement=replace(case.for_agreement(), steps=100),
    )


REPORTS = (_report("S4D", 0.1, quick=True), _report("S4", 0.1), _report("LRU", 0.2))
