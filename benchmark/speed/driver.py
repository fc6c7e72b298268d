"""The driver: one process per contender, results compared first, then timed in turns."""

from __future__ import annotations

import contextlib
import dataclasses
import importlib.util
import json
import math
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from rnnbench.benchmark.errors import UserError
from rnnbench.benchmark.launchers.suite_run import WORKER_ENVIRONMENT
from rnnbench.benchmark.speed.contender import (
    Comparison,
    Contender,
    Outcome,
    Report,
    Result,
    Sample,
    Target,
    Timing,
    load_reports,
)
from rnnbench.leaderboard.side_file import read_arrays

#: A run on one thread whose wall time is longer than this many times its process time had to share its core.
LARGEST_WALL_RATIO = 1.1
#: How often a disturbed run is repeated before it is counted as it is, with a warning.
MOST_REPETITIONS = 3

Progress = Callable[[str], None]


def compare(
    name: str, module: str, repeats: int, quick: bool, progress: Progress, full: bool = False
) -> Iterator[Comparison]:
    """For each case of a report, check that its contenders agree, and time them in turns (A B C A B C).

    Args:
        name: of the report.
        module: where its ``REPORTS`` are.
        repeats: counted runs of each contender.
        quick: take the small cases.
        progress: is told what is being done.
        full: take the whole work where a case is a sample of it.

    Raises:
        UserError: a contender ended by itself, or the results differ by more than the report allows.
    """
    for index, report in enumerate(load_reports(module)):
        case = report.quick if quick else report.full if full and report.full is not None else report.case
        if case is not None:
            yield _compare(name, report, (module, str(index)), case, repeats, quick, progress)


def _compare(
    name: str, report: Report[Any], place: tuple[str, str], case: Any, repeats: int, quick: bool, progress: Progress
) -> Comparison:
    packages = {contender.name: contender.package for contender in report.contenders if contender.package is not None}
    left_out = {who: package for who, package in packages.items() if importlib.util.find_spec(package) is None}
    contenders = [contender for contender in report.contenders if contender.name not in left_out]
    fields = dataclasses.asdict(case)
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        peers: list[_Peer] = []
        for contender in contenders:
            progress(f"{name}: first run of {contender.name}")
            words = [*place, str(report.contenders.index(contender)), json.dumps(fields)]
            peer = _Peer(f"{name}: contender '{contender.name}'", words, Path(folder), report.memory_unit is not None)
            peers.append(stack.enter_context(peer))
        differences = _agreement(name, report, contenders, peers)
        samples: list[list[Sample]] = [[] for _ in peers]
        turns = 1 if report.once else repeats
        for turn in range(turns):
            progress(f"{name}: turn {turn + 1} of {turns}")
            for peer, taken in zip(peers, samples, strict=True):
                taken += [peer.run()] if report.once else take_sample(peer.run)
        served = [contender.instances_of(case) for contender in contenders]
        medians = [
            _median(taken, contender.whole_machine) for contender, taken in zip(contenders, samples, strict=True)
        ]
        reference = medians[0] / served[0]
        unit = None if report.memory_unit is None else report.memory_unit(case)
        timings = [
            Timing(
                name=contender.name,
                set_up_seconds=peer.ready["set_up_seconds"],
                first_call_seconds=peer.ready["first_call_seconds"],
                difference=difference,
                samples=taken,
                median_seconds=median,
                ratio=median / instances / reference,
                largest_ratio=None if quick else contender.largest_ratio,
                # On all cores, processes that wait for each other are no sign of others.
                disturbed=sum(
                    sample.counted and is_disturbed(sample) for sample in taken if not contender.whole_machine
                ),
                instances=instances,
                memory=None if unit is None else _median_memory(taken, unit * instances),
                largest_memory=None if quick else contender.largest_memory,
                whole_machine=contender.whole_machine,
            )
            for contender, peer, difference, taken, median, instances in zip(
                contenders, peers, differences, samples, medians, served, strict=True
            )
        ]
        hardware = peers[0].ready["hardware"]
        versions = {key: version for peer in peers for key, version in peer.ready["versions"].items()}
    outcomes = [] if quick else reach(report.targets, timings)
    return Comparison(
        name,
        f"{report.title} (a small case of it)" if quick else report.title,
        quick,
        fields,
        report.tolerance,
        timings,
        hardware,
        versions,
        outcomes,
        left_out,
        report.note,
    )


