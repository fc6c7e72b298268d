"""Training steps through Lightning's Trainer, as rnnbench trains, against a bare loop that does the same work.

A run trains from the start, and its time is that of the steps after the first few, without set-up and evaluation.
Checkpoints are on, but none falls among these steps: one is written every half minute and at evaluations.
"""

import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, Literal

import lightning as L
import torch
import yaml

from rnnbench.benchmark.config.options import TrainOptions
from rnnbench.benchmark.config.suite import load_suite
from rnnbench.benchmark.launchers.plan import make_plan
from rnnbench.benchmark.run.callbacks.resume_checkpoint import TrainingClock
from rnnbench.benchmark.run.callbacks.take_measures import TakeMeasures
from rnnbench.benchmark.run.job import Job
from rnnbench.benchmark.run.lean_trainer import LeanTrainer
from rnnbench.benchmark.run.train import build, make_trainer, quiet_lightning
from rnnbench.benchmark.speed.cases import CLASSES, class_losses
from rnnbench.benchmark.speed.contender import Contender, Measured, Report
from rnnbench.datamodules.loader import SequenceSource
from rnnbench.datamodules.seeds import named_generator
from rnnbench.datamodules.sequence_data_module import SequenceDataModule
from rnnbench.datamodules.sources import FixedSource
from rnnbench.datamodules.task import Batch, Metric, Task
from rnnbench.lit_models.ensemble import Ensemble
from rnnbench.lit_models.lit_sequence_model import LitSequenceModel
from rnnbench.lit_models.network import Network

#: Of all trainings, and of the loops that do the same without rnnbench.
LEARNING_RATE, LARGEST_NORM = 1e-3, 1.0
_EVALUATED = 100


class RandomPixels(SequenceDataModule):
    """Classify sequences [T, 1] of random pixels, held as bytes like images, into random classes: no data is needed.

    ``size`` is the number of training sequences; validation and test take a batch each.

    >>> data = RandomPixels(length=5, size=8, batch_size=4)
    >>> data.setup()
    >>> [tuple(tensor.shape) for tensor in next(iter(data.train_dataloader()))[:2]]
    [(4, 5, 1), (4,)]
    """

    def __init__(self, length: int, size: int, **loading: int) -> None:
        super().__init__(**loading)
        self.length = length
        self.size = size

    @property
    def task(self) -> Task:
        """Ten classes at the last step, ranked by accuracy."""
        metrics = (Metric("accuracy", "max", chance=1 / CLASSES, best=1.0),)
        return Task(f"pixels{self.length}", 1, CLASSES, self.length, "last", "cross_entropy", metrics)

    def make_sources(self) -> dict[str, SequenceSource]:
        """Draw the three splits."""
        sources: dict[str, SequenceSource] = {}
        for split, size in {"train": self.size, "val": self.batch_size, "test": self.batch_size}.items():
            generator = named_generator("speed", "pixels", split, self.seed)
            pixels = torch.randint(256, (size, self.length, 1), dtype=torch.uint8, generator=generator)
            sources[split] = FixedSource(pixels, torch.randint(CLASSES, (size,), generator=generator), scale=255.0)
        return sources


@dataclass(frozen=True)
class TrainingCase:
    """M WCRNNs of N units with diagonal R, trained on batches of B sequences of T steps.

    ``updates`` optimiser steps are timed, after ``warm_up`` others.
    """

    task: Literal["random pixels", "Adding"]
    instances: int
    units: int
    sequences: int
    steps: int
    updates: int
    warm_up: int = 5

    def job(self, folder: Path) -> Job:
        """Return what ``rnnbench run`` would train, in a folder of its own, with no evaluation before its end."""
        updates = self.warm_up + self.updates
        pixels = {"length": self.steps, "size": self.sequences * updates}
        task = {"class_path": f"{__name__}.RandomPixels", "init_args": pixels}
        if self.task == "Adding":
            task = adding(self.steps, _EVALUATED)
        settings = {"hidden_size": self.units, "residual": "diagonal", "r": [0.9, 1.0]}
        networks = {"WCRNN": {"class_path": "WCRNN", "init_args": settings}}
        path = write_suite(folder, task, networks, self.instances, self.sequences, updates)
        (job,) = make_plan(load_suite(path).experiments, tuple(range(self.instances)), folder).jobs
        job.folder.mkdir(parents=True)
        return job


def adding(length: int, evaluated: int) -> dict[str, Any]:
    """Return the specification of the adding problem, with so many sequences for validation and for test."""
    return {"class_path": "Adding", "init_args": {"length": length, "val_size": evaluated, "test_size": evaluated}}


def write_suite(
    folder: Path, task: dict[str, Any], networks: dict[str, Any], instances: int, sequences: int, updates: int
) -> Path:
    """Write the suite of a task into a folder and return its path: batches of ``sequences``, evaluated at the end."""
    length = {"batch_size": sequences, "max_steps": updates, "validate_every": updates}
    training = {"optimizer": "adam", "learning_rate": LEARNING_RATE, "gradient_clip_norm": LARGEST_NORM, **length}
    content = {"title": "Trainings to be timed", "instances": instances, "tasks": {"task": task}}
    content |= {"networks": networks, "training": training}
    path = folder / "timed.yaml"
    path.write_text(yaml.safe_dump(content), encoding="utf-8")
    return path


