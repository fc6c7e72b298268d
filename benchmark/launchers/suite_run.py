"""Running a suite: what is missing is planned, checked, trained by worker processes, and reported."""

from __future__ import annotations

import contextlib
import dataclasses
import fnmatch
import sys
from collections import deque
from typing import TYPE_CHECKING

from rnnbench.benchmark.config.options import RunOptions
from rnnbench.benchmark.config.suite import Suite, load_suite, suite_budgets
from rnnbench.benchmark.config.sweep import unswept_notes
from rnnbench.benchmark.errors import UserError
from rnnbench.benchmark.launchers.checks import Built, TimeIsUpError, check_plan
from rnnbench.benchmark.launchers.choice import check_patterns, plan_of, print_findings, wanted_instances
from rnnbench.benchmark.launchers.dry_run import KnownSizes, print_costs, print_jobs, steps_of
from rnnbench.benchmark.launchers.follow import after_pilots, prepare
from rnnbench.benchmark.launchers.plan import Plan, joined
from rnnbench.benchmark.launchers.shared import is_shared
from rnnbench.benchmark.launchers.status import print_scores
from rnnbench.benchmark.launchers.worker import exit_code
from rnnbench.benchmark.launchers.writable import check_writable
from rnnbench.benchmark.run.callbacks.wandb_table import send_table
from rnnbench.benchmark.run.job import Job
from rnnbench.leaderboard.plan import MOST_NAMED

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from rnnbench.datamodules.sequence_data_module import SequenceDataModule


def run_suite(suite: Suite, options: RunOptions) -> int:
    """Train what of a suite has no record yet: ``run_suite(load_suite("quick"), RunOptions())``.

    Returns:
        0 if every wanted record is there; 1 if a run failed; 2 if something that the user can fix stood in the way; 3
        if something is left to do that the same command may finish.

    Raises:
        UserError: an impossible setting or missing data, found before any training.

    >>> run_suite(load_suite("quick"), RunOptions(only=("LTSM",)))
    Traceback (most recent call last):
    rnnbench.benchmark.errors.UserError: --only LTSM matches nothing in suite quick: did you mean LSTM? ...
    """
    return run_suites((suite,), options)


def run_suites(suites: Sequence[Suite], options: RunOptions) -> int:
    """Train what of several suites has no record yet, all in one pool of processes.

    Returns:
        As ``run_suite``; 3 too where the time limit came first. What was being trained goes on from its checkpoint.

    Raises:
        UserError: a mistake in any of them, found before any training.
    """
    names = [suite.name for suite in suites]
    if twice := [name for name in dict.fromkeys(names) if names.count(name) > 1]:
        raise UserError(f"suite {twice[0]}: must be given once, got {names.count(twice[0])} suites of this name")
    check_patterns(suites, options.only)
    built = Built(options)
    if options.dry_run:
        return max(_print_plan(suite, options, built) for suite in suites)
    try:
        code = _run(suites, options, built)
    except TimeIsUpError:
        code = 0
    plans = {suite.name: plan_of(suite, options) for suite in suites}
    if not options.quiet:
        for suite in suites:
            print_scores(suite, plans[suite.name])
    if options.wandb != "off" and not built.is_late:
        for plan in plans.values():
            send_table(
                [record for records in plan.records.values() for record in records], options.runs_dir, options.wandb
            )
    left = {name: plan for name, plan in plans.items() if plan.finished < plan.wanted}
    if code == 0 and left:
        reason = "the time limit came first: " if built.is_late else ""
        counts = "; ".join(f"{f'{name}: ' if len(suites) > 1 else ''}{plan.counts}" for name, plan in left.items())
        print(f"{'note' if reason else 'error'}: {reason}{counts}: run the same command again", file=sys.stderr)
        return 3
    return code


def _run(suites: Sequence[Suite], options: RunOptions, built: Built) -> int:
    plans = {}
    for suite in suites:
        plan = plans[suite.name] = plan_of(suite, options, built.members_that_fit)
        print_findings(plan)
        if not options.quiet:
            print(f"{suite.name} ({suite.budget}): {plan.counts}", flush=True)
    whole = joined(plans.values())
    if whole.jobs:
        check_writable(options.runs_dir, f"--runs-dir {options.runs_dir}")
    modules = check_plan(whole, built, None)
    if not whole.jobs:
        prepare(whole, options.runs_dir)
        return 2 if whole.problems else 0
    by_name = {suite.name: suite for suite in suites}

    def after(job: Job) -> Plan | None:
        suite = by_name[job.experiment.suite]
        experiment = next(one for one in suite.experiments if one.name == job.experiment.name)
        return after_pilots(experiment, wanted_instances(suite, options), options, built.members_that_fit)

    return _train(whole, modules, options, built, after)


