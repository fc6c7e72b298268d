"""How the time of forward and backward grows with steps, sequences and instances, each over a decade."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from rnnbench.benchmark.speed.cases import SequenceCase, build_first_of_ensemble
from rnnbench.benchmark.speed.contender import Contender, Report, Result, Target

_FACTORS = (1, 3, 10)
_Growth = Callable[[SequenceCase, int], Callable[[], Result]]


def build_longer(case: SequenceCase, factor: int) -> Callable[[], Result]:
    """Prepare one instance for sequences ``factor`` times as long."""
    return build_first_of_ensemble(replace(case, steps=factor * case.steps), 1)


def build_wider(case: SequenceCase, factor: int) -> Callable[[], Result]:
    """Prepare one instance for ``factor`` times as many sequences."""
    return build_first_of_ensemble(replace(case, sequences=factor * case.sequences), 1)


def build_more(case: SequenceCase, factor: int) -> Callable[[], Result]:
    """Prepare an ensemble of ``factor`` instances; the result is that of the first."""
    return build_first_of_ensemble(case, factor)


def _report(
    axis: str,
    case: SequenceCase,
    build: _Growth,
    smallest: float,
    compared: bool = False,
    quick: SequenceCase | None = None,
) -> Report[SequenceCase]:
    first, *_, last = names = [f"{axis} × {factor}" for factor in _FACTORS]
    return Report(
        title=f"growth of time with {axis}, {case.cell}, {case.units} units, forward and backward",
        case=case,
        quick=quick,
        # The time is that of all instances together: its growth is what is asked.
        contenders=tuple(
            Contender(name, _grown(build, factor), compared=compared or factor == 1)
            for name, factor in zip(names, _FACTORS, strict=True)
        ),
        tolerance=1e-10,
        agreement=case.for_agreement(),
        targets=(Target((last,), (first,), largest=1.1, smallest=smallest, factor=_FACTORS[-1] / _FACTORS[0]),),
    )


def _grown(build: _Growth, factor: int) -> Callable[[SequenceCase], Callable[[], Result]]:
    return lambda case: build(case, factor)


# Large enough for what a run, and in B each step, costs whatever its size to be a small part of the shortest: in B
# twice the batch of sequential MNIST, in M that batch; in T long sequences, in batches that fit into memory at ten
# times the length.
_CASE = SequenceCase("WCRNN, diagonal R", units=100, sequences=128, steps=200)
_LONG = replace(_CASE, sequences=32, steps=1000)
REPORTS = (
    _report("T", _LONG, build_longer, 0.9, quick=replace(_LONG, sequences=4, steps=8)),
    _report("B", replace(_CASE, sequences=256), build_wider, 0.9),
    # Instances may share work: less than ten times the time for ten of them is no fault.
    _report("M", _CASE, build_more, 0.0, compared=True),
)
