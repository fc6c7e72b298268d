"""Published values beside ours, with what a reader must know of each."""

from collections.abc import Sequence
from typing import Any

from rnnbench.leaderboard.literature import ITERATIONS, PublishedNumber, every_number, find_published
from rnnbench.leaderboard.metric import display
from rnnbench.leaderboard.papers import PAPERS
from rnnbench.leaderboard.statistics import Cell, Statistic, statistic
from rnnbench.leaderboard.tables.iterations import censored_mean
from rnnbench.leaderboard.tables.markdown import mean_and_sd
from rnnbench.leaderboard.tables.notes import cautions


def published_data(cells: Sequence[Cell]) -> list[dict[str, Any]]:
    """Return every verified number of the literature, with the cells whose records name it; those with cells first."""
    ours: dict[PublishedNumber, list[dict[str, Any]]] = {}
    for index, cell in enumerate(cells):
        for number in find_published(cell.first.published):
            if found := _measured(cell, number):
                ours.setdefault(number, []).append({"cell": index, **found})
    return [
        {
            "model": number.model,
            "task": number.task,
            "metric": "iterations to minimal performance"
            if number.metric == ITERATIONS
            else display(number.metric_name).heading,
            "value": number.value,
            "trained": number.trained,
            "parameters": number.parameters,
            "source": number.source,
            "paper": PAPERS.get(number.source.partition(":")[0], ""),
            "notes": cautions(number),
            "ours": ours.get(number, []),
        }
        for number in sorted(every_number(), key=lambda number: number not in ours)
    ]


def _measured(cell: Cell, number: PublishedNumber) -> dict[str, Any] | None:
    if number.metric == ITERATIONS:
        reached = [record.minimal_performance for record in cell.records if record.minimal_performance]
        values = [(one.test_iterations, one.test_censored) for one in reached]
        return _as_data(censored_mean(values), statistic(value for value, _ in values)) if values else None
    summary = cell.over_finished(lambda record: record.scores.test.get(number.metric_name))
    return _as_data(mean_and_sd(summary, display(number.metric_name)), summary) if summary else None


def _as_data(text: str, summary: Statistic | None) -> dict[str, Any]:
    return {"text": text, "mean": summary and summary.mean, "sd": summary and summary.sd, "n": summary and summary.n}
