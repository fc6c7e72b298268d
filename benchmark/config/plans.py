"""The shipped suites as the leaderboard needs them."""

from collections.abc import Collection
from typing import cast

from rnnbench.benchmark.config.experiment import Experiment
from rnnbench.benchmark.config.suite import Suite, load_suite, suite_budgets, suite_files
from rnnbench.leaderboard.plan import PlannedCell, Plans, SuitePlan
from rnnbench.leaderboard.schema import Budget, plain


def plan_of(suite: Suite) -> SuitePlan:
    """Return what a suite asks for: its cells with the ids of all their points."""
    cells = {(e.task, e.network): planned_cell(e) for e in suite.experiments}
    return SuitePlan(suite.name, cast(Budget, suite.budget), suite.instances, cells, suite.title, suite.source)


def planned_cell(experiment: Experiment) -> PlannedCell:
    """Return what a suite asks for of one experiment."""
    ids = frozenset(point.id for point in experiment.points())
    pilot = (experiment.pilot.share, experiment.pilot.instances) if experiment.pilot else None
    return PlannedCell(ids, experiment.reason, plain(experiment.grid), pilot)


def shipped_plans(chosen: Collection[tuple[str, str]] | None = None) -> Plans:
    """Return the plans of all shipped suites under all budgets, or of some (suite, budget); imports no torch."""
    names = suite_files() if chosen is None else {name for name, _ in chosen}.intersection(suite_files())
    known = ((name, budget) for name in sorted(names) for budget in suite_budgets(name))
    suites = (load_suite(name, budget) for name, budget in known if chosen is None or (name, budget) in chosen)
    return {(suite.name, suite.budget): plan_of(suite) for suite in suites}
