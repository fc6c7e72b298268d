"""The table of the lengths up to which networks solve a task."""

import statistics

from rnnbench.leaderboard.board import Board, Column
from rnnbench.leaderboard.length_curves import by_length
from rnnbench.leaderboard.statistics import Cell
from rnnbench.leaderboard.tables.cells import cell_rows
from rnnbench.leaderboard.tables.markdown import LINE, NOTHING, Table, escape

#: The accuracy at which a length counts as solved (Walker et al. 2025, section 5.1, of word problems).
_SOLVED = 0.9


def lengths_solved(board: Board) -> Table | None:
    """Longest sequences that each network solves; None where no accuracy is known by length."""

    def text(_: Column, cell: Cell) -> str:
        curves = [curve for record in cell.finished if (curve := by_length(record))]
        if not curves:
            return NOTHING
        shortest = min(low for curve in curves for low, _ in curve)
        found = sorted(_longest_solved(curve) for curve in curves)
        ends = statistics.median_low(found), found[-1]
        median, best = (str(length) if length else f"< {shortest}" for length in ends)
        return LINE.join([f"{median} ({len(found)})", *([f"best {best}"] if best != median else [])])

    columns = [column for column in board.columns if column.metric.name == "accuracy" and _has_lengths(column)]
    if not columns:
        return None
    return Table(
        "Lengths solved",
        f"Longest sequences up to which the test accuracy is at least {_SOLVED:.0%} at every length (of ranges of "
        "lengths, the end): median over finished instances (instances), and the best instance.",
        ["network", *(f"{escape(column.task)}{LINE}length ↑" for column in columns)],
        cell_rows(board, columns, text),
    )


def _has_lengths(column: Column) -> bool:
    return any(by_length(record) for cell in column.cells.values() for record in cell.finished)


def _longest_solved(curve: dict[tuple[int, int], float]) -> int:
    """Return the last of the shortest lengths that are solved without a gap; 0 if the first is not.

    >>> _longest_solved({(40, 52): 0.93, (3, 39): 1.0, (53, 60): 0.5, (61, 70): 0.95})
    52
    """
    longest = 0
    for (_, high), value in sorted(curve.items()):
        if value < _SOLVED:
            break
        longest = high
    return longest
