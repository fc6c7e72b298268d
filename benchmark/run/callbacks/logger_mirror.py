"""Lightning's own loggers beside the records: one folder per instance, which never stands in the way of training."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path

import lightning as L
from lightning.pytorch.loggers import CSVLogger, TensorBoardLogger

from rnnbench.benchmark.config.options import LoggerName
from rnnbench.benchmark.run.callbacks.wandb_mirror import history_row, run_config
from rnnbench.benchmark.run.job import Job
from rnnbench.benchmark.run.recording import learning_curve
from rnnbench.leaderboard.schema import Record, plain
from rnnbench.leaderboard.text import printable
from rnnbench.lit_models.lit_sequence_model import LitSequenceModel

_Logger = CSVLogger | TensorBoardLogger


class LoggerMirror(L.Callback, AbstractContextManager["LoggerMirror"]):
    """Mirrors each instance of a job into a logger's folder: configuration, learning curve and, at the end, scores.

    A context manager around the training, which acts in the process of rank zero only. The folders lie in ``csv/`` or
    ``tensorboard/`` of the folder of runs, laid out as the records are. A run that goes on, or starts again, writes its
    whole curve into a fresh folder, so that no point is there twice.

    Whatever goes wrong is reported on stderr, and training goes on without.
    """

    def __init__(self, job: Job, kind: LoggerName) -> None:
        self.job = job
        self.kind = kind
        self._loggers: dict[int, _Logger] = {}
        self._sent = 0

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        """Write what is left and close the files."""
        for index, logger in list(self._loggers.items()):
            self._guarded(index, partial(logger.finalize, "success" if error is None else "failed"))

    def on_fit_start(self, trainer: L.Trainer, pl_module: LitSequenceModel) -> None:  # type: ignore[override]
        """Open a logger per instance, and send what a checkpoint already holds of the curve."""
        if trainer.is_global_zero:
            for index in range(len(self.job.members)):
                self._guarded(index, partial(self._open, index, pl_module))
            self._send(pl_module)

    def on_validation_end(self, trainer: L.Trainer, pl_module: LitSequenceModel) -> None:  # type: ignore[override]
        """Send the new point of the curve."""
        self._send(pl_module)

    def summarise(self, records: Sequence[Record]) -> None:
        """Send the scores of the records, one per member of the job."""
        for index, logger in list(self._loggers.items()):
            scores = {f"score/{name}": value for name, value in records[index].scores.test.items() if value is not None}
            if isinstance(logger, TensorBoardLogger):
                self._guarded(index, partial(logger.log_hyperparams, logger.hparams, scores))

    def _open(self, index: int, model: LitSequenceModel) -> None:
        member = self.job.members[index]
        root = self.job.runs_dir / self.kind
        folder = root / self.job.record_path(member).relative_to(self.job.root).with_suffix("")
        shutil.rmtree(folder, ignore_errors=True)
        name, settings = str(folder.parent.relative_to(root)), plain(run_config(self.job, member, model))
        if self.kind == "csv":
            self._loggers[index] = CSVLogger(root, name, folder.name)
        else:
            self._loggers[index] = TensorBoardLogger(root, name, folder.name, default_hp_metric=False)
        self._loggers[index].log_hyperparams(settings)

    def _send(self, model: LitSequenceModel) -> None:
        for index, logger in list(self._loggers.items()):
            rows = [history_row(point) for point in learning_curve(model, index, start=self._sent)]
            self._guarded(index, partial(_log, logger, rows))
        self._sent = len(model.curve)

    def _guarded(self, index: int, call: Callable[[], object]) -> None:
        """Call into a logger for an instance; if that fails, say so and leave it alone from there on."""
        try:
            call()
        except Exception as error:
            # The loggers' errors share no base class, and none of them is worth a training.
            self._loggers.pop(index, None)
            reason = printable(str(error), most=300) or type(error).__name__
            folder = Path(self.job.runs_dir, self.kind)
            print(f"{folder}: {self.job.name}: given up ({reason})", file=sys.stderr, flush=True)


def _log(logger: _Logger, rows: Sequence[dict[str, float]]) -> None:
    for row in rows:
        logger.log_metrics({name: value for name, value in row.items() if name != "step"}, step=int(row["step"]))
    logger.save()
