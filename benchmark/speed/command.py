"""``rnnbench speed``: take reports, print them, and write them as JSON and as a figure."""

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from rnnbench.benchmark.errors import UserError
from rnnbench.benchmark.launchers.writable import check_writable
from rnnbench.benchmark.speed import NOT_OF_ALL, REPORTS
from rnnbench.benchmark.speed.contender import Comparison, Outcome, Timing
from rnnbench.benchmark.speed.driver import LARGEST_WALL_RATIO, compare
from rnnbench.leaderboard.drawing.speed_figure import read_comparisons, speed_figure
from rnnbench.leaderboard.files import write_atomically

_REPEATS = 5
_FIGURE = "ratios.svg"


def report_speed(
    chosen: str,
    repeats: int | None,
    quick: bool,
    json_file: Path | None,
    output: Path | None = None,
    full: bool = False,
) -> int:
    """Take one report, or ``all`` that need no GPU; the arguments are the options of the command line.

    Returns:
        0, or 2 where one of ``all`` reports failed, which keeps none of the others from being taken.

    Raises:
        UserError: contenders of the one report disagree, one of them ended by itself, the report cannot be taken here,
            ``json_file`` lies in no folder, or ``output`` is none or holds other files of JSON.
        OSError: a file cannot be written.
    """
    if quick and full:
        raise UserError("--quick and --full exclude each other; give one of them")
    _check_places(json_file, output)
    comparisons: list[Comparison] = []
    exit_code = 0
    for name in [name for name in REPORTS if name not in NOT_OF_ALL] if chosen == "all" else [chosen]:
        taken: list[Comparison] = []
        turns = repeats or (1 if quick else _REPEATS)
        try:
            for comparison in compare(name, REPORTS[name], turns, quick, _print_progress, full):
                print(render(comparison), end="\n\n", flush=True)
                taken.append(comparison)
        except UserError as error:
            if chosen != "all":
                raise UserError(f"{name}: {error}") from error
            _print_progress(f"error: {name}: {error}")
            exit_code = 2
            continue
        if output is not None:
            # At once: a later report may be interrupted.
            write_atomically(output / f"{name}.json", _as_json(taken))
            write_atomically(output / _FIGURE, speed_figure(read_comparisons(output)))
        comparisons += taken
    if json_file is not None:
        write_atomically(json_file, _as_json(comparisons))
    return exit_code


def _check_places(json_file: Path | None, output: Path | None) -> None:
    """Check that both can be written, and that the folder holds no other files of JSON."""
    if json_file is not None:
        if json_file.is_dir() or not json_file.parent.is_dir():
            raise UserError(f"--json {json_file} must be a file in a folder that exists")
        check_writable(json_file.parent, f"--json {json_file}")
    if output is None:
        return
    if output.exists() and not output.is_dir():
        raise UserError(f"--output {output} must be a folder, got a file")
    check_writable(output, f"--output {output}")
    try:
        read_comparisons(output)
    except ValueError as error:
        raise UserError(f"--output {output}: {error}; give another folder, or move the file away") from error


def _as_json(comparisons: Sequence[Comparison]) -> bytes:
    text = json.dumps([asdict(comparison) for comparison in comparisons], indent=1, allow_nan=False)
    return f"{text}\n".encode()


