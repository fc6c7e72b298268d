"""A whole suite as ``rnnbench run`` trains it, against the same runs one after the other in plain Lightning.

Every time is that of one run, a training with its evaluation at the end. rnnbench's holds all that the command does:
starting its processes, importing, writing records. The plain side imports before it is timed, and runs the plain
loop; it trains some of the instances, since each takes as long as another.
"""

import math
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import lightning as L
import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from rnnbench.benchmark.config.construct import build_data_module, recurrence_factory
from rnnbench.benchmark.config.suite import load_suite
from rnnbench.benchmark.errors import UserError
from rnnbench.benchmark.run.train import quiet_lightning
from rnnbench.benchmark.speed.contender import Contender, Report, Result
from rnnbench.benchmark.speed.overhead import LARGEST_NORM, LEARNING_RATE, adding, write_suite
from rnnbench.datamodules.task import Batch
from rnnbench.leaderboard.record import read_record
from rnnbench.lit_models.network import make_network
from rnnbench.lit_models.scan.policy import use_backend

#: ``rnnbench`` itself, which ends with the process that started it, and its workers with it.
_COMMAND = """
import sys
from rnnbench.benchmark.launchers.worker import end_with_parent
end_with_parent(int(sys.argv[1]))
from rnnbench.benchmark.command.cli import main
sys.exit(main(sys.argv[2:]))
"""


class PlainModule(L.LightningModule):
    """A network that learns the root mean square error, as a tutorial would write it."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """Return the loss of a batch."""
        loss = functional.mse_loss(self.network(batch.inputs), batch.targets).sqrt()
        self.log("train_loss", loss, prog_bar=True)
        return loss

    def validation_step(self, batch: Batch, batch_idx: int, dataloader_idx: int = 0) -> None:
        """Average the squared errors over a split's batches."""
        error = functional.mse_loss(self.network(batch.inputs), batch.targets)
        self.log(f"mse/{dataloader_idx}", error, batch_size=len(batch.inputs), add_dataloader_idx=False)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Return torch's Adam."""
        return torch.optim.Adam(self.parameters(), lr=LEARNING_RATE)


def train_alone(network: nn.Module, data: L.LightningDataModule, steps: int, folder: Path) -> list[float]:
    """Train a network, evaluate it at the end, and return the errors of validation and test."""
    settings: dict[str, Any] = {"check_val_every_n_epoch": None, "val_check_interval": steps}
    settings |= {"num_sanity_val_steps": 0, "gradient_clip_val": LARGEST_NORM, "enable_model_summary": False}
    trainer = L.Trainer(accelerator="cpu", max_steps=steps, max_epochs=-1, default_root_dir=folder, **settings)
    trainer.fit(PlainModule(network), datamodule=data)
    return [trainer.callback_metrics[f"mse/{index}"].sqrt().item() for index in (0, 1)]


