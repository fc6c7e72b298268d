"""The scores of a suite as plain text for a terminal: rows x tasks in the suite's order."""

from collections.abc import Sequence

from rnnbench.leaderboard.schema import Record
from rnnbench.leaderboard.statistics import Cell, select_cells
from rnnbench.leaderboard.tables.markdown import NOTHING, mean_and_sd, span
from rnnbench.leaderboard.text import printable


def score_rows(records: Sequence[Record], planned: Sequence[tuple[str, str]], best: bool = False) -> list[list[str]]:
    """Return a table of the test values at the best validation value: ``mean ± sd (n)`` over finished instances.

    Args:
        records: of one version of a suite under one budget.
        planned: task and network of every cell that is to be shown; one without records stays a dash.
        best: whether the best instance stands beside the mean.

    Returns:
        Two lines of heading (task, metric with its unit), one a network, and chance; nothing where there is no score.
    """
    cells = {(cell.first.task, cell.first.network): cell for cell in select_cells(records)[0]}
    scored = {place: cell for place, cell in cells.items() if place in planned and cell.first.curve}
    if not scored:
        return []
    tasks, networks = (list(dict.fromkeys(names)) for names in zip(*planned, strict=True))
    columns = [[cell for (task, _), cell in scored.items() if task == name] for name in tasks]
    rows = [["", *map(printable, tasks)], ["", *(_heading(column) for column in columns)]]
    for network in networks:
        shown = [_score(scored.get((task, network)), best) if (task, network) in planned else "" for task in tasks]
        rows.append([printable(network), *shown])
    return [*rows, ["chance", *(_chance(column) for column in columns)]]


def _heading(column: Sequence[Cell]) -> str:
    return " / ".join(dict.fromkeys(cell.metric.heading for cell in column))


def _score(cell: Cell | None, best: bool) -> str:
    if cell is None:
        return NOTHING
    metric = cell.metric
    values = [value for value in (r.scores.test.get(metric.name) for r in cell.finished) if value is not None]
    summary = cell.over_finished(lambda record: record.scores.test.get(metric.name))
    parts = [mean_and_sd(summary, metric.display)] if summary else []
    if best and len(values) > 1:
        parts.append(f"best {metric.display.text((min if metric.direction == 'min' else max)(values))}")
    if cell.diverged:
        parts.append(f"diverged {cell.diverged}/{len(cell.records)}")
    return ", ".join(parts) or "not measured"


def _chance(column: Sequence[Cell]) -> str:
    chances = [cell.metric.chance for cell in column]
    return span((value, column[0].metric.display.text(value)) for value in chances) if chances else ""
