"""Peak memory of forward and backward for one instance, in units of the states of all steps: T·B·N·4 bytes."""

from dataclasses import replace
from functools import partial
from typing import Any

from rnnbench.benchmark.speed.cases import LOOP, SequenceCase, build_first_of_ensemble, ensembles, sequence_report
from rnnbench.benchmark.speed.contender import Contender, Report, Target


def bytes_of_all_outputs(case: SequenceCase) -> float:
    """Return T·B·N·4.

    >>> bytes_of_all_outputs(SequenceCase("GRU", units=10, sequences=3, steps=7))
    840.0
    """
    return 4.0 * case.steps * case.sequences * case.units


def _report(
    case: SequenceCase, contenders: tuple[Contender[SequenceCase], ...], **settings: Any
) -> Report[SequenceCase]:
    length = "" if case.steps == SequenceCase.steps else f", {case.steps} steps"
    title = f"peak memory of {case.cell}, {case.units} units{length}; one unit is T·B·N·4 bytes"
    settings = {"quick": None, "memory_unit": bytes_of_all_outputs, **settings}
    return sequence_report(title, case, contenders, **settings)


def _checkpointed_report(case: SequenceCase, largest: float) -> Report[SequenceCase]:
    """Return a report on long sequences, with and without ``--checkpoint-every``."""
    all_kept = Contender("rnnbench", partial(build_first_of_ensemble, instances=1), largest_memory=largest)
    build = partial(build_first_of_ensemble, instances=1, checkpoint_every="auto")
    few_kept = Contender("rnnbench, checkpoint_every", build, largest_memory=largest / 4)
    return _report(case, (all_kept, few_kept), targets=(Target((few_kept.name,), (all_kept.name,), 1.4),))


_DIAGONAL, _LSTM = SequenceCase("WCRNN, diagonal R", units=100), SequenceCase("LSTM", units=47)
_RESIDUAL = (LOOP, *ensembles(1, 5, largest_memory=2.2))
REPORTS = (
    _report(_DIAGONAL, _RESIDUAL, quick=replace(_DIAGONAL, steps=50)),
    _report(SequenceCase("WCRNN, rotation R", units=100), _RESIDUAL),
    _report(_LSTM, (LOOP, *ensembles(1, 5, largest_memory=7.0))),
    _report(SequenceCase("GRU", units=58), (LOOP, *ensembles(1, 5))),
    _checkpointed_report(replace(_DIAGONAL, steps=10_000), 2.2),
    _checkpointed_report(replace(_LSTM, steps=10_000), 7.0),
)
