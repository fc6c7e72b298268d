"""How the time of forward and backward grows with steps, sequences and instances, each over a decade."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial

from rnnbench.benchmark.speed.cases import SequenceCase, build_first_of_ensemble, sequence_report
from rnnbench.benchmark.speed.contender import Contender, Report, Result, Target

_FACTORS = (1, 3, 10)


def build_grown(case: SequenceCase, axis: str, factor: int) -> Callable[[], Result]:
    """Prepare ``factor`` times as many steps (T) or sequences (B) of one instance, or as many instances (M).

    The result is that of the first instance.
    """
    steps, sequences, instances = (factor if axis == name else 1 for name in "TBM")
    grown = replace(case, steps=steps * case.steps, sequences=sequences * case.sequences)
    return build_first_of_ensemble(grown, instances)


def _report(axis: str, case: SequenceCase, smallest: float, quick: SequenceCase | None = None) -> Report[SequenceCase]:
    first, *_, last = names = {factor: f"{axis} × {factor}" for factor in _FACTORS}
    # The time is that of all instances together: its growth is what is measured.
    contenders = tuple(
        Contender(name, partial(build_grown, axis=axis, factor=factor), compared=axis == "M" or factor == first)
        for factor, name in names.items()
    )
    target = Target((names[last],), (names[first],), largest=1.1, smallest=smallest, factor=last / first)
    title = f"growth of time with {axis}, {case.cell}, {case.units} units, forward and backward"
    return sequence_report(title, case, contenders, quick=quick, targets=(target,))


# Large enough that what a run, and in B each step, costs whatever its size is a small part of the shortest: in B twice
# the batch of sequential MNIST, in M that batch; in T long sequences, in batches that fit into memory at ten times the
# length.
_CASE = SequenceCase("WCRNN, diagonal R", units=100, sequences=128, steps=200)
_LONG = replace(_CASE, sequences=32, steps=1000)
REPORTS = (
    _report("T", _LONG, 0.9, quick=replace(_LONG, sequences=4, steps=8)),
    _report("B", replace(_CASE, sequences=256), 0.9),
    # Instances may share work: less than ten times the time for ten of them is no fault.
    _report("M", _CASE, 0.0),
)
