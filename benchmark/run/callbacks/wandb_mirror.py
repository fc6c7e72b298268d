"""Weights & Biases beside the records: one run per instance, which never stands in the way of training."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import lightning as L

from rnnbench.benchmark.config.options import WandbMode
from rnnbench.benchmark.run.callbacks.wandb_session import (
    close_service,
    open_run,
    reason_of,
    remove_superseded,
    report,
    report_once,
)
from rnnbench.benchmark.run.job import Job, Member
from rnnbench.benchmark.run.recording import learning_curve, portable
from rnnbench.leaderboard.files import side_path
from rnnbench.leaderboard.schema import CurvePoint, Record
from rnnbench.leaderboard.weights_file import weights_path
from rnnbench.lit_models.lit_sequence_model import LitSequenceModel

if TYPE_CHECKING:
    import wandb

#: What a run goes on as when it cannot be opened.
_FALLBACK: dict[WandbMode, WandbMode] = {"online": "offline", "offline": "off"}

#: Fields of a record that a run's summary takes as they are.
_SUMMARISED = (
    *("status", "diverged_at", "steps", "best_step"),
    *("parameters", "state_size", "seconds_per_step", "peak_memory_bytes"),
)

#: Exit codes as Weights & Biases understands them: finished, failed, killed.
_FINISHED, _FAILED, _KILLED = 0, 1, 255


class WandbMirror(L.Callback, AbstractContextManager["WandbMirror"]):
    """Mirrors each instance of a job into a W&B run: configuration, learning curve, summary, record and weights.

    A context manager around the training: its end ends the W&B runs. It acts in the process of rank zero only, at the
    start, at evaluations and at the end. A run's id is fixed by its instance, so that a resumed run goes on in it.

    Every point of the curve is sent under its training step. Going on online, W&B tells from which step on points are
    missing. Offline, the folder that wandb writes can not go on: the new one takes the whole curve and replaces those
    of the same id, so that whatever is uploaded is complete and holds no point twice.

    Whatever wandb does wrong is reported on stderr, and training goes on: from online to offline, from there without.
    """

    def __init__(self, job: Job, mode: WandbMode) -> None:
        self.job = job
        self.mode = mode
        self._runs: dict[int, wandb.Run] = {}
        self._sent = 0
        self._is_broken = False

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        """End the W&B runs: finished, failed, or killed and waiting to go on."""
        code = _FINISHED if error is None else _FAILED if isinstance(error, Exception) else _KILLED
        for index, run in list(self._runs.items()):
            if self._guarded(index, partial(run.finish, exit_code=code)):
                remove_superseded(run)
        if self._is_broken:
            # The next job's runs get another.
            close_service(_FAILED)

    def on_fit_start(self, trainer: L.Trainer, pl_module: LitSequenceModel) -> None:  # type: ignore[override]
        """Open a W&B run per instance, and send what a checkpoint already holds of the curve."""
        if trainer.is_global_zero:
            self._open(pl_module)
            self._send(pl_module)

    def on_validation_end(self, trainer: L.Trainer, pl_module: LitSequenceModel) -> None:  # type: ignore[override]
        """Send the new point of the curve."""
        self._send(pl_module)

    def summarise(self, records: Sequence[Record]) -> None:
        """Send the records, one per member of the job, as summaries."""
        for index, run in list(self._runs.items()):
            self._guarded(index, partial(run.summary.update, run_summary(records[index])))
            if index in self._runs and records[index].status != "interrupted":
                self._guarded(index, partial(self._send_files, run, self.job.record_path(self.job.members[index])))

    @staticmethod
    def _send_files(run: wandb.Run, path: Path) -> None:
        """Send a record with the arrays beside it, and its weights, as artifacts."""
        import wandb

        for kind, files in {"record": (path, side_path(path)), "model": (weights_path(path),)}.items():
            artifact = wandb.Artifact(f"{kind}-{run.id}", type=kind)
            found = [file for file in files if file.exists()]
            for file in found:
                # They stay where they are: a copy for the upload would be one more.
                artifact.add_file(str(file), policy="immutable", skip_cache=True)
            if found:
                run.log_artifact(artifact)

    def _send(self, model: LitSequenceModel) -> None:
        for index, run in list(self._runs.items()):
            points = learning_curve(model, index, start=self._sent)
            self._guarded(index, partial(_log, run, [history_row(point) for point in points]))
        self._sent = len(model.curve)

    def _open(self, model: LitSequenceModel) -> None:
        while self.mode != "off" and not self._runs:
            try:
                for index, member in enumerate(self.job.members):
                    self._runs[index] = self._init(member, model)
            except ImportError as error:
                self.mode = "off"
                report_once(f"cannot be imported ({error}): pip install 'rnnbench[wandb]'. Training goes on without it")
            except Exception as error:
                # wandb's errors share no base class (Error, OSError, its mailbox's, pydantic's for a wrong setting).
                failed, self.mode = self.mode, _FALLBACK[self.mode]
                how = "without it" if self.mode == "off" else f"offline, in {self._folder}; `wandb sync` sends it"
                report_once(f"{failed} is not possible", f" ({reason_of(error)}). Training goes on {how}")
                self._runs.clear()
                close_service(_FAILED)

    def _init(self, member: Member, model: LitSequenceModel) -> wandb.Run:
        e = self.job.experiment
        run = open_run(
            self.job.runs_dir,
            self.mode,
            id=run_id(self.job, member),
            name=f"{e.network}-{member.experiment_id}-{member.instance}",
            group="/".join(e.cell.values()),
            job_type="train",
            tags=list(e.cell.values()),
            config=run_config(self.job, member, model),
            # A run that starts again replaces what is there under its id.
            resume="allow" if self.mode == "online" and model.curve else None,
        )
        run.define_metric("step", hidden=True)
        run.define_metric("*", step_metric="step")
        return run

    @property
    def _folder(self) -> Path:
        return self.job.runs_dir.resolve() / "wandb"

    def _guarded(self, index: int, call: Callable[[], object]) -> bool:
        """Call into wandb for an instance; if that fails, say so and leave this instance's run alone from there on."""
        try:
            call()
        except Exception as error:
            run, self._is_broken = self._runs.pop(index), True
            where = f"what it holds is in {Path(run.dir).parent}; `wandb sync` sends it"
            report(f"{self.job.name}: run {run.id} is given up ({reason_of(error)}); {where}")
            return False
        return True


