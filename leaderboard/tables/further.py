"""The tables of a board beside its scores: best test values, metrics that do not rank, time and memory."""

from rnnbench.leaderboard.board import Board, Column
from rnnbench.leaderboard.statistics import Cell, statistic
from rnnbench.leaderboard.tables.cells import at_best, cell_rows, column_heading, scored_at, value_lines
from rnnbench.leaderboard.tables.markdown import LINE, NOTHING, Table, escape, milliseconds


def best_over_training(board: Board) -> Table:
    """Best test value over training, which some papers print; it selects on the test split."""
    return Table(
        "Best over training",
        "Best test value over training, as some papers print it: chosen on the test split itself and so optimistic. "
        "Mean ± standard deviation (instances).",
        ["network", *map(column_heading, board.columns)],
        cell_rows(
            board,
            board.columns,
            lambda c, cell: LINE.join(value_lines(cell, lambda record: record.best_test.get(c.metric.name), c.metric)),
        ),
    )


def other_metrics(board: Board) -> Table:
    """Metrics that do not rank, at the same step as the scores."""
    columns = [
        Column(column.task, metric, column.cells)
        for column in board.columns
        for metric in {m.name: m for cell in column.cells.values() for m in cell.first.metrics[1:]}.values()
    ]
    return Table(
        "Other metrics",
        f"{scored_at(board)}: mean ± standard deviation (instances).",
        ["network", *map(column_heading, columns)],
        cell_rows(board, columns, lambda c, cell: LINE.join(value_lines(cell, at_best(c.metric), c.metric))),
    )


def cost(board: Board) -> Table:
    """Wall time of an optimiser step and peak memory."""

    def text(_: Column, cell: Cell) -> str:
        seconds = statistic(record.seconds_per_step for record in cell.records)
        memory = max(record.peak_memory_bytes for record in cell.records) / 2**20
        return f"{milliseconds(seconds.mean) if seconds else NOTHING} ms{LINE}{memory:.0f} MiB"

    return Table(
        "Time and memory",
        "Milliseconds that an instance took for an optimiser step, its share where several were trained together (mean "
        "over instances), and largest peak memory in MiB. Machines did other work besides: small differences mean "
        "little.",
        ["network", *(escape(column.task) for column in board.columns)],
        cell_rows(board, board.columns, text),
    )
