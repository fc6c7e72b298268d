"""From records to cells: statistics over instances, and which experiment of a cell is shown."""

import json
import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rnnbench.leaderboard.chance import ranked_metric
from rnnbench.leaderboard.metric import MetricInfo
from rnnbench.leaderboard.plan import Plans
from rnnbench.leaderboard.schema import Record, parse_time
from rnnbench.leaderboard.store import Problem, path_of


@dataclass(frozen=True)
class Statistic:
    """Mean, sample standard deviation (None for one value) and number of values."""

    mean: float
    sd: float | None
    n: int


def statistic(values: Iterable[float | None]) -> Statistic | None:
    """Summarise the values that are there; None if there is none.

    >>> statistic([1.0, None, 2.0, 3.0])
    Statistic(mean=2.0, sd=1.0, n=3)
    """
    present = [value for value in values if value is not None]
    n = len(present)
    if n == 0:
        return None
    # Divided before the sum and squared by hypot, so that a network that nearly diverged does not overflow.
    mean = math.fsum(value / n for value in present)
    sd = math.hypot(*(value - mean for value in present)) / math.sqrt(n - 1) if n > 1 else None
    return Statistic(mean, sd, n)


@dataclass(frozen=True)
class Cell:
    """What is shown for one network on one task: the instances of one experiment, by number.

    Attributes:
        records: the instances that finished or diverged.
        points: of how many points of the sweep there are records, trained in full; 1 without a sweep.
        reason: why it was trained otherwise than others of its board, in the suite's words; empty if it gives none.
        planned: how many points the suite's grid has; None where the suite is not known.
    """

    records: tuple[Record, ...]
    points: int
    reason: str = ""
    planned: int | None = None

    @property
    def first(self) -> Record:
        """Any instance, for what all of them share."""
        return self.records[0]

    @property
    def metric(self) -> MetricInfo:
        """The ranked metric."""
        return ranked_metric(self.first)

    @property
    def finished(self) -> tuple[Record, ...]:
        """The instances that did not diverge."""
        return tuple(record for record in self.records if record.status == "finished")

    @property
    def diverged(self) -> int:
        """How many instances diverged."""
        return len(self.records) - len(self.finished)

    @property
    def grid_size(self) -> int | None:
        """How many points there were to choose from; None where neither suite nor record says.

        The values of several settings do not say: the suite may list its points, fewer than all combinations.
        """
        if not self.first.grid:
            return 1
        if self.first.pilot:
            return len(self.first.pilot.points)
        if self.planned or len(self.first.grid) > 1:
            return self.planned
        return math.prod(len(values) for values in self.first.grid.values())

    def over_finished(self, value: Callable[[Record], float | None]) -> Statistic | None:
        """Summarise a value over the instances that did not diverge."""
        return statistic(value(record) for record in self.finished)


def select_cells(records: Sequence[Record], plans: Plans | None = None) -> tuple[list[Cell], list[Problem]]:
    """Choose what each cell (suite, budget, task, network) shows.

    Where a suite's plan is known, only records that the suite would give as it is now are shown. Of several
    configurations (families) in a cell, the one that finished last is shown. Of the points of its sweep, the one with
    the best mean validation value of the ranked metric; a diverged instance counts as the worst, so that a point with
    diverged instances loses against one without.

    Returns:
        The cells, and what found no place: interrupted and superseded records, and those of other versions of a suite.
    """
    plans = plans or {}
    older: dict[tuple[str, str], list[Record]] = defaultdict(list)
    by_cell: dict[tuple[str, str, str, str], list[Record]] = defaultdict(list)
    problems: list[Problem] = []
    for record in records:
        plan = plans.get(record.cell[:2])
        planned = plan.cells.get(record.cell[2:]) if plan else None
        # One trained without a grid was not chosen from it, though its settings are a point of today's.
        if plan and (
            planned is None or record.experiment_id not in planned.ids or len(planned.ids) > 1 > len(record.grid)
        ):
            older[record.cell[:2]].append(record)
        elif record.status == "interrupted":
            problems.append(Problem(path_of(Path(), record), "interrupted", damaged=False))
        else:
            by_cell[record.cell].append(record)
    cells: list[Cell] = []
    for key in sorted(by_cell):
        families = _group(by_cell[key], lambda record: record.family_id)
        shown = max(families, key=lambda family: (max(parse_time(r.finished_at) for r in families[family]), family))
        for family in sorted(families.keys() - {shown}):
            reason = (
                f"{_count(families[family])} of family {family}: superseded by family {shown}, which finished later"
            )
            problems.append(Problem(path_of(Path(), families[family][0]).parent, reason, damaged=False))
        points = list(_group(families[shown], lambda record: record.experiment_id).values())
        chosen = min(points, key=point_rank)
        planned = plans[key[:2]].cells[key[2:]] if key[:2] in plans else None
        from_plan = (planned.reason, len(planned.ids)) if planned else ("", None)
        cells.append(Cell(tuple(sorted(chosen, key=lambda record: record.instance)), len(points), *from_plan))
    for group in older.values():
        names = sorted({f"{record.task}/{record.network}" for record in group})
        reason = f"{_count(group)} of another version of the suite, not shown: {', '.join(names)}"
        problems.append(Problem(path_of(Path(), group[0]).parents[2], reason, damaged=False))
    return cells, problems


def _count(records: Sequence[Record]) -> str:
    return f"{len(records)} record{'s' if len(records) > 1 else ''}"


def _group(records: Sequence[Record], key: Callable[[Record], str]) -> dict[str, list[Record]]:
    groups: dict[str, list[Record]] = defaultdict(list)
    for record in records:
        groups[key(record)].append(record)
    return groups


def point_rank(point: Sequence[Record]) -> tuple[Any, ...]:
    """Return the key by which a sweep's points are sorted: fewest failures, then the best mean, then the setting."""
    metric = point[0].ranked
    values = [r.scores.val.get(metric.name) for r in point if r.status == "finished"]
    measured = statistic(values)
    failed = 1 - (measured.n if measured else 0) / len(point)
    mean = measured.mean if measured else math.inf
    signed = -mean if measured and metric.direction == "max" else mean
    return failed, signed, json.dumps(point[0].point, sort_keys=True), point[0].experiment_id
