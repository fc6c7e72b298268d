"""The driver: one process per contender, results compared first, then timed in turns."""

import contextlib
import dataclasses
import importlib.util
import math
import statistics
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from pkgutil import resolve_name
from typing import Any

import numpy as np

from rnnbench.benchmark.errors import UserError
from rnnbench.benchmark.speed.contender import Comparison, Outcome, Report, Result, Sample, Target, Timing
from rnnbench.benchmark.speed.process import ContenderProcess

#: A run on one thread whose wall time is longer than this many times its process time had to share its core.
LARGEST_WALL_RATIO = 1.1
#: How often a disturbed run is repeated before it is counted as it is, with a warning.
MOST_REPETITIONS = 3

Progress = Callable[[str], None]


def compare(
    name: str, place: str, repeats: int, quick: bool, progress: Progress, full: bool = False
) -> Iterator[Comparison]:
    """For each report at a place (``module:name``), check that contenders agree, and time them in turns (A B C A B C).

    ``repeats`` is the number of counted runs of each; ``progress`` receives a line for each first run and each turn.

    Raises:
        UserError: the work cannot be done here, a contender ended by itself, or the results differ by more than the
            report allows.
    """
    for index, report in enumerate(resolve_name(place)):
        case = report.quick if quick else report.full if full and report.full is not None else report.case
        if case is not None:
            yield _compare(name, report, (place, index), case, repeats, quick, progress)


def _compare(
    name: str, report: Report[Any], place: tuple[str, int], case: Any, repeats: int, quick: bool, progress: Progress
) -> Comparison:
    if report.check is not None:
        report.check(quick)
    fields = dataclasses.asdict(case)
    left_out: dict[str, str] = {}
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        processes: list[ContenderProcess] = []
        for index, contender in enumerate(report.contenders):
            if contender.package is not None and importlib.util.find_spec(contender.package) is None:
                left_out[contender.name] = f"needs {contender.package} (`pip install 'rnnbench[speed]'`)"
                continue
            progress(f"{name}: first run of {contender.name}")
            errors = Path(folder) / f"{index}.txt"
            try:
                process = ContenderProcess(contender, (*place, index, fields), errors, report.memory_unit is not None)
            except UserError as error:
                if not contender.optional:
                    raise
                left_out[contender.name] = str(error).removeprefix(f"contender '{contender.name}' ")
            else:
                stack.callback(process.end)
                processes.append(process)
        differences = _differences(report, processes)
        turns = 1 if report.once else repeats
        for turn in range(turns):
            progress(f"{name}: turn {turn + 1} of {turns}")
            for process in processes:
                process.samples += [process.run()] if report.once else take_sample(process.run)
        timings: list[Timing] = []
        for process, difference in zip(processes, differences, strict=True):
            timings.append(_timing(process, difference, report, case, timings))
        versions = {key: version for process in processes for key, version in process.ready["versions"].items()}
        hardware = processes[0].ready["hardware"]
    return Comparison(
        report=name,
        title=f"{report.title} (a small case of it)" if quick else report.title,
        quick=quick,
        case=fields,
        tolerance=report.tolerance,
        timings=timings,
        hardware=hardware,
        versions=versions,
        outcomes=[] if quick else evaluate_targets(report.targets, timings),
        left_out=left_out,
        note=report.note,
    )


