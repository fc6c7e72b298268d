"""Whether a record that others sent in is taken over: beyond what ``read_at`` refuses of any record."""

import functools
import re
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta, timezone

from rnnbench.benchmark.config.plans import plan_of
from rnnbench.benchmark.config.suite import load_suite, suite_budgets, suite_files
from rnnbench.benchmark.errors import shown
from rnnbench.leaderboard.plan import PlannedCell
from rnnbench.leaderboard.schema import Record, parse_time

#: Letters of any script, digits, and marks that mean nothing in markup, paths or formulas of spreadsheets.
_NAME = re.compile(r"[\w(][\w .,+=()\[\]*:^%~-]*")


def not_to_merge(record: Record) -> Iterator[str]:
    """Yield why a record that may be true is not taken over from others, in one line each.

    Its names are not to be shown, it is unfinished, of the future, or not of the present version of a shipped suite.
    """
    names = {name: getattr(record, name) for name in ("suite", "task", "network")}
    names |= {f"metrics.{number}.name": metric.name for number, metric in enumerate(record.metrics)}
    for where, name in names.items():
        if not _NAME.fullmatch(name) or ".." in name:
            yield f"{where} must be of letters, digits, spaces and . , + = ( ) [ ] * : ^ % ~ - _, got {shown(name)}"
    if record.status == "interrupted":
        yield "status must be finished or diverged, got interrupted: run it again to finish it"
    # A clock may be set to another zone. Of one's own records none is lost to a clock that was or is wrong.
    if parse_time(record.finished_at) > datetime.now(timezone.utc) + timedelta(days=1):
        yield f"finished_at must not lie in the future, got {record.finished_at}"
    if record.suite in suite_files():
        planned = _planned(record.suite, record.budget).get((record.task, record.network))
        if planned is None:
            where = f"suite {record.suite} has no {record.task}/{record.network} under budget {record.budget}"
            yield f"{where}: give a suite of your own another name"
        elif not planned.holds(record):
            today = f"those of suite {record.suite} as it is now: update rnnbench and run it again"
            yield f"settings, grid and pilots must be {today}"


@functools.cache
def _planned(suite: str, budget: str) -> Mapping[tuple[str, str], PlannedCell]:
    """Return the cells of a shipped suite by task and network; none where it has no such budget."""
    return plan_of(load_suite(suite, budget)).cells if budget in suite_budgets(suite) else {}