class Stopwatch(L.Callback):
    """Measures the time of the steps after the first ``warm_up``, which are at least one."""

    def __init__(self, warm_up: int) -> None:
        self.warm_up = warm_up
        self._steps = 0
        self._began = self._ended = (0.0, 0.0)

    def on_train_batch_end(self, *arguments: Any, **others: Any) -> None:
        """Count a step, of the Trainer's or of another loop."""
        self._steps += 1
        self._ended = time.process_time(), time.perf_counter()
        if self._steps == self.warm_up:
            self._began = self._ended

    def measured(self, ensemble: Ensemble[Network]) -> Measured:
        """Return the time of the steps, with the weights that they led to."""
        weights = {name: value.detach().double().numpy() for name, value in ensemble.named_parameters()}
        process, wall = (end - begin for begin, end in zip(self._began, self._ended, strict=True))
        return Measured(weights, process, wall)


_Fit = Callable[[Job, SequenceDataModule, LitSequenceModel, Stopwatch], None]


def build_training(case: TrainingCase, fit: _Fit) -> Callable[[], Measured]:
    """Prepare a training."""

    def work() -> Measured:
        with tempfile.TemporaryDirectory() as folder, quiet_lightning():
            job, watch = case.job(Path(folder)), Stopwatch(case.warm_up)
            data, model = build(job, None)
            data.setup()
            fit(job, data, model, watch)
            return watch.measured(model.ensemble)

    return work


def fit_bare(job: Job, data: SequenceDataModule, model: LitSequenceModel, watch: Stopwatch) -> None:
    """Train in a loop of loss, backward, clipping per instance and torch's Adam alone, over batches read before."""
    batches = list(islice(data.train_dataloader(), _steps(job)))
    train_bare(model.ensemble, data.task.loss == "rmse", batches, watch.on_train_batch_end)


def train_bare(ensemble: Ensemble[Network], root: bool, batches: list[Batch], step_done: Callable[[], None]) -> None:
    """Train on batches in turn, by the root of the mean squared error, or the cross-entropy at the last step."""
    parameters = list(ensemble.parameters())
    optimizer = torch.optim.Adam(parameters, lr=LEARNING_RATE)
    for inputs, targets, _ in batches:
        optimizer.zero_grad()
        outputs = ensemble(inputs)
        losses = (outputs - targets).square().mean((1, 2)).sqrt() if root else class_losses(outputs, targets)
        torch.autograd.backward(losses.sum())
        gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
        norms = torch.stack([gradient.flatten(1).norm(dim=1) for gradient in gradients]).norm(dim=0)
        scales = (LARGEST_NORM / (norms + 1e-6)).clamp(max=1.0)
        for gradient in gradients:
            gradient.mul_(scales.view(-1, *[1] * (gradient.dim() - 1)))
        optimizer.step()
        step_done()


def fit_as_run(job: Job, data: SequenceDataModule, model: LitSequenceModel, watch: Stopwatch) -> None:
    """Train as ``rnnbench run`` does, with its callbacks."""
    options = TrainOptions(accelerator="cpu")
    make_trainer(job, options, TakeMeasures({}), TrainingClock(), watch).fit(model, datamodule=data)


def fit_as_fit(job: Job, data: SequenceDataModule, model: LitSequenceModel, watch: Stopwatch) -> None:
    """Train as ``rnnbench fit`` does: with a progress bar, Lightning's logger and its checkpoints."""
    settings: dict[str, Any] = {"accelerator": "cpu", "limit_val_batches": 0, "default_root_dir": job.folder}
    LeanTrainer(max_steps=_steps(job), callbacks=[watch], **settings).fit(model, datamodule=data)


def _steps(job: Job) -> int:
    return job.point(job.members[0]).recipe.max_steps or 0


def _report(case: TrainingCase, largest: float, quick: TrainingCase | None = None) -> Report[TrainingCase]:
    instances = f"{case.instances} instance{'s' if case.instances > 1 else ''}"
    return Report(
        title=f"{case.updates} optimiser steps of {instances} through the Trainer, {case.task}",
        case=case,
        quick=quick,
        contenders=(
            Contender("bare loop", partial(build_training, fit=fit_bare)),
            Contender("as rnnbench run", partial(build_training, fit=fit_as_run), largest),
            Contender("as rnnbench fit, with its progress bar", partial(build_training, fit=fit_as_fit)),
        ),
        # Weights after as many steps in single precision, of which Adam makes as much whatever their gradient's size.
        tolerance=1e-3,
    )


_ADDING = TrainingCase("Adding", instances=5, units=50, sequences=32, steps=100, updates=100)
REPORTS = (
    _report(TrainingCase("random pixels", 1, 100, 128, 784, updates=10, warm_up=2), 1.03),
    _report(_ADDING, 1.15, quick=replace(_ADDING, units=8, steps=10, updates=4, warm_up=2)),
)
