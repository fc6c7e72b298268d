"""Two networks compared on every board that has both, from records alone."""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from rnnbench.leaderboard.board import Board
from rnnbench.leaderboard.claims.intervals import Interval, mean_interval
from rnnbench.leaderboard.comparison.outcomes import outcomes
from rnnbench.leaderboard.comparison.paired import LEVEL, FlipTest, holm, paired_p, seeds_needed, sign_flip
from rnnbench.leaderboard.metric import MetricInfo
from rnnbench.leaderboard.own_source import scoring_change
from rnnbench.leaderboard.schema import Budget
from rnnbench.leaderboard.statistics import Cell

#: What a reader must know of an interval that reached beyond what is possible.
CUT = "interval cut at the range of the metric"


@dataclass(frozen=True)
class TaskComparison:
    """Two networks, A and B, on one task.

    Attributes:
        metric: the ranked one.
        means: of A and of B over the paired instances.
        differences: A - B of each pair: of instances of one number.
        interval: mean difference with its 95 % t interval, cut at the metric's range, by itself: not widened for the
            number of comparisons.
        p: of the paired t test (`paired.paired_p`); None of one pair.
        adjusted: ``p`` by Holm's procedure over all tests of a comparison.
        needed: pairs that would tell this difference (`paired.seeds_needed`) at the level that the first step of Holm's
            procedure asks for; None where the pairs tell it already, there is no spread to say, or no difference.
        notes: what a reader must know besides.
    """

    task: str
    metric: MetricInfo
    means: tuple[float, float]
    differences: tuple[float, ...]
    interval: Interval
    p: float | None
    adjusted: float | None = None
    needed: float | None = None
    notes: tuple[str, ...] = ()

    @property
    def n(self) -> int:
        """How many pairs there are."""
        return len(self.differences)

    @property
    def better(self) -> int | None:
        """0 if A is better, 1 if B is, None if the pairs cannot tell."""
        if self.adjusted is None or self.adjusted >= LEVEL:
            return None
        return 0 if self.metric.better(self.interval.value, 0.0) else 1


@dataclass(frozen=True)
class BoardComparison:
    """Two networks on the tasks of one board.

    Attributes:
        flips: the sign-flip test over all tasks, positive where A is better; None of fewer than two tasks.
        adjusted: its p value by Holm's procedure over all tests of a comparison.
    """

    suite: str
    budget: Budget
    tasks: tuple[TaskComparison, ...]
    flips: FlipTest | None
    adjusted: float | None = None

    @property
    def better(self) -> int | None:
        """0 if A is better over all tasks, 1 if B is, None if that is undecided."""
        if self.flips is None or self.adjusted is None or self.adjusted >= LEVEL:
            return None
        return 0 if self.flips.mean > 0 else 1


@dataclass(frozen=True)
class Comparison:
    """Two networks on all boards that have both, and why they were not compared on some tasks of these."""

    names: tuple[str, str]
    boards: tuple[BoardComparison, ...]
    skipped: tuple[str, ...]


def compare_networks(boards: Iterable[Board], first: str, second: str) -> Comparison:
    """Compare two networks, task by task and over tasks, on every board that has both.

    Instances of one number are paired, others do not count; neither do those without a value. A diverged instance
    counts as the worst (`outcomes.outcomes`). Budgets and suites are never mixed. All tests together, within tasks and
    over tasks, find a difference between networks that do not differ in at most 5 % of cases.
    """
    found: list[BoardComparison] = []
    skipped: list[str] = []
    for board in boards:
        rows = [{cell.first.task: cell for cell in board.row(name)} for name in (first, second)]
        if not all(rows):
            continue
        tasks: list[TaskComparison] = []
        for name in dict.fromkeys(column.task for column in board.columns):
            cells = [row[name] for row in rows if name in row]
            if len(cells) == 2:
                reason = why_not(*cells)
                task = None if reason else _compare(cells)
                tasks += [task] if task else []
                reason = reason or ("" if task else "no instance of one network has the number of one of the other")
            else:
                reason = f"no record of {second if name in rows[0] else first}" if cells else ""
            skipped += [f"{board.suite}, {board.budget}, {name}: {reason}"] * bool(reason)
        if tasks:
            gains = [[d if task.metric.direction == "max" else -d for d in task.differences] for task in tasks]
            flips = sign_flip(gains) if len(tasks) > 1 else None
            found.append(BoardComparison(board.suite, board.budget, tuple(tasks), flips))
    return Comparison((first, second), tuple(_adjusted(found)), tuple(skipped))


def why_not(one: Cell, other: Cell) -> str:
    """Return why two cells of one task cannot be compared; empty if they can."""
    first, second = one.first, other.first
    if (one.metric.name, one.metric.direction) != (other.metric.name, other.metric.direction):
        return f"ranked by {one.metric.heading} and by {other.metric.heading}"
    if first.config.get("task") != second.config.get("task"):
        return "measured on different versions of the task"
    if first.data_fingerprint != second.data_fingerprint:
        return f"measured on different data, {first.data_fingerprint} and {second.data_fingerprint}"
    if change := scoring_change(first, second):
        return f"made by different source of your own code ({change})"
    if not all(outcomes([cell])[0] for cell in (one, other)):
        return "nothing trained, or no value measured"
    return ""


def notes_of(cells: Sequence[Cell]) -> Iterator[str]:
    """Yield what a reader must know of cells that are compared."""
    for cell in cells:
        if cell.diverged:
            yield f"{cell.first.network} diverged {cell.diverged}/{len(cell.records)}, counted as the worst"
    lengths = [max(record.steps for record in cell.records) for cell in cells]
    if lengths[0] != lengths[1]:
        yield f"trained for {lengths[0]} and {lengths[1]} steps"


def _compare(cells: Sequence[Cell]) -> TaskComparison | None:
    one, other = outcomes(cells)
    common = sorted(one.keys() & other.keys())
    if not common:
        return None
    unpaired = len(one.keys() ^ other.keys())
    notes = [*notes_of(cells), *[f"{unpaired} without a partner left out"] * bool(unpaired)]
    differences = tuple(one[i] - other[i] for i in common)
    means = tuple(math.fsum(row[i] for i in common) / len(common) for row in (one, other))
    metric, interval = cells[0].metric, mean_interval(differences)
    possible = interval.within(metric.difference_range)
    notes += [CUT] * (possible != interval)
    return TaskComparison(
        cells[0].first.task,
        metric,
        (means[0], means[1]),
        differences,
        possible,
        paired_p(differences),
        notes=tuple(notes),
    )


def _adjusted(boards: Sequence[BoardComparison]) -> Iterator[BoardComparison]:
    """Yield boards with p values adjusted over all of them, and with the seeds needed where those are too large."""
    p_values = [p for board in boards for p in (*(task.p for task in board.tasks), board.flips and board.flips.p)]
    tests = [p for p in p_values if p is not None]
    corrected = iter(holm(tests))
    for board in boards:
        tasks = []
        for task in board.tasks:
            if task.p is None:
                tasks.append(task)
                continue
            adjusted = replace(task, adjusted=next(corrected))
            needed = seeds_needed(task.differences, LEVEL / len(tests)) if adjusted.better is None else None
            tasks.append(replace(adjusted, needed=needed))
        yield replace(board, tasks=tuple(tasks), adjusted=next(corrected) if board.flips else None)