def reach(targets: Sequence[Target], timings: Sequence[Timing]) -> list[Outcome]:
    """Return how targets were done; those whose contenders or references were all left out are, too."""
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


class _Peer:
    """The process of one contender, which ends with its context."""

    def __init__(self, name: str, words: Sequence[str], folder: Path, measures_memory: bool) -> None:
        """Start the process (see ``benchmark.speed.peer``) and wait for its first run."""
        self._name = name
        self._result = folder / f"{words[2]}.npz"
        self._errors = folder / f"{words[2]}.err"
        one_thread = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
        # As in training, whoever is timed; where memory is measured, what is freed is to be seen.
        kept = {} if measures_memory else WORKER_ENVIRONMENT
        with self._errors.open("wb") as errors:
            self._process = subprocess.Popen(  # noqa: S603
                [sys.executable, "-m", "rnnbench.benchmark.speed.peer", str(os.getpid()), *words, str(self._result)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                encoding="utf-8",
                env={**kept, **os.environ, **one_thread},
            )
        try:
            self.ready = self._read()
        except BaseException:
            self._end()
            raise

    def __enter__(self) -> _Peer:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._end()

    def _end(self) -> None:
        self._process.kill()
        with contextlib.suppress(BrokenPipeError):
            self._process.communicate()

    def result(self) -> Result:
        """Return what the first run gave."""
        return read_arrays(self._result)

    def run(self) -> Sample:
        """Let the contender do its work once more."""
        assert self._process.stdin is not None  # noqa: S101
        # A process that has ended breaks the pipe; reading its answer then tells why.
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.write("run\n")
            self._process.stdin.flush()
        return Sample(**self._read())

    def _read(self) -> dict[str, Any]:
        assert self._process.stdout is not None  # noqa: S101
        line = self._process.stdout.readline()
        if not line:
            raise UserError(f"{self._name} {self._end_reason()}")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def _end_reason(self) -> str:
        code = self._process.wait()
        if code < 0:
            return f"was killed by signal {-code}, perhaps for want of memory"
        told = self._errors.read_text(encoding="utf-8", errors="replace").strip().splitlines()
        return f"ended with exit code {code}{f': {told[-1]}' if told else ''}"


def _agreement(
    name: str, report: Report[Any], contenders: Sequence[Contender[Any]], peers: Sequence[_Peer]
) -> list[float | None]:
    """Return each contender's largest difference from the reference; raise UserError if one is too large."""
    first = peers[0].result()
    differences = [
        largest_difference(peer.result(), first) if contender.compared else None
        for contender, peer in zip(contenders, peers, strict=True)
    ]
    wrong = [
        f"'{contender.name}' by {found:.2g}"
        for contender, found in zip(contenders, differences, strict=True)
        if found is not None and not found <= report.tolerance
    ]
    if wrong:
        reference = contenders[0].name
        raise UserError(
            f"{name}: contenders differ from '{reference}', up to {report.tolerance:g} is allowed: {', '.join(wrong)}; "
            "nothing was timed"
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
    """Run until one run was undisturbed, or ``MOST_REPETITIONS`` more times; one of the runs is counted.

    Returns:
        All runs in order. Counted is the undisturbed one or, without any, the one that was disturbed least.
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


def _median(samples: Sequence[Sample], by_the_clock: bool) -> float:
    return statistics.median(
        sample.wall_seconds if by_the_clock else sample.process_seconds for sample in samples if sample.counted
    )


def _median_memory(samples: Sequence[Sample], unit: float) -> float | None:
    peaks = [sample.peak_bytes for sample in samples if sample.counted and sample.peak_bytes is not None]
    return statistics.median(peaks) / unit if peaks else None