def _timing(
    process: ContenderProcess, difference: float | None, report: Report[Any], case: Any, earlier: list[Timing]
) -> Timing:
    """Return how a contender did; the first of those ``earlier`` is the reference."""
    contender, counted = process.contender, [sample for sample in process.samples if sample.counted]
    by_clock, instances, quick = contender.whole_machine, contender.instances_of(case), case is report.quick
    seconds = statistics.median(sample.wall_seconds if by_clock else sample.process_seconds for sample in counted)
    peaks = [sample.peak_bytes for sample in counted if sample.peak_bytes is not None]
    return Timing(
        name=contender.name,
        set_up_seconds=process.ready["set_up_seconds"],
        first_call_seconds=process.ready["first_call_seconds"],
        difference=difference,
        samples=process.samples,
        median_seconds=seconds,
        ratio=seconds / instances / (earlier[0].median_seconds / earlier[0].instances) if earlier else 1.0,
        largest_ratio=None if quick else contender.largest_ratio,
        # On all cores, processes that wait for each other are no sign of others.
        disturbed=0 if by_clock else sum(map(is_disturbed, counted)),
        instances=instances,
        memory=statistics.median(peaks) / (report.memory_unit(case) * instances)
        if peaks and report.memory_unit
        else None,
        largest_memory=None if quick else contender.largest_memory,
        whole_machine=by_clock,
        largest_seconds=None if quick else contender.largest_seconds,
    )


def evaluate_targets(targets: Sequence[Target], timings: Sequence[Timing]) -> list[Outcome]:
    """Return what was found for targets, but for those whose contenders or references were all left out."""
    seconds = {timing.name: timing.median_seconds / timing.instances for timing in timings}
    outcomes = []
    for target in targets:
        ours = [seconds[name] for name in target.contenders if name in seconds]
        theirs = [seconds[name] for name in target.references if name in seconds]
        if ours and theirs:
            ratio = min(ours) / min(theirs)
            value = ratio if target.factor is None else math.log(ratio) / math.log(target.factor)
            outcomes.append(Outcome(target, value))
    return outcomes


def _differences(report: Report[Any], processes: Sequence[ContenderProcess]) -> list[float | None]:
    """Return each contender's largest difference from the reference; raise UserError if one is too large."""
    first = processes[0].result
    differences = [
        largest_difference(process.result, first) if process.contender.compared else None for process in processes
    ]
    wrong = [
        f"'{process.contender.name}' by {found:.2g}"
        for process, found in zip(processes, differences, strict=True)
        if found is not None and not found <= report.tolerance
    ]
    if wrong:
        raise UserError(
            f"contenders differ from '{processes[0].contender.name}' by more than {report.tolerance:g}: "
            f"{', '.join(wrong)}; nothing was timed"
        )
    return differences


def largest_difference(result: Result, reference: Result) -> float:
    """Return the largest absolute difference of two results; infinite where names, shapes or a NaN part them.

    >>> largest_difference({"x": np.array([1.0, -np.inf])}, {"x": np.array([1.5, -np.inf])})
    0.5
    >>> largest_difference({"x": np.array([np.nan])}, {"x": np.array([np.nan])})
    inf
    """
    if result.keys() != reference.keys() or any(result[key].shape != reference[key].shape for key in result):
        return np.inf
    largest = 0.0
    for key, values in result.items():
        expected = reference[key]
        # Equal infinities differ by nothing, though their difference is no number.
        unequal = values != expected
        differences = np.abs(values[unequal] - expected[unequal])
        largest = max(largest, float(np.nan_to_num(differences, nan=np.inf, posinf=np.inf).max(initial=0.0)))
    return largest


def take_sample(run: Callable[[], Sample]) -> list[Sample]:
    """Run until one run was undisturbed, or ``MOST_REPETITIONS`` more times; return all runs in order.

    Counted is the undisturbed one or, without any, the one that was disturbed least.
    """
    samples = [run()]
    while is_disturbed(samples[-1]) and len(samples) <= MOST_REPETITIONS:
        samples.append(run())
    best = min(samples, key=lambda sample: sample.wall_seconds / sample.process_seconds)
    return [dataclasses.replace(sample, counted=sample is best) for sample in samples]


def is_disturbed(sample: Sample) -> bool:
    """Say whether a run had to share its core.

    >>> is_disturbed(Sample(process_seconds=1.0, wall_seconds=1.05))
    False
    """
    return sample.wall_seconds > LARGEST_WALL_RATIO * sample.process_seconds
