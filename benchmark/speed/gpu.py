"""Forward and backward on a GPU: the Triton kernels beside what people would use, once all agree with float64.

``rnnbench speed gpu``, ``make speed-gpu`` or, where little more than torch and triton is installed,
``python -m benchmark.speed.gpu [--json FILE]``. Without a GPU ``--quick`` runs it at a tiny size, through Triton's
interpreter, to see that it works.
"""

from __future__ import annotations

import json
import os
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from rnnbench.benchmark.errors import UserError
from rnnbench.benchmark.speed.contender import Outcome, Target

#: Largest error against the float64 loop, as a multiple of the float32 loop's, and what rounding may add to it.
LARGEST_ERROR_RATIO, ROUNDING = 3.0, 5e-7
#: No contender starts after so many seconds: with the slowest of them the whole then ends within eight minutes.
LAST_START_SECONDS = 300.0
_WARM_UP, _REPEATS, _REPEATS_OF_SLOW, _SLOW_SECONDS = 3, 20, 5, 0.1
#: Steps that one run makes, one after the other as in training, where none waits for the device before the next begins.
_STEPS = 10

#: Does the work of a case once; whatever it computes stays on the device.
Work = Callable[[], object]


@dataclass(frozen=True)
class GpuTiming:
    """How one contender did.

    Attributes:
        name: of the contender.
        instances: that one run serves.
        first_call_seconds: building, the first run and what it compiles or captures.
        seconds: a step's in each counted run, on the device's clock.
        median_seconds: their median.
        failure: why it could not run; None if it did.
    """

    name: str
    instances: int
    first_call_seconds: float = 0.0
    seconds: list[float] = field(default_factory=list)
    median_seconds: float = float("inf")
    failure: str | None = None


@dataclass(frozen=True)
class GpuComparison:
    """What was measured of one case, as the JSON has it.

    Attributes:
        title: what was computed.
        case: the sizes.
        device: its name.
        versions: of the packages.
        error: largest error of the kernels against the float64 loop, relative to each tensor's largest value.
        loop_error: that of the float32 loop.
        timings: of the contenders.
        outcomes: of the targets; none of a quick case.
    """

    title: str
    case: dict[str, Any]
    device: str
    versions: dict[str, str]
    error: float
    loop_error: float
    timings: list[GpuTiming]
    outcomes: list[Outcome]


def report_gpu(quick: bool, json_file: Path | None) -> int:
    """Check that the kernels agree with float64, time them beside their peers, and print both.

    Args:
        quick: a tiny size; without a GPU through Triton's interpreter.
        json_file: where to write it as JSON; None for nowhere.

    Returns:
        0.

    Raises:
        UserError: there is no GPU or no triton, or the kernels are further from float64 than they may be.
    """
    import torch

    on_gpu = torch.cuda.is_available()
    if not on_gpu and quick:
        # Before triton is imported.
        os.environ["TRITON_INTERPRET"] = "1"
    from rnnbench.lit_models.scan.triton_choice import why_no_triton

    if not on_gpu and not quick:
        raise UserError(
            "speed gpu: there is no CUDA device; --quick tries the kernels through Triton's interpreter, at a tiny size"
        )
    reason = why_no_triton(on_gpu)
    if reason is not None:
        raise UserError(f"speed gpu: {reason}")
    if on_gpu and os.environ.get("TRITON_INTERPRET", "0") not in ("", "0"):
        raise UserError("speed gpu: TRITON_INTERPRET is set: kernels would be interpreted on the processor; unset it")
    from rnnbench.benchmark.speed.gpu_contenders import CASES

    started = time.monotonic()
    comparisons = []
    for case, targets in CASES:
        comparison = compare_on_device(case.quick() if quick else case, () if quick else targets, started)
        print(render_gpu(comparison), end="\n\n", flush=True)
        comparisons.append(comparison)
    if json_file is not None:
        # No helper of the leaderboard: it would ask for packages that the kernels do without.
        text = json.dumps([asdict(comparison) for comparison in comparisons], indent=1)
        json_file.write_text(f"{text}\n", encoding="utf-8")
    return 0


