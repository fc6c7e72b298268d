"""A suite's table in Weights & Biases: one run beside those of the instances, with an artifact."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rnnbench.benchmark.config.options import WandbMode
from rnnbench.benchmark.run.callbacks.wandb_session import open_run, reason_of, remove_superseded, report
from rnnbench.leaderboard.schema import Record
from rnnbench.leaderboard.statistics import select_cells, statistic

_COLUMNS: list[str | int] = [
    "network",
    "task",
    "metric",
    "mean",
    "sd",
    "instances",
    "diverged",
    "parameters",
    "state_size",
]


def send_table(records: Sequence[Record], runs_dir: Path, mode: WandbMode) -> None:
    """Send the scores of one suite and budget as a table; whatever wandb does wrong is reported, and nothing else ends.

    The run has the job type ``table``, where those of instances have ``train``; its id is fixed by suite and budget.
    """
    rows = table_rows(records)
    if not rows:
        return
    place = f"{records[0].suite}/{records[0].budget}"
    name = f"table-{hashlib.sha256(place.encode()).hexdigest()[:12]}"
    try:
        import wandb

        run = open_run(runs_dir, mode, id=name, name=f"table of {place}", group=place, job_type="table")
        artifact = wandb.Artifact(name, type="table", description=f"Scores of {place}")
        artifact.add(wandb.Table(columns=_COLUMNS, data=rows), "scores")
        run.log_artifact(artifact)
        run.finish()
        remove_superseded(run)
    except Exception as error:
        # wandb's errors share no base class, and none is worth the exit code of what was trained.
        report(f"the table of {place} is not sent ({reason_of(error)})")


def table_rows(records: Sequence[Record]) -> list[list[Any]]:
    """Return a row for each network and task: mean and standard deviation of the score over finished instances."""
    rows: list[list[Any]] = []
    for cell in select_cells(records)[0]:
        scores = statistic(record.scores.test.get(cell.metric.name) for record in cell.finished)
        numbers = (scores.mean, scores.sd, scores.n) if scores else (None, None, 0)
        first = cell.first
        sizes = cell.diverged, first.parameters, first.state_size
        rows.append([first.network, first.task, cell.metric.name, *numbers, *sizes])
    return rows
