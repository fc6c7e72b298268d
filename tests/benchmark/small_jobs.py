"""Small experiments and their jobs for tests, and the command as a user starts it."""

import os
import subprocess
from pathlib import Path
from typing import Any

import lightning as L
import pytest
from lightning.pytorch.callbacks import LambdaCallback

from rnnbench.benchmark.config.experiment import Experiment
from rnnbench.benchmark.config.options import TrainOptions
from rnnbench.benchmark.config.recipe import Recipe
from rnnbench.benchmark.measures import resolve_measures
from rnnbench.benchmark.run import train as training
from rnnbench.benchmark.run.job import Job, Member
from rnnbench.leaderboard.record import read_record
from rnnbench.leaderboard.schema import Record
from tests.benchmark.forked import run_forked

ROOT = Path(__file__).parents[2]


def adding_experiment(
    recipe: Recipe, recurrence: str = "ElmanRNN", grid: Any = None, measures: Any = (), **sizes: Any
) -> Experiment:
    """An experiment on the adding task, of four units unless ``hidden_size`` is among the sizes."""
    units = {"hidden_size": sizes.pop("hidden_size", 4)}
    config = {
        "task": {"class_path": "Adding", "init_args": {"length": 6, "val_size": 20, "test_size": 20, **sizes}},
        "recurrence": {"class_path": recurrence, "init_args": units},
        "training": recipe.model_dump(),
        "seed": 1,
    }
    return Experiment("tiny", "smoke", "ADD", recurrence, config, grid or {}, None, resolve_measures(list(measures)))


def job_of(experiment: Experiment, runs_dir: Path, instances: tuple[int, ...] = (0, 1)) -> Job:
    """All points of an experiment's grid for some instances."""
    points = experiment.points()
    return Job(experiment, tuple(Member(point.id, instance) for instance in instances for point in points), runs_dir)


def train(job: Job, **options: Any) -> list[Record]:
    """Train a job on the CPU and return its records."""
    training.train(job, TrainOptions(accelerator="cpu", **options))
    return [read_record(job.record_path(member)) for member in job.members]


def interrupt(job: Job, step: int, **options: Any) -> list[Record]:
    """Train a job up to a step, where it is interrupted, and return its records."""

    def stop(trainer: L.Trainer, *_: Any) -> None:
        if trainer.global_step == step:
            raise KeyboardInterrupt

    make_trainer, stopper = training.make_trainer, LambdaCallback(on_train_batch_end=stop)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(training, "make_trainer", lambda *given: make_trainer(*given, stopper))
        with pytest.raises((KeyboardInterrupt, SystemExit)):
            train(job, **options)
    return [read_record(job.record_path(member)) for member in job.members]


def write_own_project(parent: Path) -> Path:
    """A project with a suite ``own.yaml`` and a class of its own, in a folder whose path and content may mislead."""
    folder = parent / "100% [v2] run::3 $HOME"
    for name in ("benchmark", "datamodules"):
        (folder / name).mkdir(parents=True)
        (folder / name / "__init__.py").write_text('"""The project\'s own."""\n', encoding="utf-8")
    source = "from rnnbench.lit_models.recurrences.elman import ElmanRNN\n\n\nclass Leaky(ElmanRNN):\n    pass\n"
    (folder / "leaky.py").write_text(source, encoding="utf-8")
    suite = """
        instances: 2
        tasks: {ADD8: {class_path: Adding, init_args: {length: 8, train_size: 32, val_size: 8, test_size: 8}}}
        networks: {Leaky: {class_path: leaky.Leaky, init_args: {hidden_size: 3}}}
        training: {batch_size: 16, max_steps: 2, validate_every: 2}
        """
    (folder / "own.yaml").write_text(suite, encoding="utf-8")
    return folder


def rnnbench(folder: Path, *words: str, **options: Any) -> subprocess.CompletedProcess[str]:
    """Run the command in a folder, without real data."""
    environment = {name: value for name, value in os.environ.items() if name != "RNNBENCH_DATA"}
    return run_forked(folder, words, environment, **options)
