"""Scoring a trained network again, as its run did or on sequences of another length."""

from __future__ import annotations

from pathlib import Path

import lightning as L
from lightning.fabric.plugins.environments.lightning import LightningEnvironment

from rnnbench.benchmark.run.train import quiet_lightning
from rnnbench.benchmark.run.trained import Trained, available_data
from rnnbench.lit_models.lit_sequence_model import SPLITS
from rnnbench.lit_models.scan.policy import use_backend

#: By split and metric.
Scores = dict[str, dict[str, float]]


def rescore(trained: Trained, length: int | None = None, data_dir: Path | None = None) -> Scores:
    """Score an instance on the validation and the test split.

    It is scored as one of as many copies as were trained together, in its own place: on the machine that trained it
    this repeats every rounding of the run.

    Args:
        trained: the instance, with its record.
        length: of the sequences, for a task that has such a setting; None for that of training.
        data_dir: folder of the real data sets, if not that of RNNBENCH_DATA.

    Raises:
        UserError: there are no weights or data, or the task has no length.
    """
    record = trained.needed_record
    data = available_data(trained, data_dir, length)
    copies = max(trained.place + 1, record.hardware.get("instances_trained_together", 1))
    model = trained.model(data, copies)
    gpu = record.hardware.get("accelerator", "cpu") != "cpu"
    with quiet_lightning(), use_backend(record.hardware.get("scan", "auto")):
        trainer = L.Trainer(
            accelerator="auto" if gpu else "cpu",
            devices=1,
            plugins=[LightningEnvironment()],
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
        )
        trainer.validate(model, datamodule=data, verbose=False)
    point = model.curve[-1]
    return {split: {name: values[trained.place] for name, values in point[split].items()} for split in SPLITS}
