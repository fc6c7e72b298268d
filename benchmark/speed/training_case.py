"""The trainings of the reports ``overhead`` and ``suite``, written as suites that ``rnnbench run`` could train."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
import yaml

from rnnbench.benchmark.config.suite import load_suite
from rnnbench.benchmark.launchers.plan import make_plan
from rnnbench.benchmark.run.job import Job
from rnnbench.benchmark.speed.cases import CLASSES
from rnnbench.datamodules.loader import SequenceSource
from rnnbench.datamodules.seeds import named_generator
from rnnbench.datamodules.sequence_data_module import SequenceDataModule
from rnnbench.datamodules.sources import FixedSource
from rnnbench.datamodules.task import Metric, Task

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
