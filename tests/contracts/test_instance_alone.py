"""An instance gives the same record trained alone and in an ensemble, whatever happens to the others."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from rnnbench.benchmark.config.experiment import Experiment
from rnnbench.benchmark.config.options import TrainOptions
from rnnbench.benchmark.config.recipe import Recipe
from rnnbench.benchmark.run.callbacks.resume_checkpoint import TrainingClock
from rnnbench.benchmark.run.callbacks.take_measures import TakeMeasures
from rnnbench.benchmark.run.job import Job, Member
from rnnbench.benchmark.run.recording import Run, Start, make_record
from rnnbench.benchmark.run.train import build, train
from rnnbench.leaderboard.record import read_record
from rnnbench.leaderboard.schema import Record
from rnnbench.leaderboard.settings import Config
from rnnbench.lit_models.lit_sequence_model import LitSequenceModel
from rnnbench.lit_models.presets import PRESETS
from rnnbench.lit_models.recurrence import Recurrence
from tests.contracts.builders import variants
from tests.datamodules.small_texts import write_texts
from tests.leaderboard.factory import comparable
from tests.lit_models.small_runs import fit

STEPS, EVERY, INSTANCE, DIVERGING = 24, 12, 3, 4
TOLERANCE = {"64-true": 1e-8, "32-true": 1e-3}
SIZES = {"train_size": 40, "val_size": 16, "test_size": 16, "eval_batch_size": 10}
ADDING = {"class_path": "Adding", "init_args": {**SIZES, "length": 6}}
COPY = {"class_path": "DelayedCopy", "init_args": {**SIZES, "delay": 2, "width": 2, "length": 5}}
CLIPPED = {"gradient_clip_norm": 0.1, "schedule": "cosine", "warmup_steps": 5}
OPTIMIZERS = {
    "sgd": {"optimizer": "sgd", "momentum": 0.9},
    "sgd decayed": {"optimizer": "sgd", "momentum": 0.9, "weight_decay": 0.01},
    "adam": {"optimizer": "adam"},
    "adam decayed": {"optimizer": "adam", "weight_decay": 0.01},
    "adamw": {"optimizer": "adamw", "weight_decay": 0.1},
    "sgd clipped": {"optimizer": "sgd", "momentum": 0.9, **CLIPPED},
    "adam clipped": {"optimizer": "adam", **CLIPPED},
    "adamw clipped": {"optimizer": "adamw", "weight_decay": 0.1, **CLIPPED},
}
LSTM = {"class_path": "LSTM", "init_args": {"hidden_size": 4}}
WCRNN = {"class_path": "WCRNN", "init_args": {**PRESETS["WCRNN_best"].recurrence["init_args"], "hidden_size": 6}}


def make_experiment(task: Config, recurrence: Config, training: Mapping[str, Any]) -> Experiment:
    """One whose second grid point has a learning rate that overflows."""
    settings = {"learning_rate": 0.02, **training}
    recipe = Recipe(batch_size=8, max_steps=STEPS, validate_every=EVERY, **settings)
    config = {"task": task, "recurrence": recurrence, "training": recipe.model_dump(), "seed": 1}
    return Experiment("alone", "smoke", "task", "network", config, {"training.learning_rate": (0.02, 1e200)})


def make_jobs(experiment: Experiment, folder: Path) -> tuple[Job, Job]:
    """The instance in an ensemble of five, of which the last has the learning rate that overflows; and alone."""
    stable, overflowing = (point.id for point in experiment.points())
    members = [Member(overflowing if i == DIVERGING else stable, i) for i in range(5)]
    return Job(experiment, tuple(members), folder / "together"), Job(experiment, (members[INSTANCE],), folder / "alone")


def run(job: Job, precision: str) -> tuple[list[Record], LitSequenceModel]:
    data, model = build(job, None)
    used = fit(model, data, STEPS, EVERY, precision=precision)
    trained = Run(job, model, data, used, TrainingClock(), Start(), TakeMeasures({}), TrainOptions())
    records = [make_record(trained, i, False) for i in range(len(job.members))]
    return records, model


def leaves(value: Any, path: str = "") -> dict[str, Any]:
    """The numbers and words of a nested value by their path."""
    if isinstance(value, Mapping):
        return {k: v for key, inner in value.items() for k, v in leaves(inner, f"{path}.{key}").items()}
    if isinstance(value, list):
        return leaves(dict(enumerate(value)), path)
    return {path: value}


def assert_same(alone: Record, together: Record, tolerance: float) -> None:
    expected, found = leaves(comparable(alone)), leaves(comparable(together))
    measured = {path for path, value in expected.items() if isinstance(value, float)}
    assert any(path.startswith(".curve.1.test") for path in measured)
    assert {k: v for k, v in found.items() if k not in measured} == {
        k: v for k, v in expected.items() if k not in measured
    }
    assert {k: found[k] for k in measured} == pytest.approx({k: expected[k] for k in measured}, rel=tolerance)


def check(task: Config, recurrence: Config, training: Mapping[str, Any], precision: str, folder: Path) -> list[Record]:
    """Compare records, last weights and best weights of the instance, and return the ensemble's records."""
    tolerance = TOLERANCE[precision]
    together_job, alone_job = make_jobs(make_experiment(task, recurrence, training), folder)
    (alone,), alone_model = run(alone_job, precision)
    records, model = run(together_job, precision)
    assert alone.status == "finished"
    assert alone.curve[0].val != alone.curve[1].val
    assert_same(alone, records[INSTANCE], tolerance)
    for ours, theirs in (
        (model.ensemble.state_dict(), alone_model.ensemble.state_dict()),
        (model.best_weights, alone_model.best_weights),
    ):
        assert ours.keys() == theirs.keys()
        for name, stack in ours.items():
            torch.testing.assert_close(stack[INSTANCE], theirs[name][0], rtol=tolerance, atol=tolerance, msg=name)
    others = [record for record in records if record.instance != INSTANCE]
    assert all(record.curve[0].val != alone.curve[0].val for record in others)
    assert all(weights.isfinite().all() for weights in model.ensemble.parameters())
    return records


