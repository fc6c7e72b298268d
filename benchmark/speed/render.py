"""A comparison as people read it."""

from __future__ import annotations

from benchmark.speed.contender import Comparison, Timing
from benchmark.speed.driver import LARGEST_WALL_RATIO, MOST_REPETITIONS


def render(comparison: Comparison) -> str:
    """Return a comparison as Markdown: what was done and where, a table, and warnings."""
    hardware, versions, timings = comparison.hardware, comparison.versions, comparison.timings
    case = ", ".join(f"{key} = {value}" for key, value in comparison.case.items())
    machine = f"{hardware['processor']} ({hardware['cores']} cores, {hardware['system']})"
    packages = ", ".join(f"{package} {versions[package]}" for package in ("torch", "python", "rnnbench"))
    counted = sum(sample.counted for sample in timings[0].samples)
    found = max(timing.difference for timing in timings)
    lines = [
        f"### {comparison.report}: {comparison.title}",
        "",
        f"- Case{' (quick: too small to judge by)' if comparison.quick else ''}: {case}",
        f"- Machine: {machine}; {packages}; threads of a contender: {hardware['threads']}",
        f"- Agreement: largest difference {found:.1e}, up to {comparison.tolerance:g} allowed",
        f"- Times: of the processor; each median over {counted} run{'s' if counted > 1 else ''}, contenders in turns",
        "",
        f"| contender | median, ms | ratio to {timings[0].name} | target | set-up, ms | first call, ms | difference |",
        "| --- | ---: | ---: | --- | ---: | ---: | ---: |",
        *map(_row, timings),
    ]
    lines += [f"\nWarning: {_warning(timing)}" for timing in timings if timing.disturbed]
    return "\n".join(lines)


def _row(timing: Timing) -> str:
    times = (timing.set_up_seconds, timing.first_call_seconds)
    set_up, first_call = (f"{1000 * seconds:.1f}" for seconds in times)
    return (
        f"| {timing.name} | {1000 * timing.median_seconds:.1f} | {timing.ratio:.3f} | {_target(timing)} "
        f"| {set_up} | {first_call} | {timing.difference:.1e} |"
    )


def _target(timing: Timing) -> str:
    if timing.largest_ratio is None:
        return ""
    return f"≤ {timing.largest_ratio:.3f}: {'met' if timing.ratio <= timing.largest_ratio else 'missed'}"


def _warning(timing: Timing) -> str:
    counted = sum(sample.counted for sample in timing.samples)
    return (
        f"{timing.disturbed} of {counted} runs of {timing.name} had to share the core each of {MOST_REPETITIONS + 1} "
        f"times (wall time above {LARGEST_WALL_RATIO} × process time): measure again on a quieter machine."
    )
