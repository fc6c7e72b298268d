"""Published numbers in the table of scores: those beside our cells, and rows that have no record of ours."""

from collections.abc import Sequence

from rnnbench.leaderboard.board import Board, Column
from rnnbench.leaderboard.literature import ITERATIONS, PublishedNumber, find_published, scores_of
from rnnbench.leaderboard.metric import display
from rnnbench.leaderboard.statistics import Cell
from rnnbench.leaderboard.tables.markdown import NOTHING, escape
from rnnbench.leaderboard.tables.notes import Notes


def printed_beside(cell: Cell) -> list[PublishedNumber]:
    """Return the scores that the source of a cell printed for it."""
    return [number for number in find_published(cell.first.published) if number.metric != ITERATIONS]


def published_text(numbers: Sequence[PublishedNumber], column: Column, notes: Notes) -> str:
    """Write published numbers as printed, each with its metric where that is another, and how long it trained."""
    texts = []
    for number in numbers:
        metric = number.metric_name
        parts = [escape(display(metric).heading)] if metric != column.metric.name else []
        parts += [escape(number.trained)] if number.trained else []
        texts.append(escape(number.value) + (f" ({', '.join(parts)})" if parts else "") + notes.mark(number))
    return " / ".join(texts) or NOTHING


def published_only(board: Board) -> dict[str, list[list[PublishedNumber]]]:
    """Return, by model and column, what the same sources printed of these tasks and no record of ours has beside it."""
    named = [cell.first.published for cell in board.cells if cell.first.published]
    claimed = {number for published in named for number in find_published(published)}
    rows: dict[str, list[list[PublishedNumber]]] = {}
    for number in scores_of(sorted({published.source for published in named})):
        for index, column in enumerate(board.columns):
            if number not in claimed and number.task in _tasks(column):
                rows.setdefault(number.model, [[] for _ in board.columns])[index].append(number)
    return rows


def _tasks(column: Column) -> set[str]:
    """Return what the literature calls the task of a column."""
    return {column.task} | {n.task for cell in column.cells.values() for n in find_published(cell.first.published)}
