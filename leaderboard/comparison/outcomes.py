"""The value that each instance of a cell enters comparisons with."""

from collections.abc import Sequence

from rnnbench.leaderboard.statistics import Cell

#: Larger values count as this one: their squares and differences would overflow.
LARGEST = 1e100


def outcomes(cells: Sequence[Cell]) -> list[dict[int, float]]:
    """Return, for each of the cells of one task, the test value of every instance by its number.

    It is the value of the ranked metric at the best validation value. A diverged instance counts as the worst: chance,
    or the worst value among these cells if that is worse still. An instance without a value is left out.
    """
    metric = cells[0].metric
    finished = [{record.instance: record.scores.test.get(metric.name) for record in cell.finished} for cell in cells]
    values = [{i: min(LARGEST, max(-LARGEST, v)) for i, v in row.items() if v is not None} for row in finished]
    measured = [metric.chance, *(value for row in values for value in row.values())]
    worst = max(measured) if metric.direction == "min" else min(measured)
    return [
        row | {record.instance: worst for record in cell.records if record.status == "diverged"}
        for cell, row in zip(cells, values, strict=True)
    ]
