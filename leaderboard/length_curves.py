"""Scores over the length of test sequences, at the best validation value."""

from typing import NamedTuple

from rnnbench.leaderboard.board import Column
from rnnbench.leaderboard.index.packed import points_by_length
from rnnbench.leaderboard.schema import Record
from rnnbench.leaderboard.statistics import Cell, statistic


class OverLength(NamedTuple):
    """Mean, least and largest value of the finished instances, in the unit in which it is shown, by mean length."""

    lengths: list[float]
    mean: list[float]
    low: list[float]
    high: list[float]


def over_length(cell: Cell) -> OverLength | None:
    """Summarise the ranked metric over length; None where a cell has no such values."""
    found: dict[float, list[float]] = {}
    for record in cell.finished:
        for (low, high), value in by_length(record).items():
            found.setdefault((low + high) / 2, []).append(cell.metric.display.scale * value)
    rows = sorted(found.items())
    means = [summary.mean for summary in (statistic(values) for _, values in rows) if summary]
    lengths, values = [length for length, _ in rows], [row for _, row in rows]
    return OverLength(lengths, means, [min(row) for row in values], [max(row) for row in values]) if rows else None


def by_length(record: Record) -> dict[tuple[int, int], float]:
    """Return a record's ranked test metric at ``best_step`` by the shortest and the longest sequences of each bin."""
    point = next((point for point in points_by_length(record.curve) if point.step == record.best_step), None)
    found = {}
    for name, value in (point.by_length or {}).items() if point else ():
        low, _, high = name.partition("-")
        if value is not None:
            found[int(low), int(high)] = value
    return found


def longest_trained(column: Column) -> int | None:
    """Return the length of the longest training sequences of a column, where all its records agree in it."""
    found = {
        record.trained_lengths[1] for cell in column.cells.values() for record in cell.records if record.trained_lengths
    }
    return found.pop() if len(found) == 1 else None
