"""Scoring a trained network again, as its run did or on sequences of another length."""

from __future__ import annotations

import math
from pathlib import Path
from typing import NamedTuple

import lightning as L
from lightning.fabric.plugins.environments.lightning import LightningEnvironment

from rnnbench.benchmark.config.experiment import MOST_INSTANCES
from rnnbench.benchmark.errors import UserError, shown
from rnnbench.benchmark.run.train import quiet_lightning
from rnnbench.benchmark.run.trained import Trained, available_data, recorded_backend
from rnnbench.lit_models.lit_sequence_model import SPLITS

#: Scores that differ by less are the same, trained on another machine or by another backend.
TOLERANCE = 1e-6


class Rescored(NamedTuple):
    """What a network scores, and what its record has, by split and metric; ``remark`` says whether they agree."""

    scores: dict[str, dict[str, float | None]]
    recorded: dict[str, dict[str, float | None]]
    remark: str


def rescore(trained: Trained, length: int | None = None, data_dir: Path | None = None) -> Rescored:
    """Score an instance on the validation and the test split.

    It is scored as one of as many copies as were trained together, in its own place: on the machine that trained it
    this repeats every rounding of the run.

    Args:
        trained: the instance, with its record.
        length: of the sequences, for a task that has such a setting; None for that of training.
        data_dir: folder of the real data sets, if not that of RNNBENCH_DATA.

    Raises:
        UserError: there is no record or there are no data, or the task has no length; or the record cannot be right.
    """
    record = trained.needed_record
    hardware = record.hardware
    together = hardware.get("instances_trained_together", 1)
    if not isinstance(together, int) or not trained.place < together <= MOST_INSTANCES:
        limits = f"above its place, {trained.place}, and at most {MOST_INSTANCES}"
        raise UserError(f"{trained.path}: instances_trained_together must be {limits}, got {shown(together)}")
    data = available_data(trained, data_dir, length)
    model = trained.model(data, together)
    with quiet_lightning(), recorded_backend(record):
        trainer = L.Trainer(
            accelerator="cpu" if hardware.get("accelerator", "cpu") == "cpu" else "auto",
            devices=1,
            plugins=[LightningEnvironment()],
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
        )
        trainer.validate(model, datamodule=data, verbose=False)
    point = model.curve[-1]
    values = {split: {name: each[trained.place] for name, each in point[split].items()} for split in SPLITS}
    scores = {split: {k: v if math.isfinite(v) else None for k, v in values[split].items()} for split in SPLITS}
    recorded = record.scores.model_dump()
    remark = "as recorded"
    if not all(_same(value, recorded[split].get(k)) for split in SPLITS for k, value in scores[split].items()):
        other_data = data.fingerprint() != record.data_fingerprint
        reasons = [trained.edit, "the data are not those of its run" if other_data else ""]
        remark = f"not as recorded{''.join(f': {reason}' for reason in reasons if reason)}"
    elif scores != recorded:
        remark = f"as recorded, to {TOLERANCE:g}"
    return Rescored(scores, recorded, remark)


def _same(value: float | None, recorded: float | None) -> bool:
    if value is None or recorded is None:
        return value is recorded
    return math.isclose(value, recorded, rel_tol=TOLERANCE, abs_tol=TOLERANCE)
