"""The shipped suites as the leaderboard needs them."""

from collections.abc import Container
from typing import cast

from rnnbench.benchmark.config.suite import Suite, load_suite, suite_budgets, suite_files
from rnnbench.leaderboard.plan import PlannedCell, Plans, SuitePlan
from rnnbench.leaderboard.schema import Budget


def plan_of(suite: Suite) -> SuitePlan:
    """Return what a suite asks for: its cells with the ids of all their points."""
    cells = {
        (e.task, e.network): PlannedCell(frozenset(point.id for point in e.points()), e.reason)
        for e in suite.experiments
    }
    return SuitePlan(suite.name, cast(Budget, suite.budget), suite.instances, cells, suite.title, suite.source)


def shipped_plans(names: Container[str] | None = None) -> Plans:
    """Return the plans of all shipped suites, or of some, under every budget, by both names; imports no torch."""
    chosen = [name for name in suite_files() if names is None or name in names]
    suites = (load_suite(name, budget) for name in chosen for budget in suite_budgets(name))
    return {(suite.name, suite.budget): plan_of(suite) for suite in suites}
