"""Instances trained together in one ensemble, against the same instances one after the other."""

import itertools
from dataclasses import replace
from functools import partial

from rnnbench.benchmark.speed.cases import SequenceCase, build_ensemble, build_loops_in_turn, sequence_report
from rnnbench.benchmark.speed.contender import Contender, Report

#: The most that one ensemble may take of the loops' time, by B, N and M.
_TARGETS = {(32, 50, 5): 0.25, (8, 50, 20): 0.10}
_QUICK = (32, 50, 5)


def _report(sequences: int, units: int, instances: int, steps: int) -> Report[SequenceCase]:
    key = (sequences, units, instances)
    case = SequenceCase("WCRNN, diagonal R", units, sequences, steps)
    return sequence_report(
        f"{instances} instances of {case.cell}, {units} units, batches of {sequences}, forward and backward",
        case,
        (
            Contender("plain loops in turn", partial(build_loops_in_turn, instances=instances)),
            # Wherever there is no target of its own: never slower.
            Contender("one ensemble", partial(build_ensemble, instances=instances), _TARGETS.get(key, 1.0)),
            Contender("one ensemble, plain loop", partial(build_ensemble, instances=instances, scan="loop")),
        ),
        quick=replace(case, steps=10) if key == _QUICK else None,
    )


REPORTS = (
    *(_report(*key, steps=200) for key in _TARGETS),
    *(_report(*key, steps=100) for key in itertools.product((8, 128), (16, 100), (2, 20))),
)
