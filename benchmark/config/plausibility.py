"""Whether a record can be what it says: what is checked of one that others sent in, beyond its schema."""

import functools
import re
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta, timezone
from typing import Any, Literal

from rnnbench.benchmark.config.experiment import Config, config_id, get_setting
from rnnbench.benchmark.config.plans import plan_of
from rnnbench.benchmark.config.suite import load_suite, suite_budgets, suite_files
from rnnbench.benchmark.errors import shown
from rnnbench.leaderboard.plan import PlannedCell
from rnnbench.leaderboard.record import summarise
from rnnbench.leaderboard.schema import Record, parse_time

#: Letters of any script, digits, and marks that mean nothing in markup, paths or formulas of spreadsheets.
_NAME = re.compile(r"[\w(][\w .,+=()\[\]*:^%~-]*")
#: Largest text within a record, in characters: some ten times the longest that a run writes.
_LONGEST_TEXT = 2_000


def not_to_merge(record: Record) -> Iterator[str]:
    """Yield why a record that may be true is not taken over from others, in one line each.

    Its names are not to be shown, it is unfinished, or it is not of the present version of a shipped suite.
    """
    names = {name: getattr(record, name) for name in ("suite", "task", "network")}
    names |= {f"metrics.{number}.name": metric.name for number, metric in enumerate(record.metrics)}
    for where, name in names.items():
        if not _NAME.fullmatch(name) or ".." in name:
            yield f"{where} must be of letters, digits, spaces and . , + = ( ) [ ] * : ^ % ~ - _, got {shown(name)}"
    if record.status == "interrupted":
        yield "status must be finished or diverged, got interrupted: run it again to finish it"
    if record.suite in suite_files():
        planned = _planned(record.suite, record.budget).get((record.task, record.network))
        if planned is None:
            where = f"suite {record.suite} has no {record.task}/{record.network} under budget {record.budget}"
            yield f"{where}: give a suite of your own another name"
        elif not planned.holds(record):
            today = f"those of suite {record.suite} as it is now: update rnnbench and run it again"
            yield f"settings, grid and pilots must be {today}"


def implausible(record: Record) -> Iterator[str]:
    """Yield what cannot be true of a record that its schema allows, in one line each."""
    if text := next((text for text in _texts(record.model_dump()) if len(text) > _LONGEST_TEXT), ""):
        yield f"texts must have at most {_LONGEST_TEXT} characters, got {len(text)}: {shown(text, 40)}"
    for name in ("parameters", "state_size"):
        if getattr(record, name) < 1:
            yield f"{name} must be at least 1, got {getattr(record, name)}"
    for metric in record.metrics:
        if metric.direction != ("max" if metric.best > metric.chance else "min"):
            towards = "must lead from its chance to its best value"
            yield f"direction of {shown(metric.name)} {towards}, got {metric.direction}"
    yield from _of_configuration(record)
    yield from _of_curve(record)
    yield from _of_times(record)


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield key
            yield from _texts(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _texts(inner)


def _of_configuration(record: Record) -> Iterator[str]:
    hashes = {"experiment_id": config_id(record.config), "family_id": config_id(record.config, tuple(record.grid))}
    for name, expected in hashes.items():
        if getattr(record, name) != expected:
            yield f"{name} must be the hash of its configuration, {expected}, got {shown(getattr(record, name))}"
    for path, value in record.point.items():
        if _setting(record.config, path) != value:
            yield f"point: {shown(path)} must be the configuration's {shown(_setting(record.config, path))}"


@functools.cache
def _planned(suite: str, budget: str) -> Mapping[tuple[str, str], PlannedCell]:
    """Return the cells of a shipped suite by task and network; none where it has no such budget."""
    return plan_of(load_suite(suite, budget)).cells if budget in suite_budgets(suite) else {}


def _setting(config: Config, path: str) -> Any:
    try:
        return get_setting(config, path)
    except (KeyError, TypeError):
        return None


def _of_curve(record: Record) -> Iterator[str]:
    last = record.curve[-1].step if record.curve else 0
    if last > record.steps or (not record.curve and record.steps and record.status == "finished"):
        yield f"the curve must end within the {record.steps} steps of the training, got {last}"
    training = record.config.get("training")
    minimal = record.minimal_performance
    interval = minimal.interval if minimal else 1
    at: Literal["best", "last"] = "last" if isinstance(training, dict) and training.get("test_at") == "last" else "best"
    found = summarise(record.curve, record.metrics, record.steps, interval, record.diverged_at, at)
    for name, value in found._asdict().items():
        if getattr(record, name) != value:
            yield f"{name} does not follow from the curve"


def _of_times(record: Record) -> Iterator[str]:
    started, finished = parse_time(record.started_at), parse_time(record.finished_at)
    if started > finished:
        yield f"finished_at must not lie before started_at, got {record.started_at} and {record.finished_at}"
    # A clock may be set to another zone.
    if finished > datetime.now(timezone.utc) + timedelta(days=1):
        yield f"finished_at must not lie in the future, got {record.finished_at}"
