"""The table of iterations to minimal performance."""

from collections.abc import Sequence

from rnnbench.leaderboard.board import Board, Column
from rnnbench.leaderboard.literature import ITERATIONS, find_published
from rnnbench.leaderboard.statistics import Cell, statistic
from rnnbench.leaderboard.tables.cells import cell_rows
from rnnbench.leaderboard.tables.markdown import LINE, NOTHING, Table, escape
from rnnbench.leaderboard.tables.notes import Notes


def iterations(board: Board, notes: Notes) -> Table:
    """Optimiser steps to minimal performance, on validation and, as the papers have it, on test."""

    def text(_: Column, cell: Cell) -> str:
        reached = [record.minimal_performance for record in cell.records if record.minimal_performance]
        if not reached:
            return NOTHING
        lines = [
            f"val {censored_mean([(mp.val_iterations, mp.val_censored) for mp in reached])}",
            f"test {censored_mean([(mp.test_iterations, mp.test_censored) for mp in reached])}",
        ]
        numbers = [number for number in find_published(cell.first.published) if number.metric == ITERATIONS]
        if numbers:
            lines.append(f"published {' / '.join(escape(n.value) + notes.mark(n) for n in numbers)}")
        return LINE.join(lines)

    columns = [c for c in board.columns if any(cell.first.minimal_performance for cell in c.cells.values())]
    return Table(
        "Iterations to minimal performance",
        "Optimiser steps until the threshold was first met, on the validation split (val) and, as the papers do, on "
        "the test split: mean ± standard deviation over all instances. `≥`: an instance never met it and counts with "
        "the steps of its whole training; `>`: none did.",
        ["network", *map(_threshold_heading, columns)],
        cell_rows(board, columns, text),
    )


def _threshold_heading(column: Column) -> str:
    thresholds = set()
    for cell in column.cells.values():
        reached = cell.first.minimal_performance
        if reached:
            metric = next(metric for metric in cell.first.metrics if metric.name == reached.metric)
            shown, sign = metric.display, "≤" if metric.direction == "min" else "≥"
            thresholds.add(f"{escape(shown.heading)} {sign} {shown.scale * reached.threshold:g}")
    return LINE.join([escape(column.task), *sorted(thresholds)])


def censored_mean(values: Sequence[tuple[int, bool]]) -> str:
    """Write the mean of iterations, with ``≥`` where some never reached the threshold, ``>`` where none did."""
    summary = statistic(value for value, _ in values)
    if summary is None:
        raise ValueError("values must hold at least one instance")
    censored = sum(never for _, never in values)
    if censored == summary.n:
        return f"> {summary.mean:.0f} ({summary.n})"
    deviation = "" if summary.sd is None else f" ± {summary.sd:.0f}"
    return f"{'≥ ' if censored else ''}{summary.mean:.0f}{deviation} ({summary.n})"
