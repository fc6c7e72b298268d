"""The tables of a board, first of all its scores."""

import statistics
from collections.abc import Callable, Sequence

from rnnbench.leaderboard.board import Board, Column
from rnnbench.leaderboard.metric import MetricInfo
from rnnbench.leaderboard.statistics import Cell, statistic
from rnnbench.leaderboard.tables.best import best_networks
from rnnbench.leaderboard.tables.cells import at_best, column_heading, scored_at, value_lines
from rnnbench.leaderboard.tables.further import best_over_training, cost, other_metrics
from rnnbench.leaderboard.tables.iterations import iterations
from rnnbench.leaderboard.tables.lengths import lengths_solved
from rnnbench.leaderboard.tables.markdown import LINE, NOTHING, Table, count, escape, span
from rnnbench.leaderboard.tables.notes import Notes
from rnnbench.leaderboard.tables.printed import printed_beside, published_only, published_text
from rnnbench.leaderboard.tables.training import count_of_epochs, epochs, set_apart, training


def tables(board: Board, notes: Notes) -> list[Table]:
    """Return the tables of a board that have anything to show."""
    found = [table for table in (scores(board, notes), training(board), best_over_training(board)) if table]
    if any(len(cell.first.metrics) > 1 for cell in board.cells):
        found.append(other_metrics(board))
    if any(cell.first.minimal_performance for cell in board.cells):
        found.append(iterations(board, notes))
    if solved := lengths_solved(board):
        found.append(solved)
    return [*found, cost(board)]


def scores(board: Board, notes: Notes) -> Table:
    """Test values that the protocol chooses; published numbers in columns of their own; chance and best below."""
    others = published_only(board)
    has_published = [
        any(printed_beside(cell) for cell in column.cells.values())
        or any(numbers[index] for numbers in others.values())
        for index, column in enumerate(board.columns)
    ]

    def row(head: Sequence[str], texts: Sequence[str], published: Sequence[str] | None = None) -> list[str]:
        beside = published or [NOTHING] * len(texts)
        pairs = zip(texts, beside, has_published, strict=True)
        return [*head, *(text for first, second, both in pairs for text in ([first, second] if both else [first]))]

    def of_network(network: str) -> list[str]:
        cells = [column.cells.get(network) for column in board.columns]
        pairs = list(zip(board.columns, cells, strict=True))
        return row(
            [escape(network), *_sizes(board.row(network))],
            [_score(column, cell) if cell else NOTHING for column, cell in pairs],
            [published_text(printed_beside(cell), column, notes) if cell else NOTHING for column, cell in pairs],
        )

    apart = set().union(*map(set_apart, board.columns))
    rows = [of_network(network) for network in board.networks if network not in apart]
    for model, numbers in others.items():
        sizes = " / ".join(dict.fromkeys(escape(number.parameters) for of_task in numbers for number in of_task))
        published = [published_text(of_task, c, notes) for c, of_task in zip(board.columns, numbers, strict=True)]
        rows.append(row([f"{escape(model)} (published only)", sizes, NOTHING], [NOTHING] * len(numbers), published))
    rows.append(row(["*chance*", NOTHING, NOTHING], [_reference(c, lambda m: m.chance) for c in board.columns]))
    rows.append(row(["*best possible*", NOTHING, NOTHING], [_reference(c, lambda m: m.best) for c in board.columns]))
    if apart:
        rows.append(row(["*of other steps:*", NOTHING, NOTHING], [NOTHING] * len(board.columns)))
        rows += [of_network(network) for network in board.networks if network in apart]
    headings = [
        column_heading(column) + (f"{LINE}{_epochs(column)}" if both else "")
        for column, both in zip(board.columns, has_published, strict=True)
    ]
    caption = f"{scored_at(board)}: mean ± standard deviation (instances), and the best instance."
    if any(has_published):
        caption += " Published values have how long their source trained, where it states that."
    published = [f"{escape(column.task)}{LINE}published" for column in board.columns]
    return Table("Scores", caption, row(["network", "parameters", "state size"], headings, published), rows)


def _sizes(cells: Sequence[Cell]) -> list[str]:
    records = [cell.first for cell in cells]
    return [
        span((record.parameters, count(record.parameters)) for record in records),
        span((record.state_size, str(record.state_size)) for record in records),
    ]


def _score(column: Column, cell: Cell) -> str:
    best = cell.first.network in best_networks(column)
    return LINE.join([*value_lines(cell, at_best(column.metric), column.metric, best), *_spread(cell, column.metric)])


def _spread(cell: Cell, metric: MetricInfo) -> list[str]:
    """Write the best of several instances, and their median where it lies more than 0.4 deviations from the mean."""
    values = [v for v in (record.scores.test.get(metric.name) for record in cell.finished) if v is not None]
    summary = statistic(values)
    if not summary or not summary.sd:
        return []
    lines = [f"best {metric.display.text((min if metric.direction == 'min' else max)(values))}"]
    median = statistics.median(values)
    if abs(median - summary.mean) > 0.4 * summary.sd:
        lines.append(f"median {metric.display.text(median)}")
    return lines


def _epochs(column: Column) -> str:
    """Write for how many epochs the cells of a column were trained, the least and the most."""
    values = [value for value in map(epochs, column.cells.values()) if value is not None]
    return span((value, count_of_epochs(value)) for value in values) if values else "not evaluated"


def _reference(column: Column, value: Callable[[MetricInfo], float]) -> str:
    values = (value(cell.metric) for cell in column.cells.values())
    return span((value, column.metric.display.text(value)) for value in values)
