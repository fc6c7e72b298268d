"""From records to cells: statistics over instances, and which experiment of a cell is shown."""

import functools
import json
import math
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rnnbench.leaderboard.chance import ranked_metric
from rnnbench.leaderboard.metric import MetricInfo
from rnnbench.leaderboard.own_source import compared_source, scoring_change, source_change
from rnnbench.leaderboard.plan import Plans, pilot_of
from rnnbench.leaderboard.schema import OwnCode, Record, parse_time
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

    Where a suite's plan is known, only records that the suite would give as it is now are shown. Of several versions of
    a cell (configurations, grids and pilots, source of a user's own classes), the one that finished last is shown, and
    no other is averaged with it; neither is a cell shown beside others of its task that later source scored. Of the
    points of its sweep, the one with the best mean validation value of the ranked metric; a diverged instance counts as
    the worst, so that a point with diverged instances loses against one without.

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
        if plan and not (planned and planned.holds(record)):
            older[record.cell[:2]].append(record)
        elif record.status == "interrupted":
            problems.append(Problem(path_of(Path(), record), "interrupted", damaged=False))
        else:
            by_cell[record.cell].append(record)
    cells: list[Cell] = []
    for key in sorted(by_cell):
        source = compared_source(one for record in by_cell[key] for one in record.own_code)
        versions = list(_group(by_cell[key], functools.partial(_version, source=source)).values())
        shown = max(versions, key=lambda each: (max(parse_time(r.finished_at) for r in each), each[0].family_id))
        for other in versions:
            if other is not shown:
                reason = f"{_count(other)} {_superseded(other[0], shown[0])}"
                problems.append(Problem(path_of(Path(), other[0]).parent, reason, damaged=False))
        points = list(_group(shown, lambda record: record.experiment_id).values())
        chosen = min(points, key=point_rank)
        planned = plans[key[:2]].cells[key[2:]] if key[:2] in plans else None
        from_plan = (planned.reason, len(planned.ids)) if planned else ("", None)
        cells.append(Cell(tuple(sorted(chosen, key=lambda record: record.instance)), len(points), *from_plan))
    cells, otherwise = _scored_alike(cells)
    problems += otherwise
    for group in older.values():
        names = sorted({f"{record.task}/{record.network}" for record in group})
        reason = f"{_count(group)} of another version of the suite, not shown: {', '.join(names)}"
        problems.append(Problem(path_of(Path(), group[0]).parents[2], reason, damaged=False))
    return cells, problems


def _scored_alike(cells: Sequence[Cell]) -> tuple[list[Cell], list[Problem]]:
    """Return the cells scored by the source that scored the last to finish of their task, and what the others are."""
    kept, problems = [], []
    by_time = sorted(cells, key=lambda cell: parse_time(cell.first.finished_at))
    latest = {cell.first.cell[:3]: cell.first for cell in by_time}
    for cell in cells:
        change = scoring_change(cell.first, latest[cell.first.cell[:3]])
        if not change:
            kept.append(cell)
            continue
        reason = f"{_count(cell.records)} made by other source ({change}) than others on this task that finished later"
        problems.append(Problem(path_of(Path(), cell.first).parent, reason, damaged=False))
    return kept, problems


def _count(records: Sequence[Record]) -> str:
    return f"{len(records)} record{'s' if len(records) > 1 else ''}"


def _version(record: Record, source: Callable[[OwnCode], tuple[str, str]]) -> tuple[Hashable, ...]:
    """Return what the records of a cell must share to be averaged, or chosen from."""
    made_by = tuple(map(source, record.own_code))
    return record.family_id, json.dumps(record.grid, sort_keys=True), pilot_of(record), made_by


def _superseded(old: Record, new: Record) -> str:
    if old.family_id != new.family_id:
        return f"of family {old.family_id}: superseded by family {new.family_id}, which finished later"
    if old.own_code != new.own_code and (change := source_change(old.own_code, new.own_code)):
        return f"made by other source ({change}): superseded by what finished later"
    return "chosen from another grid or by other pilots: superseded by what finished later"


def _group(records: Sequence[Record], key: Callable[[Record], Hashable]) -> dict[Hashable, list[Record]]:
    groups: dict[Hashable, list[Record]] = defaultdict(list)
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