@dataclass(frozen=True)
class SuiteCase:
    """M instances of each configuration, of N units, trained on the adding problem of length T in batches of B.

    ``sampled`` instances of each are trained on the plain side; ``updates`` are optimiser steps of a run, ``evaluated``
    the sequences of validation and of test.
    """

    configurations: int = 12
    instances: int = 5
    sampled: int = 1
    units: int = 50
    sequences: int = 32
    steps: int = 100
    updates: int = 500
    evaluated: int = 2000

    def networks(self) -> dict[str, Any]:
        """Return the first configurations, by name."""

        def spec(name: str, **settings: Any) -> dict[str, Any]:
            return {"class_path": name, "init_args": {"hidden_size": self.units, **settings}}

        angles = [0.0, math.pi / 4]
        all_of_them = {
            "WCRNN scalar": spec("WCRNN", residual="scalar", r=0.995),
            "LSTM": spec("LSTM"),
            "Elman": spec("ElmanRNN"),
            "WCRNN diagonal": spec("WCRNN", residual="diagonal", r=[0.9, 1.0]),
            "WCRNN rotation": spec("WCRNN", residual="rotation", phi=angles),
            "WCRNN rotation, diagonal": spec("WCRNN", residual="rotation_diagonal", r=[0.99, 1.0], phi=angles),
            "WCRNN orthogonal": spec("WCRNN", residual="orthogonal"),
            "WCRNN form A": spec("WCRNN", residual="diagonal", r=[0.9, 1.0], form="A"),
            "WCRNN form B": spec("WCRNN", residual="diagonal", r=[0.9, 1.0], form="B"),
            "Elman relu": spec("ElmanRNN", time_activation="relu"),
            "GRU": spec("GRU"),
            "CP-2RNN": spec("SecondOrderRNN", rank=max(1, self.units // 2)),
        }
        return dict(list(all_of_them.items())[: self.configurations])

    def write(self, folder: Path) -> Path:
        """Write the suite's file and return its path."""
        task = adding(self.steps, self.evaluated)
        return write_suite(folder, task, self.networks(), self.instances, self.sequences, self.updates)


def build_plain(case: SuiteCase) -> Callable[[], Result]:
    """Prepare the sampled runs, one after the other."""

    def work() -> Result:
        scores = {}
        with tempfile.TemporaryDirectory() as folder, quiet_lightning(), use_backend("loop"):
            for experiment in load_suite(case.write(Path(folder))).experiments:
                for instance in range(case.sampled):
                    data = build_data_module(experiment.config)
                    network = make_network(recurrence_factory(experiment.config["recurrence"]), data.task, instance)
                    found = train_alone(network, data, case.updates, Path(folder))
                    scores[f"{experiment.network}/{instance}"] = np.array(found)
        return scores

    return work


def build_command(case: SuiteCase, workers: int | None) -> Callable[[], Result]:
    """Prepare ``rnnbench run`` with so many workers; None for one per core."""

    def work() -> Result:
        with tempfile.TemporaryDirectory() as folder:
            path, runs = case.write(Path(folder)), Path(folder) / "runs"
            options = ["--runs-dir", str(runs), *([] if workers is None else ["--workers", str(workers)])]
            command = [sys.executable, "-c", _COMMAND, str(os.getpid()), "run", str(path), *options]
            # Not the output of this process: the answers to the driver go there.
            ended = subprocess.run(  # noqa: S603
                command, env={**os.environ, "CUDA_VISIBLE_DEVICES": ""}, capture_output=True, text=True, check=False
            )
            if ended.returncode:
                raise UserError(f"rnnbench run ended with exit code {ended.returncode}: {ended.stderr.strip()[-300:]}")
            scores = {}
            for file in sorted(runs.rglob("*.json")):
                record = read_record(file)
                point = record.curve[-1]
                scores[f"{record.network}/{record.instance}"] = np.array([point.val["rmse"], point.test["rmse"]])
            return scores

    return work


_CASE = SuiteCase()
_SMALL = SuiteCase(instances=2, sampled=2, units=4, sequences=8, steps=6, updates=4, evaluated=20)
REPORTS = (
    Report(
        title="runs of a suite on Adding(100), each with its evaluation",
        case=_CASE,
        quick=replace(_SMALL, configurations=2, sampled=1),
        full=replace(_CASE, sampled=_CASE.instances),
        contenders=(
            Contender(
                "plain Lightning, run after run",
                build_plain,
                instances=lambda case: case.configurations * case.sampled,
            ),
            Contender(
                "rnnbench run, one worker per core",
                partial(build_command, workers=None),
                largest_ratio=0.25,
                instances=lambda case: case.configurations * case.instances,
                whole_machine=True,
            ),
            Contender(
                "rnnbench run, one worker",
                partial(build_command, workers=1),
                instances=lambda case: case.configurations * case.instances,
            ),
        ),
        # Scores after a few steps in single precision.
        tolerance=1e-4,
        agreement=_SMALL,
        once=True,
        note=(
            "Of each configuration the plain side trains as many instances as 'sampled' says (all of them with "
            "--full). Its start and imports are not counted; those of rnnbench and its workers are."
        ),
    ),
)
