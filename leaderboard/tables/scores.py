"""The tables of a board: scores, the papers' protocol, other metrics, iterations, time and memory."""

import statistics
from collections.abc import Callable, Sequence

from rnnbench.leaderboard.board import Board, Column
from rnnbench.leaderboard.claims.intervals import mean_interval
from rnnbench.leaderboard.literature import ITERATIONS, PublishedNumber, find_published, scores_of
from rnnbench.leaderboard.metric import MetricInfo, display
from rnnbench.leaderboard.schema import Record
from rnnbench.leaderboard.statistics import Cell, statistic
from rnnbench.leaderboard.tables.markdown import LINE, NOTHING, Table, count, escape, mean_and_sd, milliseconds, span
from rnnbench.leaderboard.tables.notes import Notes
from rnnbench.leaderboard.tables.training import count_of_epochs, epochs, set_apart, training

Value = Callable[[Record], float | None]


def tables(board: Board, notes: Notes) -> list[Table]:
    """Return the tables of a board that have anything to show."""
    found = [table for table in (scores(board, notes), training(board), protocol(board)) if table]
    if any(len(cell.first.metrics) > 1 for cell in board.cells):
        found.append(other_metrics(board))
    if any(cell.first.minimal_performance for cell in board.cells):
        found.append(iterations(board, notes))
    return [*found, cost(board)]


def scores(board: Board, notes: Notes) -> Table:
    """Test value at the best validation value; published numbers in columns of their own; chance and best below."""
    others = _published_only(board)
    has_published = [
        any(_scores_of(cell) for cell in column.cells.values()) or any(numbers[index] for numbers in others.values())
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
            [_published(_scores_of(cell), column, notes) if cell else NOTHING for column, cell in pairs],
        )

    apart = set().union(*map(set_apart, board.columns))
    rows = [of_network(network) for network in board.networks if network not in apart]
    for model, numbers in others.items():
        sizes = " / ".join(dict.fromkeys(escape(number.parameters) for of_task in numbers for number in of_task))
        published = [_published(of_task, c, notes) for c, of_task in zip(board.columns, numbers, strict=True)]
        rows.append(row([f"{escape(model)} (published only)", sizes, NOTHING], [NOTHING] * len(numbers), published))
    rows.append(row(["*chance*", NOTHING, NOTHING], [_reference(c, lambda m: m.chance) for c in board.columns]))
    rows.append(row(["*best possible*", NOTHING, NOTHING], [_reference(c, lambda m: m.best) for c in board.columns]))
    if apart:
        rows.append(row(["*of other steps:*", NOTHING, NOTHING], [NOTHING] * len(board.columns)))
        rows += [of_network(network) for network in board.networks if network in apart]
    headings = [
        _heading(column) + (f"{LINE}{_epochs(column)}" if both else "")
        for column, both in zip(board.columns, has_published, strict=True)
    ]
    caption = "Test value at the best validation value: mean ± standard deviation (instances), and the best instance."
    if any(has_published):
        caption += " Published values have their source's epochs where it states them."
    published = [f"{escape(column.task)}{LINE}published" for column in board.columns]
    return Table("Scores", caption, row(["network", "parameters", "state size"], headings, published), rows)


def protocol(board: Board) -> Table:
    """Best test value over training: the papers' protocol, which selects on the test split."""
    return Table(
        "The papers' protocol",
        "Best test value over training, chosen on the test split itself and so optimistic: mean ± standard deviation "
        "(instances).",
        ["network", *map(_heading, board.columns)],
        _rows(
            board,
            board.columns,
            lambda c, cell: LINE.join(_values(cell, lambda record: record.best_test.get(c.metric.name), c.metric)),
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
        "Test value at the best validation value of the ranked metric: mean ± standard deviation (instances).",
        ["network", *map(_heading, columns)],
        _rows(board, columns, lambda c, cell: LINE.join(_values(cell, _at_best(c.metric), c.metric))),
    )


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
        _rows(board, columns, text),
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
        _rows(board, board.columns, text),
    )


