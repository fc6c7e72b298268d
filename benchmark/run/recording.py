"""From a trained ensemble to one record and one file of weights per instance."""

import copy
import time
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import lightning as L

from rnnbench.benchmark.config.options import TrainOptions
from rnnbench.benchmark.run.callbacks.resume_checkpoint import TrainingClock
from rnnbench.benchmark.run.callbacks.take_measures import TakeMeasures
from rnnbench.benchmark.run.job import Job
from rnnbench.benchmark.run.lease import Lease
from rnnbench.benchmark.run.provenance import hardware, peak_memory, versions
from rnnbench.benchmark.run.source import code_version, own_code
from rnnbench.benchmark.run.weights import best_weights, write_weights
from rnnbench.datamodules.sequence_data_module import SequenceDataModule
from rnnbench.leaderboard.files import Arrays, FileError, side_path, write_arrays
from rnnbench.leaderboard.metric import MetricInfo
from rnnbench.leaderboard.record import read_record, summarise, write_record
from rnnbench.leaderboard.schema import CurvePoint, Measure, Record
from rnnbench.leaderboard.settings import Config
from rnnbench.lit_models.lit_sequence_model import LitSequenceModel


@dataclass(frozen=True)
class Start:
    """When something began, by the clock of the day and by the one that never jumps."""

    at: datetime = field(default_factory=lambda: datetime.now(timezone.utc))
    monotonic: float = field(default_factory=time.monotonic)

    def now(self) -> datetime:
        """Return the time of the day, whatever has been done to its clock since the start."""
        return self.at + timedelta(seconds=time.monotonic() - self.monotonic)


@dataclass(frozen=True)
class Run:
    """A run as its records tell of it; ``start`` is the last time that it was started, if it was resumed.

    ``lease`` is held by the process that writes.
    """

    job: Job
    model: LitSequenceModel
    data: SequenceDataModule
    trainer: L.Trainer
    clock: TrainingClock
    start: Start
    measures: TakeMeasures
    options: TrainOptions
    lease: Lease | None = None


def write_records(run: Run, interrupted: bool) -> list[Record]:
    """Write the records of a job, the arrays beside them and, unless interrupted, each instance's weights at its best.

    Returns:
        The records, in the order of the members; those of instances that are finished already were not written.

    Raises:
        BusyError: another process has taken the run over.
    """
    records, job = [], run.job
    for index, member in enumerate(job.members):
        record = make_record(run, index, interrupted)
        records.append(record)
        if run.lease is not None:
            run.lease.confirm()
        if is_finished(job.record_path(member)):
            # Another run of overlapping instances was first; what is measured stays.
            continue
        # Without an evaluation there is no score for weights to belong to.
        if not interrupted and record.best_step is not None:
            write_weights(job.weights_path(member), best_weights(run.model, index), record, index)
        if arrays := measured(run.measures, index)[1]:
            # Before the record, which names them.
            write_arrays(side_path(job.record_path(member)), arrays)
        write_record(job.record_path(member), record)
    return records


def measured(measures: TakeMeasures, index: int) -> tuple[dict[str, dict[str, Measure]], Arrays]:
    """Return the measures of one instance as its record has them, and all arrays that the file beside it holds."""
    found: dict[str, dict[str, Measure]] = {}
    beside: Arrays = {}
    for name, moments in (measures.taken[index] if measures.taken else {}).items():
        for moment, one in moments.items():
            arrays = {f"{name}/{moment}/{array}": values.numpy() for array, values in one.arrays.items()}
            status: Any = "finished" if one.reason is None else "failed"
            found.setdefault(name, {})[moment] = Measure(**{**vars(one), "status": status, "arrays": list(arrays)})
            beside |= arrays
    return found, beside


def is_finished(path: Path) -> bool:
    """Return whether a finished or diverged record, or something that is not ours to overwrite, lies there."""
    try:
        return read_record(path).status != "interrupted"
    except FileNotFoundError:
        return False
    except (FileError, OSError):
        return True


def make_record(run: Run, index: int, interrupted: bool) -> Record:
    """Return the record of one instance; ``index`` is its place on the instance axis."""
    job, model = run.job, run.model
    experiment, member, point = job.experiment, job.members[index], job.point(job.members[index])
    diverged_at = _diverged_at(model, index)
    metrics = [MetricInfo.model_validate(metric, from_attributes=True) for metric in run.data.task.metrics]
    curve = learning_curve(model, index)
    # A run of no steps has no training batches either.
    interval = point.recipe.validate_every or int(run.trainer.num_training_batches if run.trainer.global_step else 1)
    steps = model.last_step(index)
    summary = summarise(curve, metrics, steps, interval, diverged_at, point.recipe.test_at)
    every = run.options.checkpoint_every
    return Record(
        schema_version=1,
        **experiment.cell,
        **asdict(member),
        family_id=experiment.family_id,
        config=portable(point.config),
        grid={path: list(values) for path, values in experiment.grid.items()},
        point=point.values,
        status="interrupted" if interrupted else "finished" if diverged_at is None else "diverged",
        diverged_at=None if interrupted else diverged_at,
        metrics=metrics,
        curve=curve,
        **summary._asdict(),
        parameters=model.parameter_count,
        state_size=model.state_size,
        steps=steps,
        seconds_per_step=run.clock.seconds / max(1, run.clock.steps) / len(job.members),
        peak_memory_bytes=peak_memory(model.device),
        data_fingerprint=run.data.fingerprint(),
        code=code_version(),
        versions=versions(),
        hardware={
            **hardware(model.device, run.trainer.world_size),
            "instances_trained_together": len(job.members),
            "scan": run.options.scan,
            **({"checkpoint_every": every} if every is not None else {}),
        },
        started_at=run.start.at.isoformat(timespec="seconds"),
        finished_at=run.start.now().isoformat(timespec="seconds"),
        published=experiment.published,
        measures=measured(run.measures, index)[0],
        own_code=own_code(point.config, run.data.task.objectives),
        pilot=experiment.tried,
        stopped_at=model.stopping.stopped(index),
        trained_lengths=list(lengths.train) if (lengths := run.data.task.lengths) else None,
    )


def learning_curve(model: LitSequenceModel, index: int, start: int = 0) -> list[CurvePoint]:
    """Return the evaluations of one instance from the ``start``-th on; ``index`` is its place on the instance axis."""
    diverged_at = _diverged_at(model, index)
    # Not last_step: when a training goes on, its steps are read after its curve is sent.
    stopped = model.stopping.stopped(index)
    points = []
    for entry in model.curve[start:]:
        if stopped and entry["step"] > stopped:
            break
        # A frozen instance still has scores: those of the weights it was frozen with, which are no result.
        gone = diverged_at is not None and entry["step"] >= diverged_at
        scores = {
            split: {name: None if gone else values[index] for name, values in entry[split].items()}
            for split in ("val", "test")
        }
        loss = entry["train_loss"][index]
        lengths = entry.get("by_length", {}).items()
        by_length = {name: None if gone else values[index] for name, values in lengths} or None
        step, epoch = entry["step"], entry["epoch"]
        points.append(CurvePoint(step=step, epoch=epoch, train_loss=loss, **scores, by_length=by_length))
    return points


def _diverged_at(model: LitSequenceModel, index: int) -> int | None:
    return int(model.get_buffer("diverged_at")[index]) if not model.get_buffer("alive")[index] else None


def portable(config: Config) -> Config:
    """Return a configuration without the folder of this machine's data."""
    portable = copy.deepcopy(config)
    portable["task"]["init_args"].pop("data_dir", None)
    return portable
