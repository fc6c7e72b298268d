"""``rnnbench status``: how far suites are, their scores so far, and the hours that are left; imports no torch."""

import sys
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from rnnbench.benchmark.command.streams import encodable, print_table
from rnnbench.benchmark.config.options import RunOptions
from rnnbench.benchmark.config.suite import Suite, load_suite, suite_budgets, suite_files
from rnnbench.benchmark.launchers.choice import check_patterns, matching, plan_of, print_findings
from rnnbench.benchmark.launchers.dry_run import hours_text
from rnnbench.benchmark.launchers.plan import Plan
from rnnbench.benchmark.launchers.progress import reported
from rnnbench.benchmark.launchers.slurm.report import print_queue
from rnnbench.benchmark.launchers.stale import aside_lines
from rnnbench.benchmark.launchers.time_left import Left, Speeds
from rnnbench.benchmark.run.job import PILOTS, Job
from rnnbench.leaderboard.store import safe_name, uncollected
from rnnbench.leaderboard.tables.terminal import score_rows

_ABOUT_HOURS = (
    "Hours of one core (or GPU), without measures of dynamics, estimated from finished records; where there are none,\n"
    "from what --dry-run timed or, roughly, from similar records. rnnbench run SUITE --dry-run times what SUITE has."
)


def suites_status(suites: Sequence[Suite], options: RunOptions) -> int:
    """Print how far each experiment of suites is, scores so far, and what is left; return 2 if a file is damaged."""
    check_patterns(suites, options.only)
    plans = [plan_of(suite, options) for suite in suites]
    left = _left(plans, options)
    for suite, plan, hours in zip(suites, plans, left, strict=True):
        print_findings(plan)
        print(f"{suite.name} ({suite.budget}): {plan.counts}, {_text(hours)} core-hours left")
        _print_unfinished(plan)
        for line in aside_lines(options.runs_dir, Path(safe_name(suite.name), suite.budget)):
            print(f"  {line}")
        print_scores(suite, plan, best=True)
    print_queue(plans, options.runs_dir)
    if len(suites) > 1:
        _print_totals(suites, plans, left)
    if any(plan.runs for plan in plans):
        print(f"\n{_ABOUT_HOURS}")
    return 2 if any(plan.problems for plan in plans) else 0


@uncollected()
def all_status(options: RunOptions, budget: str | None) -> int:
    """Print a line for each shipped suite: what is there, what is left.

    Args:
        options: which experiments and instances, and the folder of runs.
        budget: of all suites that have it; with None ``cpu``, and others of which there are records or runs.
    """
    suites = [
        load_suite(path, known)
        for name, path in suite_files().items()
        for known in suite_budgets(path)
        if known == (budget or "cpu") or (budget is None and _is_begun(name, known, options))
    ]
    if options.only:
        chosen = [suite for suite in suites if any(matching(suite, pattern) for pattern in options.only)]
        # Where none matches anything, all are asked, so that the message names the nearest.
        suites = chosen or suites
    plans = []
    for suite in suites:
        only = tuple(pattern for pattern in options.only if matching(suite, pattern)) or options.only
        plans.append(plan_of(suite, replace(options, only=only)))
    for suite, plan in zip(suites, plans, strict=True):
        for problem in plan.problems:
            print(f"error: {problem}", file=sys.stderr)
        if plan.notes:
            print(
                f"note: {suite.name} ({suite.budget}): records are passed over: see status {suite.name}",
                file=sys.stderr,
            )
    _print_totals(suites, plans, _left(plans, options))
    print(f"\n{_ABOUT_HOURS}")
    return 2 if any(plan.problems for plan in plans) else 0


def print_scores(suite: Suite, plan: Plan, best: bool = False) -> None:
    """Print the scores of the wanted records that are there, aligned; nothing where there are none."""
    planned = [(e.task, e.network) for e in suite.experiments if e.name in plan.cells]
    rows = score_rows([record for records in plan.records.values() for record in records], planned, best)
    if rows:
        what = "scores in test, mean ± sd (instances)"
        print(f"\n{suite.name} ({suite.budget}): {encodable(what)}")
        print_table(rows)


def _is_begun(name: str, budget: str, options: RunOptions) -> bool:
    roots = (options.runs_dir, options.runs_dir / PILOTS)
    return any((root / safe_name(name) / budget).is_dir() for root in roots)


def _left(plans: Sequence[Plan], options: RunOptions) -> list[Left]:
    kept = (records for plan in plans for known in (plan.records, plan.piloted) for records in known.values())
    speeds = Speeds((record for records in kept for record in records), options.runs_dir)
    return [speeds.left(plan) for plan in plans]


def _print_unfinished(plan: Plan) -> None:
    by_name: dict[str, list[Job]] = defaultdict(list)
    for job in plan.jobs:
        by_name[job.experiment.name].append(job)
    for name, (finished, wanted) in plan.cells.items():
        if jobs := by_name[name]:
            left = "; ".join(f"{len(job.members)} {_how_far(job)}" for job in jobs)
            tried = plan.pilots.get(name, (0, 0))
            pilots = f"{tried[0]} of {tried[1]} pilots, " if tried[0] < tried[1] else ""
            print(f"  {name}: {pilots}{finished} of {wanted} finished; {left}")


def _how_far(job: Job) -> str:
    if not job.checkpoint.exists():
        return "not begun"
    steps, score = reported(job)
    return f"interrupted or running, {steps} steps done{f', validation {score}' if score else ''}"


def _print_totals(suites: Sequence[Suite], plans: Sequence[Plan], left: Sequence[Left]) -> None:
    rows = [["suite", "budget", "records", "pilots", "core-hours left"]]
    for suite, plan, hours in zip(suites, plans, left, strict=True):
        rows.append([suite.name, suite.budget, *_counts([plan]), _text(hours)])
    total = Left(sum(each.hours for each in left), sum(each.unknown for each in left))
    print_table([*rows, ["total", "", *_counts(plans), _text(total)]], text_columns=2)


def _counts(plans: Sequence[Plan]) -> list[str]:
    found, wanted = sum(plan.finished for plan in plans), sum(plan.wanted for plan in plans)
    pilots: list[Mapping[str, tuple[int, int]]] = [plan.pilots for plan in plans]
    tried, to_try = (sum(counts[i] for each in pilots for counts in each.values()) for i in (0, 1))
    return [f"{found:,} of {wanted:,}", f"{tried:,} of {to_try:,}" if to_try else ""]


def _text(left: Left) -> str:
    if not left.unknown:
        return hours_text(left.hours)
    return f"over {hours_text(left.hours)}" if left.hours else "unknown"
