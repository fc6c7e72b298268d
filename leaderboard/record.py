"""Records: derived from a learning curve, written atomically, and read whatever their schema version."""

import contextlib
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple, NoReturn

from pydantic import ValidationError
from pydantic_core import from_json

from rnnbench.leaderboard.files import FileError, read_file, write_atomically
from rnnbench.leaderboard.metric import MetricInfo
from rnnbench.leaderboard.schema import CurvePoint, MinimalPerformance, Record, Scores

# One entry for every schema version there ever was; an older one becomes a function that migrates and validates.
_READERS: dict[int, Callable[[dict[str, Any]], Record]] = {1: Record.model_validate}

#: Largest file of a record, in bytes: some hundred times what a run writes.
LARGEST_RECORD = 16 * 2**20


class Summary(NamedTuple):
    """The fields of a record that follow from its curve; ``Record(..., **summary._asdict())``."""

    best_step: int | None
    scores: Scores
    best_test: dict[str, float | None]
    minimal_performance: MinimalPerformance | None


def summarise(
    curve: Sequence[CurvePoint],
    metrics: Sequence[MetricInfo],
    steps: int,
    interval: int,
    diverged_at: int | None = None,
    test_at: Literal["best", "last"] = "best",
) -> Summary:
    """Derive scores from a learning curve.

    Of equal values the earliest wins; missing values never win; evaluations at or after divergence do not count.

    Args:
        curve: the evaluations, by step.
        metrics: what was measured; the first one ranks. Minimal performance is that of the first one with a threshold.
        steps: optimiser steps of the whole training; the iterations of a threshold never reached.
        interval: steps between evaluations.
        diverged_at: the step at which the instance diverged.
        test_at: whether the scores are those at the best validation value or at the last evaluation.
    """
    curve = [point for point in curve if diverged_at is None or point.step < diverged_at]
    names = [metric.name for metric in metrics]
    tests = {name: [point.test.get(name) for point in curve] for name in names}
    last = len(curve) - 1 if curve else None
    best = last if test_at == "last" else _best([point.val.get(names[0]) for point in curve], metrics[0])
    best_of_test = {metric.name: _best(tests[metric.name], metric) for metric in metrics}
    val = {} if best is None else curve[best].val
    test = {} if best is None else curve[best].test
    return Summary(
        best_step=None if best is None else curve[best].step,
        scores=Scores(val={name: val.get(name) for name in names}, test={name: test.get(name) for name in names}),
        best_test={name: None if index is None else tests[name][index] for name, index in best_of_test.items()},
        minimal_performance=_minimal_performance(curve, metrics, steps, interval),
    )


def _best(values: Sequence[float | None], metric: MetricInfo) -> int | None:
    """Return the index of the best value, the first of equals; None if there is no value."""
    present = [(value, index) for index, value in enumerate(values) if value is not None]
    choose = min if metric.direction == "min" else max
    return choose(present, key=lambda pair: pair[0])[1] if present else None


def _minimal_performance(
    curve: Sequence[CurvePoint], metrics: Sequence[MetricInfo], steps: int, interval: int
) -> MinimalPerformance | None:
    for metric in metrics:
        threshold = metric.minimal_performance
        if threshold is not None:
            val = _first_step([(point.step, point.val.get(metric.name)) for point in curve], metric, threshold)
            test = _first_step([(point.step, point.test.get(metric.name)) for point in curve], metric, threshold)
            return MinimalPerformance(
                metric=metric.name,
                threshold=threshold,
                interval=interval,
                val_iterations=steps if val is None else val,
                val_censored=val is None,
                test_iterations=steps if test is None else test,
                test_censored=test is None,
            )
    return None


def _first_step(values: Sequence[tuple[int, float | None]], metric: MetricInfo, threshold: float) -> int | None:
    return next((step for step, value in values if value is not None and not metric.better(threshold, value)), None)


def write_record(path: Path, record: Record) -> None:
    """Write a record by `write_atomically`; the same record gives the same bytes."""
    text = json.dumps(record.model_dump(), sort_keys=True, indent=1, allow_nan=False)
    write_atomically(path, f"{text}\n".encode())


def read_record(path: Path) -> Record:
    """Read a record of any schema version.

    Raises:
        FileError: the file is no record, damaged, too large, of a newer program, or cannot be read.
        FileNotFoundError: there is none.
    """
    data = _parse(path)
    version = data.get("schema_version") if isinstance(data, dict) else None
    # bool is an int to Python, so ``True`` would pass for version 1.
    if type(version) is not int:
        raise FileError(path, "is not a record: it has no schema_version")
    if version not in _READERS:
        known = f"schema_version must be from 1 to {max(_READERS)}, got {version}"
        raise FileError(path, f"{known}: update to read what a newer rnnbench wrote" if version > 1 else known)
    try:
        return _READERS[version](data)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        more = f" (and {error.error_count() - 1} more)" if error.error_count() > 1 else ""
        raise FileError(path, f"{where or 'record'}: {first['msg']}{more}") from error


def _parse(path: Path) -> Any:
    content = read_file(path, LARGEST_RECORD)
    # Twice as fast as json; what it refuses, json reads or says why not.
    with contextlib.suppress(ValueError):
        return from_json(content, allow_inf_nan=False)
    try:
        text = content.decode()
        return json.loads(text, parse_constant=_refuse_constant)
    except UnicodeDecodeError as error:
        raise FileError(path, "is not text in UTF-8") from error
    except json.JSONDecodeError as error:
        ends_early = error.pos >= len(text.rstrip()) or error.msg.startswith("Unterminated")
        what = "is cut short" if ends_early else "is not JSON"
        raise FileError(path, f"{what} (line {error.lineno}, column {error.colno}: {error.msg})") from error
    except (ValueError, RecursionError) as error:
        raise FileError(path, f"is not JSON that can be read: {error}") from error


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")