def _print_plan(suite: Suite, options: RunOptions, built: Built) -> int:
    plan = plan_of(suite, options, built.members_that_fit)
    print_findings(plan)
    print(f"{suite.name} ({suite.budget}): {plan.counts}", flush=True)
    if plan.jobs:
        sizes = KnownSizes()
        for note in unswept_notes(suite.experiments):
            print(f"note: {note}", file=sys.stderr)
        print_jobs(plan, check_plan(plan, built, sizes), sizes)
        print_costs({suite.budget: plan, **_other_plans(suite, options, built)}, options, sizes)
    return 2 if plan.problems else 0


def _other_plans(suite: Suite, options: RunOptions, built: Built) -> dict[str, Plan]:
    """Return the plans of the suite's other budgets, as far as the options choose anything of them."""
    others = [name for name in suite_budgets(suite.path) if name != suite.budget]
    plans = {}
    for other in (load_suite(suite.path, name) for name in others):
        known = {name for e in other.experiments for name in (e.name, e.task, e.network)}
        only = tuple(pattern for pattern in options.only if fnmatch.filter(known, pattern))
        if only or not options.only:
            plans[other.budget] = plan_of(other, dataclasses.replace(options, only=only), built.members_that_fit)
    return plans


def _train(
    plan: Plan,
    modules: Mapping[Job, SequenceDataModule],
    options: RunOptions,
    built: Built,
    after: Callable[[Job], Plan | None],
) -> int:
    from rnnbench.benchmark.launchers.progress import SuiteBar

    if options.launcher == "ray":
        from rnnbench.benchmark.launchers.ray.jobs import run_jobs
    elif is_shared(options.devices):
        from rnnbench.benchmark.launchers.shared import run_jobs
    else:
        from rnnbench.benchmark.launchers.local import run_jobs

    of_cells = {_cell(job): modules[job] for job in plan.jobs}
    later = [job for job in plan.later if _cell(job) in of_cells]
    steps, work = _sizes([*plan.jobs, *later], of_cells)
    # The longest first: a long run that starts last would keep one worker busy and the others idle.
    waiting = deque(sorted(plan.jobs, key=lambda job: -work[job]))
    trained = run_jobs(waiting, options, options.workers, lambda: bar.update(), built.deadline)
    # What refuses to train has done so by now: records are left where they are unless it begins.
    prepare(plan, options.runs_dir)
    kinds = {"refused"} if plan.problems else set()
    ended: dict[str, list[Job]] = {}
    with contextlib.closing(SuiteBar(work, steps, options.quiet)) as bar:
        for job, outcome in trained:
            alike = ended.setdefault(outcome.message, [])
            alike.append(job)
            is_new = outcome.message and len(alike) == 1
            text = f"error: {job.name}: {outcome.message}{outcome.log}" if is_new else ""
            bar.finish(job, text, trained=outcome.kind == "trained")
            kinds.add(outcome.kind)
            expected = [one for one in later if _cell(one) == _cell(job)]
            chosen = after(job) if expected and outcome.kind == "trained" else None
            if chosen is not None:
                steps, work = _sizes(chosen.jobs, of_cells)
                bar.replace(expected, work, steps)
                waiting.extendleft(chosen.jobs)
                later = [one for one in later if one not in expected]
    for first, *others in (jobs for message, jobs in ended.items() if message):
        if others:
            names = ", ".join(job.name for job in others[:MOST_NAMED]) + ", …" * (len(others) > MOST_NAMED)
            print(f"error: {len(others)} more ended by the same as {first.name}: {names}", file=sys.stderr)
    return exit_code(kinds)


def _cell(job: Job) -> tuple[str, str]:
    return job.experiment.suite, job.experiment.name


def _sizes(
    jobs: Iterable[Job], modules: Mapping[tuple[str, str], SequenceDataModule]
) -> tuple[dict[Job, int], dict[Job, float]]:
    """Return the optimiser steps and the work of runs, whose data modules are given by the suite and experiment."""
    # A run of no steps, which only measures, is work too.
    steps = {job: max(1, steps_of(job, modules[_cell(job)])) for job in jobs}
    work = {job: float(n * modules[_cell(job)].task.steps * len(job.members)) for job, n in steps.items()}
    return steps, work
