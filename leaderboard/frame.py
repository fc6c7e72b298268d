"""Records as pandas tables: one row an instance, or one a value of a learning curve. pandas is imported when used."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rnnbench.leaderboard.chance import ranked_metric
from rnnbench.leaderboard.schema import Record, parse_time
from rnnbench.leaderboard.statistics import select_cells
from rnnbench.leaderboard.store import load_records, shipped_records

if TYPE_CHECKING:
    import pandas as pd

#: What every table of instances begins with: a column's pandas type, and what it holds.
COLUMNS: dict[str, tuple[str, str]] = {
    "suite": ("str", "suite that was run"),
    "budget": ("str", "`smoke`, `cpu` or `paper`"),
    "task": ("str", "short name of the task, a column of the boards"),
    "network": ("str", "short name of the network, a row of the boards"),
    "instance": ("Int64", "number of the instance, from which its weights are drawn"),
    "experiment_id": ("str", "hash of the resolved configuration"),
    "family_id": ("str", "the same without the swept settings: what the points of a sweep share"),
    "status": ("str", "`finished`, `diverged` or `interrupted`"),
    "diverged_at": ("Int64", "step at which it diverged"),
    "chosen": ("bool", "whether boards would show it: of the point of its grid that is best on validation"),
    "metric": ("str", "ranked metric, which the next six columns are of"),
    "direction": ("str", "`min` or `max`, whichever is better"),
    "chance": ("float64", "what the best constant answer reaches"),
    "best_possible": ("float64", "best possible value"),
    "val": ("float64", "validation value at `best_step`"),
    "test": ("float64", "test value at `best_step`: the ranked score"),
    "best_test": ("float64", "best test value over training"),
    "best_step": ("Int64", "step of the best validation value"),
    "iterations": (
        "Int64",
        "steps to minimal performance on validation; of the whole training where it was not reached",
    ),
    "iterations_censored": ("boolean", "whether it was not reached"),
    "parameters": ("Int64", "trainable parameters"),
    "state_size": ("Int64", "numbers carried in time"),
    "steps": ("Int64", "optimiser steps of the whole training"),
    "seconds_per_step": ("float64", "wall time of a step, in seconds; its share where instances are trained together"),
    "peak_memory_bytes": ("Int64", "largest memory in use"),
    "task_class": ("str", "class of the task"),
    "recurrence": ("str", "class of the recurrence"),
    "optimizer": ("str", "optimiser"),
    "learning_rate": ("float64", "learning rate"),
    "point": ("str", "value of each swept setting, as JSON"),
    "config": ("str", "resolved configuration, as JSON"),
    "commit": ("str", "commit of rnnbench that measured"),
    "dirty": ("boolean", "whether files differed from it"),
    "own_code": ("str", "modules of a user's own that its classes come from, each with version or hash"),
    "data_fingerprint": ("str", "hash of the data"),
    "accelerator": ("str", "what it was trained on"),
    "started_at": ("datetime64[us, UTC]", "when it was started"),
    "finished_at": ("datetime64[us, UTC]", "when it ended"),
}
#: What identifies an instance.
KEY = ("suite", "budget", "task", "network", "experiment_id", "instance")
#: The columns of the table of learning curves.
CURVE_COLUMNS: dict[str, tuple[str, str]] = {
    **{name: COLUMNS[name] for name in KEY},
    "step": ("Int64", "optimiser step of the evaluation"),
    "epoch": ("float64", "epochs passed, with their fraction"),
    "split": ("str", "`train`, `val` or `test`"),
    "metric": ("str", "`loss` of split `train`, else a metric of the task"),
    "value": ("float64", "its value; missing from a divergence on"),
}


def read_records(folder: str | Path | None = None, curves: bool = False) -> pd.DataFrame:
    """Return the records of a folder, such as ``runs``, as a tidy table: one row an instance.

    It has the columns ``rnnbench.leaderboard.frame.COLUMNS``, and further ones, by name: ``val/M``, ``test/M`` and
    ``best_test/M`` of every metric M, and ``measure/moment/number`` of every measure of dynamics, such as
    ``lyapunov/end/largest``; missing where a record has none.

    Args:
        folder: None for the published records that came with rnnbench.
        curves: return the learning curves instead, one row a value (``CURVE_COLUMNS``).

    Warns:
        UserWarning: for each file that is not a record, or does not lie where it belongs.

    Raises:
        NotADirectoryError: there is no such folder.
        FileNotFoundError: it holds no records.

    >>> table = read_records().query("suite == 'music' and status == 'finished'")
    >>> sorted(table["network"].unique())
    ['LSTM', 'LSTM_stable', 'RNN', 'RNN_stable']
    """
    records = load_records(shipped_records() if folder is None else folder)
    return curve_table(records) if curves else instance_table(records)


def instance_table(records: Sequence[Record]) -> pd.DataFrame:
    """Return a table of one row an instance (``read_records``)."""
    chosen = {id(record) for cell in select_cells(records)[0] for record in cell.records}
    rows = [{**_fixed(record), "chosen": id(record) in chosen, **dict(_further(record))} for record in records]
    further = sorted({name for row in rows for name in row} - COLUMNS.keys())
    return _table(rows, {name: kind for name, (kind, _) in COLUMNS.items()}, further)


def curve_table(records: Sequence[Record]) -> pd.DataFrame:
    """Return a table of one row a value of a learning curve."""
    rows = [row for record in records for row in _curve(record)]
    return _table(rows, {name: kind for name, (kind, _) in CURVE_COLUMNS.items()}, [])


def _table(rows: Sequence[dict[str, Any]], kinds: dict[str, str], further: Sequence[str]) -> pd.DataFrame:
    import pandas as pd

    table = pd.DataFrame(rows, columns=[*kinds, *further])
    numbers = {name: "float64" for name in further if not any(isinstance(row.get(name), str) for row in rows)}
    texts = {name: "str" for name in further if name not in numbers}
    return table.astype({**kinds, **numbers, **texts})


def _fixed(record: Record) -> dict[str, Any]:
    ranked, minimal, config = record.ranked, record.minimal_performance, record.config
    training, task, recurrence = (_section(config, name) for name in ("training", "task", "recurrence"))
    code = [f"{one.module} {one.version or one.source}" for one in record.own_code]
    return {
        **{name: getattr(record, name) for name in COLUMNS if name in Record.model_fields},
        "metric": ranked.name,
        "direction": ranked.direction,
        "chance": ranked_metric(record).chance,
        "best_possible": ranked.best,
        "val": record.scores.val.get(ranked.name),
        "test": record.scores.test.get(ranked.name),
        "best_test": record.best_test.get(ranked.name),
        "iterations": minimal.val_iterations if minimal else None,
        "iterations_censored": minimal.val_censored if minimal else None,
        "task_class": task.get("class_path"),
        "recurrence": recurrence.get("class_path"),
        "optimizer": training.get("optimizer"),
        "learning_rate": training.get("learning_rate"),
        "point": json.dumps(record.point, sort_keys=True, ensure_ascii=False),
        "config": json.dumps(config, sort_keys=True, ensure_ascii=False),
        "commit": record.code.commit,
        "dirty": record.code.dirty,
        "own_code": ", ".join(code) or None,
        "accelerator": record.hardware.get("accelerator"),
        "started_at": parse_time(record.started_at),
        "finished_at": parse_time(record.finished_at),
    }


def _section(config: dict[str, Any], name: str) -> dict[str, Any]:
    found = config.get(name)
    return found if isinstance(found, dict) else {}


def _further(record: Record) -> Iterator[tuple[str, Any]]:
    groups = {"val": record.scores.val, "test": record.scores.test, "best_test": record.best_test}
    for group, values in groups.items():
        yield from ((f"{group}/{name}", value) for name, value in values.items())
    for name, moments in record.measures.items():
        for moment, measure in moments.items():
            yield from ((f"{name}/{moment}/{key}", value) for key, value in measure.summary.items())


def _curve(record: Record) -> Iterator[dict[str, Any]]:
    key = {name: getattr(record, name) for name in KEY}
    for point in record.curve:
        at = {**key, "step": point.step, "epoch": point.epoch}
        yield {**at, "split": "train", "metric": "loss", "value": point.train_loss}
        for split, values in (("val", point.val), ("test", point.test)):
            yield from ({**at, "split": split, "metric": name, "value": value} for name, value in values.items())