def _print_progress(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def render(comparison: Comparison) -> str:
    """Return a comparison as Markdown: what was done and where, a table, further targets, notes and warnings."""
    hardware, versions, timings = comparison.hardware, comparison.versions, comparison.timings
    case = ", ".join(f"{key} = {value}" for key, value in comparison.case.items())
    machine = f"{hardware['processor']} ({hardware['cores']} cores, {hardware['system']})"
    accelerator = hardware.get("accelerator", "cpu")
    machine += "" if accelerator == "cpu" else f", {accelerator}"
    named = [package for package in ("torch", "triton", "jax", "python", "rnnbench") if package in versions]
    packages = ", ".join(f"{package} {versions[package]}" for package in named)
    counted = sum(sample.counted for sample in timings[0].samples)
    found = max(timing.difference for timing in timings if timing.difference is not None)
    shared = ", for one instance" if any(timing.instances > 1 for timing in timings) else ""
    remembers = any(timing.memory is not None for timing in timings)
    memory_head, memory_rule = (" peak memory, units | target |", " ---: | --- |") if remembers else ("", "")
    clocked = [timing.name for timing in timings if timing.whole_machine]
    clock = f"the processor, but of the clock for {' and '.join(clocked)}, on all cores" if clocked else "the processor"
    clock = "the clock" if len(clocked) == len(timings) else clock
    lines = [
        f"### {comparison.report}: {comparison.title}",
        "",
        f"- Case{' (quick: too small to judge by)' if comparison.quick else ''}: {case}",
        f"- Machine: {machine}; {packages}; threads of a contender: {hardware['threads']}",
        f"- Agreement: largest difference {found:.1e}, up to {comparison.tolerance:g} allowed",
        f"- Times: of {clock}{shared}; each median over {counted} run{'s' if counted > 1 else ''}, contenders in turns",
        *([f"- {comparison.note}"] if comparison.note else []),
        "",
        f"| contender | median, ms | ratio to {timings[0].name} | target |{memory_head} set-up, ms | first call, ms "
        "| difference |",
        f"| --- | ---: | ---: | --- |{memory_rule} ---: | ---: | ---: |",
        *(_row(timing, remembers) for timing in timings),
    ]
    notes = [f"- {_outcome(outcome)}" for outcome in comparison.outcomes]
    notes += [
        f"- {timing.name}: {timing.median_seconds:.2f} s ({_target(timing.median_seconds, timing.largest_seconds)})"
        for timing in timings
        if timing.largest_seconds is not None
    ]
    notes += [f"- Left out: {name}: {reason}" for name, reason in comparison.left_out.items()]
    lines += ["", *notes] if notes else []
    for timing in timings:
        if timing.disturbed:
            runs = f"{timing.disturbed} of {sum(sample.counted for sample in timing.samples)} runs of {timing.name}"
            shared = f"had to share the core whenever tried (wall time above {LARGEST_WALL_RATIO} × process time)"
            lines.append(f"\nWarning: {runs} {shared}: measure again on a quieter machine.")
    return "\n".join(lines)


def _row(timing: Timing, remembers: bool) -> str:
    times = (timing.set_up_seconds, timing.first_call_seconds)
    set_up, first_call = ("none" if seconds is None else f"{1000 * seconds:.1f}" for seconds in times)
    median = f"{1000 * timing.median_seconds / timing.instances:.1f}"
    difference = "not compared" if timing.difference is None else f"{timing.difference:.1e}"
    held = "not measured" if timing.memory is None else f"{timing.memory:.2f}"
    memory = f" {held} | {_target(timing.memory, timing.largest_memory)} |" if remembers else ""
    return (
        f"| {timing.name} | {median} | {timing.ratio:.3f} | {_target(timing.ratio, timing.largest_ratio)} "
        f"|{memory} {set_up} | {first_call} | {difference} |"
    )


def _target(value: float | None, largest: float | None) -> str:
    if value is None or largest is None:
        return ""
    return f"≤ {largest:.3f}: {'met' if value <= largest else 'missed'}"


def _outcome(outcome: Outcome) -> str:
    target = outcome.target
    ours, theirs = (" or ".join(names) for names in (target.contenders, target.references))
    what = "Ratio" if target.factor is None else f"Exponent over a factor of {target.factor:g}"
    bounds = f"≤ {target.largest:.3f}" if not target.smallest else f"{target.smallest:g} to {target.largest:g}"
    return f"{what}, {ours} to {theirs}: {outcome.value:.3f} ({bounds}: {'met' if outcome.met else 'missed'})"