def compare_on_device(case: Any, targets: tuple[Target, ...], started: float) -> GpuComparison:
    """Compare and time the contenders of a ``GpuCase``.

    Args:
        case: the sizes.
        targets: bounds on ratios of times for one instance.
        started: when the whole report was, on the monotonic clock.

    Raises:
        UserError: the kernels are further from float64 than they may be.
    """
    import torch

    errors = case.errors()
    for name, (ours, single) in errors.items():
        if not ours <= LARGEST_ERROR_RATIO * single + ROUNDING:
            raise UserError(
                f"speed gpu: the kernels differ from the float64 loop by {ours:.2g} in {name}, and the float32 loop "
                f"only by {single:.2g}; nothing was timed"
            )
    error, loop_error = (max(each) for each in zip(*errors.values(), strict=True))
    timings: list[GpuTiming] = []
    works: list[Work | None] = []
    for name, instances, build in case.contenders():
        if time.monotonic() - started > LAST_START_SECONDS:
            timings.append(GpuTiming(name, instances, failure="no time left"))
            works.append(None)
            continue
        timing, work = _first_call(name, instances, build)
        timings.append(timing)
        works.append(work)
    repeats = 1 if case.is_quick else _REPEATS
    for turn in range(repeats):
        for timing, work in zip(timings, works, strict=True):
            slow = bool(timing.seconds) and timing.seconds[0] > _SLOW_SECONDS
            if work is not None and not (slow and turn >= _REPEATS_OF_SLOW):
                timing.seconds.append(_seconds_of(work, 1 if slow or case.is_quick else _STEPS))
    timings = [
        replace(timing, median_seconds=statistics.median(timing.seconds)) if timing.seconds else timing
        for timing in timings
    ]
    on_gpu = torch.cuda.is_available()
    device = torch.cuda.get_device_name() if on_gpu else "CPU, kernels interpreted"
    versions = {"python": sys.version.split()[0], "torch": torch.__version__, "triton": _triton_version()}
    outcomes = _reach(targets, timings)
    return GpuComparison(case.title, case.sizes(), device, versions, error, loop_error, timings, outcomes)


def _first_call(name: str, instances: int, build: Callable[[], Work]) -> tuple[GpuTiming, Work | None]:
    begin = time.monotonic()
    try:
        work = build()
        for _ in range(_WARM_UP):
            _seconds_of(work, 1)
    except Exception as error:
        # A compiler that is not there, or a capture that a version does not know, is the peer's fault: it is told.
        if name.startswith("rnnbench"):
            raise
        told = str(error).strip().splitlines() or [""]
        return GpuTiming(name, instances, failure=f"{type(error).__name__}: {told[0][:100]}"), None
    return GpuTiming(name, instances, time.monotonic() - begin), work


def _seconds_of(work: Work, steps: int) -> float:
    """Return the time of a step: on a GPU by its own clock, from an idle device to the end of all steps' work."""
    import torch

    if not torch.cuda.is_available():
        begin = time.perf_counter()
        for _ in range(steps):
            work()
        return (time.perf_counter() - begin) / steps
    start, end = torch.cuda.Event(True), torch.cuda.Event(True)  # type: ignore[no-untyped-call]
    torch.cuda.synchronize()
    start.record()
    for _ in range(steps):
        work()
    end.record()
    torch.cuda.synchronize()
    return float(start.elapsed_time(end)) / 1000 / steps


def _reach(targets: tuple[Target, ...], timings: list[GpuTiming]) -> list[Outcome]:
    seconds = {timing.name: timing.median_seconds / timing.instances for timing in timings if timing.failure is None}
    return [
        Outcome(target, seconds[target.contenders[0]] / seconds[target.references[0]])
        for target in targets
        if target.contenders[0] in seconds and target.references[0] in seconds
    ]


def render_gpu(comparison: GpuComparison) -> str:
    """Return a comparison as Markdown."""
    first = comparison.timings[0]
    versions = ", ".join(f"{name} {version}" for name, version in comparison.versions.items())
    lines = [
        f"### gpu: {comparison.title}",
        "",
        f"- Case: {', '.join(f'{key} = {value}' for key, value in comparison.case.items())}",
        f"- Device: {comparison.device}; {versions}",
        f"- Largest error against the float64 loop: kernels {comparison.error:.1e}, float32 loop "
        f"{comparison.loop_error:.1e}",
        f"- Times: of a step among {_STEPS} in a row, alone where one is slow or the case quick; medians of one run, "
        "contenders in turns",
        "",
        f"| contender | instances | median, ms | for one instance, ms | its ratio to {first.name} | first call, s |",
        "| --- | ---: | ---: | ---: | ---: | ---: |",
    ]
    for timing in comparison.timings:
        if timing.failure is not None:
            lines.append(f"| {timing.name} | {timing.instances} | not measured: {timing.failure} | | | |")
            continue
        alone = timing.median_seconds / timing.instances
        ratio = alone / (first.median_seconds / first.instances)
        lines.append(
            f"| {timing.name} | {timing.instances} | {1000 * timing.median_seconds:.3f} | {1000 * alone:.3f} "
            f"| {ratio:.4f} | {timing.first_call_seconds:.1f} |"
        )
    lines += ["", *(f"- {_told(outcome)}" for outcome in comparison.outcomes)] if comparison.outcomes else []
    return "\n".join(lines)


def _told(outcome: Outcome) -> str:
    target = outcome.target
    return (
        f"{target.contenders[0]} to {target.references[0]}, for one instance: {outcome.value:.4f} "
        f"(≤ {target.largest:.4f}: {'met' if outcome.met else 'missed'})"
    )


def _triton_version() -> str:
    import triton

    return str(triton.__version__)


if __name__ == "__main__":
    from rnnbench.benchmark.speed.apart import run_apart

    sys.exit(run_apart(report_gpu))
