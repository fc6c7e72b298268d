"""What the tables of a board share: rows of cells, headings, means of any value over the instances of a cell."""

from collections.abc import Callable, Sequence

from rnnbench.leaderboard.board import Board, Column
from rnnbench.leaderboard.metric import MetricInfo
from rnnbench.leaderboard.schema import Record
from rnnbench.leaderboard.statistics import Cell
from rnnbench.leaderboard.tables.markdown import LINE, NOTHING, escape, mean_and_sd

Value = Callable[[Record], float | None]


def cell_rows(board: Board, columns: Sequence[Column], text: Callable[[Column, Cell], str]) -> list[list[str]]:
    """Return a row for each network: its name, and the text of its cell in each column."""
    return [
        [escape(network), *(text(c, c.cells[network]) if network in c.cells else NOTHING for c in columns)]
        for network in board.networks
    ]


def at_best(metric: MetricInfo) -> Value:
    """Return what reads a record's score: the test value at its ``best_step``."""
    return lambda record: record.scores.test.get(metric.name)


def scored_at(board: Board) -> str:
    """Write which evaluation of the test split the scores of a board are.

    It is the last one where the recipe says ``test_at: last``.
    """
    last = [
        column.task
        for column in board.columns
        if any((cell.first.config.get("training") or {}).get("test_at") == "last" for cell in column.cells.values())
    ]
    if len(last) == len(board.columns):
        return "Test value of the last evaluation"
    best = "Test value at the best validation value of the ranked metric"
    return f"{best}; on {', '.join(map(escape, last))} of the last evaluation" if last else best


def column_heading(column: Column) -> str:
    """Return task and metric, for the head of a column."""
    return f"{escape(column.task)}{LINE}{escape(column.metric.heading)}"


def value_lines(cell: Cell, value: Value, metric: MetricInfo, bold: bool = False) -> list[str]:
    """Write mean, deviation and number of instances, and how many diverged, a line each."""
    summary = cell.over_finished(value)
    lines = [mean_and_sd(summary, metric.display, bold)] if summary else []
    if summary and (without := len(cell.finished) - summary.n):
        lines.append(f"no number {without}/{len(cell.records)}")
    if cell.diverged:
        lines.append(f"diverged {cell.diverged}/{len(cell.records)}")
    return lines or ["not measured"]
