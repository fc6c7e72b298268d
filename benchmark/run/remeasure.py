"""Measures of dynamics of a trained network, taken after its run and added to its record."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from rnnbench.benchmark.errors import UserError
from rnnbench.benchmark.measures import build_measure
from rnnbench.benchmark.run.callbacks.take_measures import measure_instance
from rnnbench.benchmark.run.source import code_version
from rnnbench.benchmark.run.trained import available_data, find_trained, recorded_backend
from rnnbench.leaderboard.files import side_path, write_arrays
from rnnbench.leaderboard.record import write_record
from rnnbench.leaderboard.schema import Measure, Record, plain
from rnnbench.leaderboard.settings import Config
from rnnbench.leaderboard.store import read_side_arrays

#: What says when a suite's measures are taken.
_WHEN = ("at", "every_epochs")


def measure_afterwards(
    path: Path,
    spec: Config,
    moment: Literal["start", "best", "end"],
    replace: bool = False,
    data_dir: Path | None = None,
) -> tuple[Measure, str]:
    """Take a measure of an instance as its run would have, and add it to the record and the arrays beside that.

    Args:
        path: of the record, or of the weights beside it.
        spec: the resolved measure; when it says to be taken does not count.
        moment: ``start``, with the weights that the instance was drawn with; ``best``, with those of the best step;
            ``end``, where these are the last ones.
        replace: whether to take again what was taken afterwards before, with other settings.
        data_dir: folder of the real data sets, if not that of RNNBENCH_DATA.

    Returns:
        The measure, the one that is there if it has the same settings; and what is to be said of it, if anything.

    Raises:
        UserError: there is no record, weights or data; or the measure fails, and the record is left as it was.
    """
    trained = find_trained(path, needs_weights=moment != "start")
    record, name, options = trained.needed_record, spec["measure"], build_measure(spec)
    step = _step(trained.path, record, moment)
    settings = plain({**options.model_dump(), "at": [moment], "every_epochs": None})
    held = record.measures.get(name, {}).get(moment)
    if held is not None:
        same = {k: v for k, v in held.settings.items() if k not in _WHEN} == {
            k: v for k, v in settings.items() if k not in _WHEN
        }
        if same and held.status == "finished":
            return held, "is there already, with the same settings; others are given as '{NAME: {SETTING: VALUE}}'"
        if held.later is None or not replace:
            remedy = "--replace takes it again" if held.later else "what was taken in training stays"
            raise UserError(f"{trained.path}: has {name} at {moment} already, failed or with other settings: {remedy}")
    arrays, reason = read_side_arrays(trained.path, record)
    if reason:
        raise UserError(f"{trained.path}: {reason}")
    data = available_data(trained, data_dir)
    model = trained.model(data, trained=moment != "start")
    try:
        options.check(model.ensemble.network.recurrence, data.task)
        data.setup()
        with recorded_backend(record):
            summary, taken = measure_instance(model, 0, data, options)
    except Exception as error:
        # Out of memory, not finite, not converged, a user's recurrence: as in training.
        text = " ".join(str(error).split())
        raise UserError(f"{trained.path}: {name} at {moment} failed: {type(error).__name__}: {text}") from error
    own = {f"{name}/{moment}/{key}": values.numpy() for key, values in taken.items()}
    measure = Measure(
        status="finished",
        reason=None,
        step=step,
        settings=settings,
        summary=summary,
        arrays=list(own),
        later=code_version(),
    )
    kept = {key: values for key, values in arrays.items() if not key.startswith(f"{name}/{moment}/")}
    if kept | own:
        write_arrays(side_path(trained.path), kept | own)
    measures = {**record.measures, name: {**record.measures.get(name, {}), moment: measure}}
    write_record(trained.path, record.model_copy(update={"measures": measures}))
    return measure, trained.edit


def _step(path: Path, record: Record, moment: str) -> int:
    """Return the step of a moment; a UserError if there are no weights of it."""
    if moment == "start":
        return 0
    if record.best_step is None:
        raise UserError(f"{path}: was trained for no steps: measure it with --at start")
    if moment == "end" and record.best_step != record.steps:
        raise UserError(
            f"{path}: the weights beside it are those of step {record.best_step}, the best, and not of the last, "
            f"{record.steps}: measure it with --at best"
        )
    return record.best_step