def run_id(job: Job, member: Member) -> str:
    """Return the id of a member's W&B run: the same whenever it is trained, another in another suite or budget."""
    place = job.record_path(member).relative_to(job.runs_dir).as_posix()
    return f"{member.experiment_id}-{member.instance}-{hashlib.sha256(place.encode()).hexdigest()[:8]}"


def run_config(job: Job, member: Member, model: LitSequenceModel) -> dict[str, Any]:
    """Return the record's configuration with one column per setting, so that tables compare architectures."""
    e = job.experiment
    config = portable(job.point(member).config)
    return {
        **e.cell,
        **asdict(member),
        "family_id": e.family_id,
        "task_class": config["task"]["class_path"],
        "task_args": config["task"]["init_args"],
        "recurrence": config["recurrence"]["class_path"],
        "recurrence_args": config["recurrence"]["init_args"],
        **config["training"],
        "seed": config["seed"],
        "parameters": model.parameter_count,
        "state_size": model.state_size,
    }


def history_row(point: CurvePoint) -> dict[str, Any]:
    """Return a point of the curve as W&B's history has it; missing values are left out."""
    row: dict[str, Any] = {"step": point.step, "epoch": point.epoch, "train_loss": point.train_loss}
    for split, values in (("val", point.val), ("test", point.test)):
        row |= {f"{split}/{name}": value for name, value in values.items()}
    row |= {f"test_by_length/{name}": value for name, value in (point.by_length or {}).items()}
    return {name: value for name, value in row.items() if value is not None}


def run_summary(record: Record) -> dict[str, Any]:
    """Return what a table shows of a record; ``None`` where it has no value, in place of an earlier one."""
    minimal = record.minimal_performance.model_dump() if record.minimal_performance else {}
    groups = {"scores/val": record.scores.val, "scores/test": record.scores.test, "best_test": record.best_test}
    groups["minimal_performance"] = minimal
    return {
        **{name: getattr(record, name) for name in _SUMMARISED},
        **{f"{group}/{name}": value for group, values in groups.items() for name, value in values.items()},
        **{
            f"{name}/{moment}/{key}": value
            for name, moments in record.measures.items()
            for moment, measure in moments.items()
            for key, value in {"status": measure.status, **measure.summary}.items()
        },
    }


def _log(run: wandb.Run, rows: Sequence[dict[str, Any]]) -> None:
    for row in rows:
        # Online, what was sent before an interruption is there already.
        if row["step"] >= run.starting_step:
            run.log(row, step=row["step"], commit=True)
