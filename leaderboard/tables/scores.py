"""The tables of a board: scores, the papers' protocol, other metrics, iterations, time and memory."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from rnnbench.leaderboard.board import Board, Column
from rnnbench.leaderboard.literature import ITERATIONS, Literature, PublishedNumber
from rnnbench.leaderboard.record import MetricInfo, Record
from rnnbench.leaderboard.statistics import Cell, Statistic, statistic
from rnnbench.leaderboard.tables.markdown import LINE, NOTHING, Table, escape
from rnnbench.leaderboard.tables.notes import Notes
from rnnbench.leaderboard.tables.values import count, label, mean_and_sd, milliseconds, scale, score, span

_ARROWS = {"min": "↓", "max": "↑"}
Value = Callable[[Record], float | None]


def tables(board: Board, literature: Literature, notes: Notes) -> list[Table]:
    """Return the tables of a board that have anything to show."""
    found = [scores(board, literature, notes), protocol(board)]
    if any(len(cell.first.metrics) > 1 for cell in board.cells):
        found.append(other_metrics(board))
    if any(cell.first.minimal_performance for cell in board.cells):
        found.append(iterations(board, literature, notes))
    return [*found, cost(board)]


def scores(board: Board, literature: Literature, notes: Notes) -> Table:
    """Test value at the best validation value, with the published numbers beside and chance and best below."""
    bold = {column.task + column.metric.name: _best(column, _at_best(column.metric.name)) for column in board.columns}
    rows = []
    for network in board.networks:
        texts = []
        for column in board.columns:
            cell = column.cells.get(network)
            best = network in bold[column.task + column.metric.name]
            texts.append(_score_cell(cell, column, literature, notes, best) if cell else NOTHING)
        rows.append([escape(network), *_sizes(board.row(network)), *texts])
    rows += _published_only(board, literature, notes)
    for name, reference in (("*chance*", _chance), ("*best possible*", _best_possible)):
        rows.append([name, NOTHING, NOTHING, *(_reference(column, reference) for column in board.columns)])
    headings = [_heading(column.task, column.metric) for column in board.columns]
    return Table(
        "Scores",
        "Test value at the best validation value: mean ± standard deviation (instances). Best in bold.",
        ["network", "parameters", "state size", *headings],
        rows,
    )


def protocol(board: Board) -> Table:
    """Best test value over training: the papers' protocol, which selects on the test split."""
    rows = [
        [escape(network), *(_plain_cell(column, network, _best_test(column.metric.name)) for column in board.columns)]
        for network in board.networks
    ]
    return Table(
        "The papers' protocol",
        "Best test value over training, chosen on the test split itself and so optimistic: mean ± standard deviation "
        "(instances).",
        ["network", *(_heading(column.task, column.metric) for column in board.columns)],
        rows,
    )


def other_metrics(board: Board) -> Table:
    """Metrics that do not rank, at the same step as the scores."""
    shown = [
        (column, metric)
        for column in board.columns
        for metric in {m.name: m for cell in column.cells.values() for m in cell.first.metrics[1:]}.values()
    ]
    rows = [
        [escape(network), *(_plain_cell(column, network, _at_best(m.name), m.name) for column, m in shown)]
        for network in board.networks
    ]
    return Table(
        "Other metrics",
        "Test value at the best validation value of the ranked metric: mean ± standard deviation (instances).",
        ["network", *(_heading(column.task, metric) for column, metric in shown)],
        rows,
    )


def iterations(board: Board, literature: Literature, notes: Notes) -> Table:
    """Optimiser steps to minimal performance, on validation and, as the papers have it, on test."""
    columns = [c for c in board.columns if any(cell.first.minimal_performance for cell in c.cells.values())]
    rows = []
    for network in board.networks:
        texts = []
        for column in columns:
            cell = column.cells.get(network)
            texts.append(_iterations_cell(cell, literature, notes) if cell else NOTHING)
        rows.append([escape(network), *texts])
    return Table(
        "Iterations to minimal performance",
        "Optimiser steps until the threshold was first met, on the validation split (val) and, as the papers do, on "
        "the test split: mean ± standard deviation over all instances. `≥`: an instance never met it and counts with "
        "the steps of its whole training; `>`: none did.",
        ["network", *(_threshold_heading(column) for column in columns)],
        rows,
    )


def cost(board: Board) -> Table:
    """Wall time of an optimiser step and peak memory."""
    rows = []
    for network in board.networks:
        texts = []
        for column in board.columns:
            cell = column.cells.get(network)
            texts.append(_cost_cell(cell) if cell else NOTHING)
        rows.append([escape(network), *texts])
    return Table(
        "Time and memory",
        "Milliseconds that an instance took for an optimiser step, its share where several were trained together (mean "
        "over instances), and largest peak memory in MiB. Machines did other work besides: small differences mean "
        "little.",
        ["network", *(escape(column.task) for column in board.columns)],
        rows,
    )


def _at_best(metric: str) -> Value:
    return lambda record: record.scores.test.get(metric)


def _best_test(metric: str) -> Value:
    return lambda record: record.best_test.get(metric)


def _heading(task: str, metric: MetricInfo) -> str:
    return f"{escape(task)}{LINE}{escape(label(metric.name))} {_ARROWS[metric.direction]}"


def _sizes(cells: Sequence[Cell]) -> list[str]:
    records = [cell.first for cell in cells]
    return [
        span((record.parameters, count(record.parameters)) for record in records),
        span((record.state_size, str(record.state_size)) for record in records),
    ]


