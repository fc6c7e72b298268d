"""The trainings of the reports ``overhead`` and ``suite``, written as suites that ``rnnbench run`` could train."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import yaml

from rnnbench.benchmark.config.suite import load_suite
from rnnbench.benchmark.launchers.plan import make_plan
from rnnbench.benchmark.run.job import Job

#: Of all trainings, and of the loops that do the same without rnnbench.
LEARNING_RATE, LARGEST_NORM = 1e-3, 1.0
_EVALUATED = 100


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

    @property
    def all_updates(self) -> int:
        """Optimiser steps of a run."""
        return self.warm_up + self.updates

    def job(self, folder: Path) -> Job:
        """Return what ``rnnbench run`` would train, in a folder of its own, with no evaluation before its end."""
        pixels = {"length": self.steps, "size": self.sequences * self.all_updates}
        task = {"class_path": "rnnbench.benchmark.speed.random_pixels.RandomPixels", "init_args": pixels}
        if self.task == "Adding":
            task = adding(self.steps, _EVALUATED)
        settings = {"hidden_size": self.units, "residual": "diagonal", "r": [0.9, 1.0]}
        networks = {"WCRNN": {"class_path": "WCRNN", "init_args": settings}}
        path = write_suite(folder, task, networks, self.instances, self.sequences, self.all_updates)
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