def assert_only_the_last_diverged(records: list[Record]) -> None:
    assert [record.status for record in records] == ["finished"] * 4 + ["diverged"]
    # The first step leaves finite weights in double precision, and its rate is infinite in single.
    assert records[DIVERGING].diverged_at in (1, 2)
    assert {value for point in records[DIVERGING].curve for value in point.val.values()} == {None}


@pytest.mark.parametrize("precision", TOLERANCE)
@pytest.mark.parametrize(
    ("recurrence", "optimizer"),
    [*((LSTM, name) for name in OPTIMIZERS), (WCRNN, "sgd clipped")],  # which has heterogeneous buffers
    ids=[*OPTIMIZERS, "buffers"],
)
def test_optimizers(recurrence: Config, optimizer: str, precision: str, tmp_path: Path) -> None:
    assert_only_the_last_diverged(check(ADDING, recurrence, OPTIMIZERS[optimizer], precision, tmp_path))


TASKS = {
    "classification at every step": {"class_path": "CopyMemory", "init_args": {**SIZES, "delay": 1}},
    "unequal lengths": {"class_path": "Music", "init_args": {"max_frames": 20, "eval_batch_size": 3}},
    "embedded tokens": {"class_path": "ATIS", "init_args": {"vocabulary_size": 20, "embedding_size": 3}},
    "carried state": {"class_path": "Shakespeare", "init_args": {"vocabulary_size": 20, "bptt": 5, "eval_streams": 2}},
    "tied weights": {
        "class_path": "WikiText2",
        "init_args": {"vocabulary_size": 20, "bptt": 5, "embedding_size": 4, "tied": True},
    },
}


@pytest.mark.parametrize("task", TASKS.values(), ids=TASKS)
def test_tasks(task: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RNNBENCH_DATA", str(write_texts(tmp_path / "data")))
    assert_only_the_last_diverged(check(task, LSTM, OPTIMIZERS["adamw clipped"], "64-true", tmp_path))


@pytest.mark.parametrize(("cls", "arguments"), variants(slow_extras=True))
def test_every_recurrence(cls: type[Recurrence], arguments: dict[str, object], tmp_path: Path) -> None:
    given = {
        name: {"class_path": value.func.__name__, "init_args": value.keywords} if hasattr(value, "func") else value
        for name, value in arguments.items()
        if name != "input_size"
    }
    spec = {"class_path": cls.__name__, "init_args": given}
    assert_only_the_last_diverged(check(COPY, spec, OPTIMIZERS["adamw clipped"], "64-true", tmp_path))


def test_records_that_training_writes(tmp_path: Path) -> None:
    jobs = make_jobs(make_experiment(ADDING, WCRNN, OPTIMIZERS["adamw clipped"]), tmp_path)
    for job in jobs:
        train(job, TrainOptions(accelerator="cpu"))
    together, alone = ([read_record(job.record_path(member)) for member in job.members] for job in jobs)
    assert_only_the_last_diverged(together)
    assert_same(alone[0], together[INSTANCE], TOLERANCE["32-true"])
    weights = [load_file(job.weights_path(jobs[1].members[0])) for job in jobs]
    torch.testing.assert_close(weights[0], weights[1], rtol=1e-3, atol=1e-3)
