"""The choice that pilots make: from the records of short runs to the point that is trained in full."""

import dataclasses
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rnnbench.benchmark.config.experiment import Experiment
from rnnbench.leaderboard.metric import MetricInfo
from rnnbench.leaderboard.schema import Pilot, PilotPoint, Record
from rnnbench.leaderboard.statistics import point_rank, statistic

#: Numbers of an axis from which on its ends are edges: of two, one is always an end.
_LEAST_OF_AN_AXIS = 3


def pilots_of(experiment: Experiment) -> Experiment:
    """Return the short runs of an experiment with a ``pilot``: all points of its grid, without measures."""
    if experiment.pilot is None:
        raise ValueError(f"{experiment.name} has no pilot")
    config = experiment.config | {"training": experiment.pilot.shortened(experiment.config["training"])}
    return dataclasses.replace(
        experiment, config=config, published=None, measures=(), pilot=None, chosen=None, is_pilot=True
    )


def with_choice(experiment: Experiment, records: Sequence[Record]) -> Experiment:
    """Return an experiment with the point that did best in its pilots, all of which are given.

    The best is that of a sweep that is trained in full (``leaderboard.statistics``): fewest instances diverged, then
    the best mean validation value, then those of the other metrics in their order; of equal ones the first of the grid.
    So a row whose pilots are all at chance in accuracy goes on with the point of the least cross entropy.
    """
    assert experiment.pilot is not None  # noqa: S101
    # Not by the points that the records name: they may be of a grid of before.
    by_point = {point.id: point.values for point in pilots_of(experiment).points()}
    found = {key: [record for record in records if record.experiment_id == key] for key in by_point}
    points = list(by_point.values())
    chosen = by_point[min(found, key=lambda key: (*point_rank(found[key])[:2], *_others(found[key])))]
    tried = Pilot(
        **experiment.pilot.model_dump(),
        steps=records[0].steps,
        points=[_point(by_point[key], of_point) for key, of_point in found.items()],
        edges=edges(points, chosen),
    )
    return dataclasses.replace(experiment, chosen=chosen, tried=tried)


def _others(records: Sequence[Record]) -> Iterator[float]:
    """Return the mean validation value of each metric that does not rank, negated where more is better."""
    for metric in records[0].metrics[1:]:
        mean = _mean(records, metric)
        yield math.inf if mean is None else -mean if metric.direction == "max" else mean


def _point(values: Mapping[str, Any], records: Sequence[Record]) -> PilotPoint:
    diverged = sum(record.status != "finished" for record in records)
    return PilotPoint(values=dict(values), val=_mean(records, records[0].ranked), diverged=diverged)


def _mean(records: Sequence[Record], metric: MetricInfo) -> float | None:
    """Return the mean validation value of the instances that did not diverge; None if there is none."""
    found = statistic(record.scores.val.get(metric.name) for record in records if record.status == "finished")
    return found.mean if found else None


def edges(points: Sequence[Mapping[str, Any]], chosen: Mapping[str, Any]) -> list[str]:
    """Return the settings at whose edge a point lies, as ``leaderboard.schema.Pilot`` has them.

    >>> points = [{"optimizer": name, "rate": rate} for name in ("sgd", "adam") for rate in (0.1, 0.03, 0.01)]
    >>> edges(points, {"optimizer": "adam", "rate": 0.01}), edges(points, {"optimizer": "adam", "rate": 0.03})
    (['rate'], [])
    """
    words = {path for path, value in chosen.items() if not _is_number(value)}
    beside = [point for point in points if all(point[path] == chosen[path] for path in words)]
    found = []
    for path in chosen.keys() - words:
        values = {point[path] for point in beside if _is_number(point[path])}
        if len(values) >= _LEAST_OF_AN_AXIS and chosen[path] in (min(values), max(values)):
            found.append(path)
    return sorted(found)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
