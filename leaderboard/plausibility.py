"""Whether a record can be what it says, beyond its schema: what follows from its other parts must do so."""

import functools
import json
from collections.abc import Iterator
from typing import Any, Literal

from pydantic import BaseModel

from rnnbench.leaderboard.record import summarise
from rnnbench.leaderboard.schema import Record, parse_time
from rnnbench.leaderboard.settings import Config, config_id, get_setting
from rnnbench.leaderboard.text import printable

#: Largest text within a record, in characters: some ten times the longest that a run writes.
_LONGEST_TEXT = 2_000
#: What of a measure is a name, not a number: how the truncation's distances were taken, and the score it lost.
_NAMES = {"metric", "norm"}


def implausible(record: Record) -> Iterator[str]:
    """Yield what cannot be true of a record that its schema allows, in one line each."""
    if record.out_of_range:
        yield record.out_of_range
    # Of the curve, only names of metrics are text: its points are most of a record.
    names = {name for point in record.curve for name in (*point.val, *point.test)}
    if text := _long_text([*names, *(value for name, value in record if name != "curve")]):
        yield f"texts must have at most {_LONGEST_TEXT} characters, got {len(text)}: {_shown(text[:40])}"
    for name in ("parameters", "state_size"):
        if getattr(record, name) < 1:
            yield f"{name} must be at least 1, got {getattr(record, name)}"
    for metric in record.metrics:
        if metric.direction != ("max" if metric.best > metric.chance else "min"):
            towards = "must lead from its chance to its best value"
            yield f"direction of {_shown(metric.name)} {towards}, got {metric.direction}"
    yield from _of_configuration(record)
    yield from _of_curve(record)
    yield from _of_times(record)
    for measure, moments in record.measures.items():
        for name, value in (pair for taken in moments.values() for pair in taken.summary.items()):
            if isinstance(value, str) and name not in _NAMES:
                yield f"measures: {_shown(name)} of {_shown(measure)} must be a number, got {_shown(value)}"


def _long_text(left: list[Any]) -> str:
    """Return a text within nested values that is longer than any that a run writes; empty if there is none."""
    while left:
        value = left.pop()
        # Most of a record, looked at first.
        if type(value) is float or type(value) is int:
            continue
        if isinstance(value, str):
            if len(value) > _LONGEST_TEXT:
                return value
        elif isinstance(value, dict):
            left += (*value, *value.values())
        elif isinstance(value, (list, tuple)):
            left += value
        elif isinstance(value, BaseModel):
            left += value.__dict__.values()
    return ""


def _of_configuration(record: Record) -> Iterator[str]:
    config = json.dumps(record.config)
    for name, without in (("experiment_id", ()), ("family_id", tuple(record.grid))):
        if getattr(record, name) != (expected := _hash(config, without)):
            yield f"{name} must be the hash of its configuration, {expected}, got {_shown(getattr(record, name))}"
    for path, value in record.point.items():
        if _setting(record.config, path) != value:
            yield f"point: {_shown(path)} must be the configuration's {_shown(_setting(record.config, path))}"


@functools.lru_cache(1_000)
def _hash(config: str, without: tuple[str, ...]) -> str:
    """Return the hash of a configuration given as JSON, which all its instances share."""
    return config_id(json.loads(config), without)


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
    recipe: Config = training if isinstance(training, dict) else {}
    planned = record.stopped_at if record.stopped_at is not None else recipe.get("max_steps")
    if record.status == "finished" and record.curve and (last != record.steps or planned not in (None, last)):
        yield f"a finished training must have the steps of its recipe and end with its curve, got {record.steps} steps"
    minimal = record.minimal_performance
    interval = minimal.interval if minimal else 1
    at: Literal["best", "last"] = "last" if recipe.get("test_at") == "last" else "best"
    found = summarise(record.curve, record.metrics, record.steps, interval, record.diverged_at, at)
    for name, value in found._asdict().items():
        if getattr(record, name) != value:
            yield f"{name} does not follow from the curve"


def _of_times(record: Record) -> Iterator[str]:
    started, finished = parse_time(record.started_at), parse_time(record.finished_at)
    if started > finished:
        yield f"finished_at must not lie before started_at, got {record.started_at} and {record.finished_at}"


def _shown(value: Any) -> str:
    return printable(repr(value), 80)
