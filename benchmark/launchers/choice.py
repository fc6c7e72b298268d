"""What of suites the options choose, and what there is of it."""

from __future__ import annotations

import fnmatch
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from rnnbench.benchmark.errors import UserError, nearest
from rnnbench.benchmark.launchers.plan import Plan, largest_ensemble, make_plan

if TYPE_CHECKING:
    from rnnbench.benchmark.config.experiment import Experiment
    from rnnbench.benchmark.config.options import RunOptions
    from rnnbench.benchmark.config.suite import Suite


def matching(suite: Suite, pattern: str) -> list[Experiment]:
    """Return the experiments of a suite whose task, network or ``task/network`` an ``--only`` pattern matches."""
    return [e for e in suite.experiments if fnmatch.filter((e.name, e.task, e.network), pattern)]


def check_patterns(suites: Sequence[Suite], only: Sequence[str]) -> None:
    """See that every ``--only`` pattern matches something in each suite.

    Raises:
        UserError: one does not; it says in which, and in which it does.
    """
    for pattern in only:
        there = [suite.name for suite in suites if matching(suite, pattern)]
        without = [suite for suite in suites if suite.name not in there]
        if without:
            names = ", ".join(suite.name for suite in without)
            known = sorted(
                {name for suite in without for e in suite.experiments for name in (e.name, e.task, e.network)}
            )
            remedy = nearest(pattern, known)
            if there:
                remedy = f"it does in {', '.join(there)}: give each its own command"
            raise UserError(f"--only {pattern} matches nothing in suite{'s' * (len(without) > 1)} {names}: {remedy}")


def plan_of(suite: Suite, options: RunOptions, largest: Callable[[Experiment], int] = largest_ensemble) -> Plan:
    """Return what is missing of the experiments and instances that the options choose.

    Raises:
        UserError: an ``--only`` pattern matches nothing.
    """
    check_patterns([suite], options.only)
    chosen = [experiment for pattern in options.only for experiment in matching(suite, pattern)]
    experiments = tuple(e for e in suite.experiments if e in chosen) if options.only else suite.experiments
    instances = wanted_instances(suite, options)
    return make_plan(experiments, instances, options.runs_dir, largest, suite.experiments, options.any_source)


def wanted_instances(suite: Suite, options: RunOptions) -> tuple[int, ...]:
    """Return the instances that the options choose, or as many as the suite has."""
    return options.instances if options.instances is not None else tuple(range(suite.instances))


def print_findings(plan: Plan) -> None:
    """Print what is damaged of what lies in the folder of runs, and what is passed over."""
    for problem in plan.problems:
        print(f"error: {problem}", file=sys.stderr)
    for note in plan.notes:
        print(f"note: {note}", file=sys.stderr)
