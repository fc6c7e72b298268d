"""What a speed report is made of: cases, and contenders for each that must come to the same result."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

#: What a contender computes: arrays by name, the same names and shapes for every contender of a report.
Result = Mapping[str, NDArray[np.float64]]
CaseT = TypeVar("CaseT")


@dataclass(frozen=True)
class Measured:
    """A result, and the time that counts, of the processor and the clock, where not the whole time of the work does.

    Attributes:
        peak_bytes: most memory held, where that is not what this process held.
    """

    result: Result
    process_seconds: float
    wall_seconds: float
    peak_bytes: int | None = None


@dataclass(frozen=True)
class Contender(Generic[CaseT]):
    """One way to do the work of a case.

    Attributes:
        build: makes weights and data from named seeds, so that every process holds the same, and returns what is
            timed: a function that does the whole work once, each time it is called, on one thread. It returns its
            result, ``Measured`` where only a part of it is to be timed.
        largest_ratio: the share of the reference's time that the full case should not exceed; None for no target.
        instances: that the work serves, maybe by the case; times and memory are given for one of them.
        compared: whether the result must agree with the reference's. Not where something else is computed.
        package: an optional package that it needs; the contender is left out where that is not installed.
        largest_memory: the most memory that the full case should hold, in the report's unit; None for no target.
        whole_machine: whether the work may use all cores or a GPU, which shows in the time of the clock alone: that
            counts. All others run on one core, and their time of the processor counts.
        optional: whether the report goes on without it, and says why, where its first run fails.
        largest_seconds: the time that the full case should take at most; None for no target.
    """

    name: str
    build: Callable[[CaseT], Callable[[], Result | Measured]]
    largest_ratio: float | None = None
    instances: int | Callable[[CaseT], int] = 1
    compared: bool = True
    package: str | None = None
    largest_memory: float | None = None
    whole_machine: bool = False
    optional: bool = False
    largest_seconds: float | None = None

    def instances_of(self, case: CaseT) -> int:
        """Return how many instances the work of a case serves."""
        return self.instances(case) if callable(self.instances) else self.instances


@dataclass(frozen=True)
class Target:
    """Bounds on the time of the fastest of some contenders, for one instance, over that of the fastest reference.

    Attributes:
        factor: how many times more work the contenders have to do than the references. Where it is given, the bounds
            are on the exponent with which time grows, log(ratio) / log(factor).
    """

    contenders: tuple[str, ...]
    references: tuple[str, ...]
    largest: float
    smallest: float = 0.0
    factor: float | None = None


@dataclass(frozen=True)
class Report(Generic[CaseT]):
    """Contenders that are compared on one case.

    Attributes:
        case: sizes of the work, a dataclass of numbers and words.
        quick: the same at a size that takes a moment; None to leave the report out of quick runs.
        contenders: the first is the reference.
        tolerance: largest absolute difference allowed between a value of a contender and of the reference.
        agreement: the case on which the results are compared; None for the one that is timed.
        targets: of the full case, beside those that contenders have against the reference.
        memory_unit: bytes of one unit of memory for a case; None where memory is not measured. Before each run that is
            measured, memory that the process does not need is given back, so its times are not those of other reports.
        full: the whole work, where the case takes a sample of it; None where the case is whole.
        once: whether the work is so long that it is done once: not before it is counted, nor again where it had to
            share its core. ``agreement`` is needed then.
        note: what a reader should know about how it was measured.
        check: called with whether the case is the quick one; raises UserError where the work cannot be done here.
    """

    title: str
    case: CaseT
    quick: CaseT | None
    contenders: tuple[Contender[CaseT], ...]
    tolerance: float
    agreement: CaseT | None = None
    targets: tuple[Target, ...] = ()
    memory_unit: Callable[[CaseT], float] | None = None
    full: CaseT | None = None
    once: bool = False
    note: str = ""
    check: Callable[[bool], None] | None = None


@dataclass(frozen=True)
class Sample:
    """One timed run.

    Attributes:
        process_seconds: of the processor, processes that it started and that have ended included.
        counted: whether the medians are taken over it; not if it was disturbed and could be repeated.
        peak_bytes: most memory held beyond what was held before it; None where that was not, or cannot be, measured.
    """

    process_seconds: float
    wall_seconds: float
    counted: bool = True
    peak_bytes: int | None = None


@dataclass(frozen=True)
class Timing:
    """How one contender did; a quick case has no targets.

    Attributes:
        set_up_seconds: process time of building weights and data.
        first_call_seconds: process time of the first run, which is not counted: it may compile or fill caches; None
            where there was no such run.
        difference: largest absolute difference from the reference's result; None if it was not compared.
        samples: every run after the first, in order.
        median_seconds: median of the counted runs' process time, or wall time of a contender on the whole machine.
        ratio: ``median_seconds`` of one instance over that of the reference.
        disturbed: counted runs whose wall time was too long for their process time.
        memory: median peak memory of one instance in the report's unit; None where it was not measured.
    """

    name: str
    set_up_seconds: float
    first_call_seconds: float | None
    difference: float | None
    samples: list[Sample]
    median_seconds: float
    ratio: float
    largest_ratio: float | None
    disturbed: int
    instances: int = 1
    memory: float | None = None
    largest_memory: float | None = None
    whole_machine: bool = False
    largest_seconds: float | None = None


@dataclass(frozen=True)
class Outcome:
    """The ratio or exponent that was found for a target."""

    target: Target
    value: float

    @property
    def met(self) -> bool:
        """Whether the value is within the bounds."""
        return self.target.smallest <= self.value <= self.target.largest


@dataclass(frozen=True)
class Comparison:
    """The outcome of a report on one case, as its JSON has it.

    Attributes:
        report: its name on the command line.
        timings: of the contenders, the reference first.
        hardware: what it was measured on, as the contenders' processes saw it.
        outcomes: of the targets beside those against the reference; none in a quick case.
        left_out: contenders that could not take part, and why.
    """

    report: str
    title: str
    quick: bool
    case: dict[str, Any]
    tolerance: float
    timings: list[Timing]
    hardware: dict[str, Any] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)
    outcomes: list[Outcome] = field(default_factory=list)
    left_out: dict[str, str] = field(default_factory=dict)
    note: str = ""