def _best(column: Column, value: Value) -> set[str]:
    """Return the networks that share the best mean as it is shown; one with diverged instances cannot be best."""
    means: dict[str, Statistic] = {}
    for network, cell in column.cells.items():
        summary = cell.over_finished(value)
        if summary and not cell.diverged:
            means[network] = summary
    if not means:
        return set()
    pick = min if column.metric.direction == "min" else max
    best = pick(summary.mean for summary in means.values())
    shown = score(best, column.metric.name)
    return {network for network, summary in means.items() if score(summary.mean, column.metric.name) == shown}


def _value_lines(cell: Cell, value: Value, metric: str, bold: bool = False) -> list[str]:
    summary = cell.over_finished(value)
    lines = [mean_and_sd(summary, metric, bold)] if summary else []
    if cell.diverged:
        lines.append(f"diverged {cell.diverged}/{len(cell.records)}")
    return lines or ["not measured"]


def _plain_cell(column: Column, network: str, value: Value, metric: str | None = None) -> str:
    cell = column.cells.get(network)
    return LINE.join(_value_lines(cell, value, metric or column.metric.name)) if cell else NOTHING


def _score_cell(cell: Cell, column: Column, literature: Literature, notes: Notes, bold: bool) -> str:
    lines = _value_lines(cell, _at_best(column.metric.name), column.metric.name, bold)
    numbers = [n for n in literature.find(cell.first.published) if n.metric != ITERATIONS]
    return LINE.join(lines + _published_lines(numbers, column, notes))


def _published_lines(numbers: Sequence[PublishedNumber], column: Column, notes: Notes) -> list[str]:
    texts = []
    for number in numbers:
        metric = "" if number.metric_name == column.metric.name else f" ({escape(label(number.metric_name))})"
        texts.append(f"{escape(number.value)}{metric}{notes.mark(number)}")
    return [f"published {' / '.join(texts)}"] if texts else []


def _published_only(board: Board, literature: Literature, notes: Notes) -> list[list[str]]:
    """Rows for what the same sources printed of these tasks and no record of ours stands beside."""
    named = [cell.first.published for cell in board.cells if cell.first.published]
    claimed = {number for published in named for number in literature.find(published)}
    rows: dict[str, list[list[PublishedNumber]]] = {}
    for number in literature.scores_of(sorted({published.source for published in named})):
        for index, column in enumerate(board.columns):
            if number not in claimed and number.task in _tasks(column, literature):
                rows.setdefault(number.model, [[] for _ in board.columns])[index].append(number)
    return [
        [
            f"{escape(model)} (published only)",
            " / ".join(dict.fromkeys(escape(number.parameters) for numbers in cells for number in numbers)),
            NOTHING,
            *(
                LINE.join(_published_lines(numbers, column, notes)) or NOTHING
                for column, numbers in zip(board.columns, cells, strict=True)
            ),
        ]
        for model, cells in rows.items()
    ]


def _tasks(column: Column, literature: Literature) -> set[str]:
    """Return what the literature calls the task of a column."""
    return {column.task} | {n.task for cell in column.cells.values() for n in literature.find(cell.first.published)}


def _chance(metric: MetricInfo) -> float:
    return metric.chance


def _best_possible(metric: MetricInfo) -> float:
    return metric.best


def _reference(column: Column, value: Callable[[MetricInfo], float]) -> str:
    name = column.metric.name
    values = (value(cell.metric) for cell in column.cells.values())
    return span((value, score(value, name)) for value in values)


def _threshold_heading(column: Column) -> str:
    thresholds = set()
    for cell in column.cells.values():
        reached = cell.first.minimal_performance
        if reached:
            metric = next(metric for metric in cell.first.metrics if metric.name == reached.metric)
            sign = "≤" if metric.direction == "min" else "≥"
            thresholds.add(f"{escape(label(metric.name))} {sign} {scale(metric.name) * reached.threshold:g}")
    return LINE.join([escape(column.task), *sorted(thresholds)])


def _iterations_cell(cell: Cell, literature: Literature, notes: Notes) -> str:
    reached = [record.minimal_performance for record in cell.records if record.minimal_performance]
    if not reached:
        return NOTHING
    lines = [
        f"val {_censored_mean([(mp.val_iterations, mp.val_censored) for mp in reached])}",
        f"test {_censored_mean([(mp.test_iterations, mp.test_censored) for mp in reached])}",
    ]
    numbers = [n for n in literature.find(cell.first.published) if n.metric == ITERATIONS]
    if numbers:
        lines.append(f"published {' / '.join(escape(n.value) + notes.mark(n) for n in numbers)}")
    return LINE.join(lines)


def _censored_mean(values: Sequence[tuple[int, bool]]) -> str:
    summary = statistic(value for value, _ in values)
    if summary is None:
        raise ValueError("values is empty: at least one instance is needed")
    censored = sum(never for _, never in values)
    if censored == summary.n:
        return f"> {summary.mean:.0f} ({summary.n})"
    deviation = "" if summary.sd is None else f" ± {summary.sd:.0f}"
    return f"{'≥ ' if censored else ''}{summary.mean:.0f}{deviation} ({summary.n})"


def _cost_cell(cell: Cell) -> str:
    seconds = statistic(record.seconds_per_step for record in cell.records)
    memory = max(record.peak_memory_bytes for record in cell.records) / 2**20
    return f"{milliseconds(seconds.mean) if seconds else NOTHING} ms{LINE}{memory:.0f} MiB"