def _rows(board: Board, columns: Sequence[Column], text: Callable[[Column, Cell], str]) -> list[list[str]]:
    """Return a row for each network: its name, and the text of its cell in each column."""
    return [
        [escape(network), *(text(c, c.cells[network]) if network in c.cells else NOTHING for c in columns)]
        for network in board.networks
    ]


def _at_best(metric: MetricInfo) -> Value:
    return lambda record: record.scores.test.get(metric.name)


def _heading(column: Column) -> str:
    return f"{escape(column.task)}{LINE}{escape(column.metric.heading)}"


def _sizes(cells: Sequence[Cell]) -> list[str]:
    records = [cell.first for cell in cells]
    return [
        span((record.parameters, count(record.parameters)) for record in records),
        span((record.state_size, str(record.state_size)) for record in records),
    ]


def best_networks(column: Column) -> set[str]:
    """Return the networks that beat chance and that the paired 95 % interval cannot tell from the best of them.

    One with diverged instances or of other steps is never among them; one without a pair of instances counts by its
    mean.
    """
    means = {}
    apart = set_apart(column)
    for network, cell in column.cells.items():
        summary = cell.over_finished(_at_best(column.metric))
        if (
            summary
            and network not in apart
            and not cell.diverged
            and cell.metric.better(summary.mean, cell.metric.chance)
        ):
            means[network] = summary.mean
    if not means:
        return set()
    best = (min if column.metric.direction == "min" else max)(means, key=lambda network: means[network])
    return {network for network in means if means[network] == means[best] or _tied(column, network, best)}


def _tied(column: Column, network: str, best: str) -> bool:
    """Return whether at least two paired instances leave the difference of two rows undecided."""
    values = [
        {record.instance: record.scores.test.get(column.metric.name) for record in column.cells[name].finished}
        for name in (network, best)
    ]
    pairs = [(values[0][i], values[1][i]) for i in sorted(values[0].keys() & values[1].keys())]
    differences = [one - other for one, other in pairs if one is not None and other is not None]
    if len(differences) < 2:
        return False
    _, low, high = mean_interval(differences)
    return low <= 0 <= high


def _values(cell: Cell, value: Value, metric: MetricInfo, bold: bool = False) -> list[str]:
    summary = cell.over_finished(value)
    lines = [mean_and_sd(summary, metric.display, bold)] if summary else []
    if cell.diverged:
        lines.append(f"diverged {cell.diverged}/{len(cell.records)}")
    return lines or ["not measured"]


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


def _score(column: Column, cell: Cell) -> str:
    best = cell.first.network in best_networks(column)
    return LINE.join([*_values(cell, _at_best(column.metric), column.metric, best), *_spread(cell, column.metric)])


def _scores_of(cell: Cell) -> list[PublishedNumber]:
    return [number for number in find_published(cell.first.published) if number.metric != ITERATIONS]


def _epochs(column: Column) -> str:
    """Write for how many epochs the cells of a column were trained, the least and the most."""
    values = [value for value in map(epochs, column.cells.values()) if value is not None]
    return span((value, count_of_epochs(value)) for value in values) if values else "not evaluated"


def _published(numbers: Sequence[PublishedNumber], column: Column, notes: Notes) -> str:
    texts = []
    for number in numbers:
        metric = number.metric_name
        parts = [escape(display(metric).heading)] if metric != column.metric.name else []
        parts += [f"{number.epochs} epochs"] if number.epochs else []
        texts.append(escape(number.value) + (f" ({', '.join(parts)})" if parts else "") + notes.mark(number))
    return " / ".join(texts) or NOTHING


def _published_only(board: Board) -> dict[str, list[list[PublishedNumber]]]:
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


def _reference(column: Column, value: Callable[[MetricInfo], float]) -> str:
    values = (value(cell.metric) for cell in column.cells.values())
    return span((value, column.metric.display.text(value)) for value in values)


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
