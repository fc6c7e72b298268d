"""What a speed report is made of: one case, and contenders for it that must come to the same result."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

#: What a contender computes: arrays by name, the same names and shapes for every contender of a report.
Result = Mapping[str, NDArray[np.float64]]
CaseT = TypeVar("CaseT")


@dataclass(frozen=True)
class Contender(Generic[CaseT]):
    """One way to do the work of a case.

    Attributes:
        name: what tables call it.
        build: makes weights and data from named seeds, so that every process holds the same, and returns what is
            timed: a function that does the whole work once, each time it is called, on one thread.
        largest_ratio: the share of the reference's time that the full case should not exceed; None for no target.
    """

    name: str
    build: Callable[[CaseT], Callable[[], Result]]
    largest_ratio: float | None = None


@dataclass(frozen=True)
class Report(Generic[CaseT]):
    """Contenders that are compared.

    Attributes:
        title: what is computed.
        case: sizes of the work, a dataclass of numbers and words.
        quick: the same at a size that takes a moment.
        contenders: the first is the reference.
        tolerance: largest absolute difference allowed between a value of a contender and of the reference.
    """

    title: str
    case: CaseT
    quick: CaseT
    contenders: tuple[Contender[CaseT], ...]
    tolerance: float


@dataclass(frozen=True)
class Sample:
    """One timed run.

    Attributes:
        process_seconds: time of the processor.
        wall_seconds: time of the clock.
        counted: whether the medians are taken over it; not if it was disturbed and could be repeated.
    """

    process_seconds: float
    wall_seconds: float
    counted: bool = True


@dataclass(frozen=True)
class Timing:
    """How one contender did.

    Attributes:
        name: of the contender.
        set_up_seconds: process time of building weights and data.
        first_call_seconds: process time of the first run, which is not counted: it may compile or fill caches.
        difference: largest absolute difference from the reference's result.
        samples: every run after the first, in order.
        median_seconds: median process time of the counted runs.
        ratio: ``median_seconds`` over that of the reference.
        largest_ratio: the target; None if there is none, as in a quick case.
        disturbed: counted runs whose wall time was too long for their process time.
    """

    name: str
    set_up_seconds: float
    first_call_seconds: float
    difference: float
    samples: list[Sample]
    median_seconds: float
    ratio: float
    largest_ratio: float | None
    disturbed: int


@dataclass(frozen=True)
class Comparison:
    """The outcome of a report, as its JSON has it.

    Attributes:
        report: its name on the command line.
        title: what was computed.
        quick: whether it was the small case, which no target is meant for.
        case: the sizes.
        tolerance: largest difference allowed.
        timings: of the contenders, the reference first.
        hardware: what it was measured on, as the contenders' processes saw it.
        versions: of Python and the packages.
    """

    report: str
    title: str
    quick: bool
    case: dict[str, Any]
    tolerance: float
    timings: list[Timing]
    hardware: dict[str, Any] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)


def load_report(module: str) -> Report[Any]:
    """Return the ``REPORT`` of a module."""
    report: Report[Any] = importlib.import_module(module).REPORT
    return report
