"""Trained networks are loaded and scored again, to the numbers of their records."""

import dataclasses
from pathlib import Path

import lightning as L
import pytest
import torch
from lightning.pytorch.callbacks import LambdaCallback

from rnnbench.benchmark.config.experiment import Experiment
from rnnbench.benchmark.config.options import TrainOptions
from rnnbench.benchmark.config.recipe import Recipe
from rnnbench.benchmark.errors import UserError
from rnnbench.benchmark.run import train as training
from rnnbench.benchmark.run.job import Job, Member
from rnnbench.benchmark.run.rescore import rescore
from rnnbench.benchmark.run.trained import find_trained, load_network
from rnnbench.leaderboard.record import read_record
from rnnbench.leaderboard.schema import Record
from rnnbench.leaderboard.settings import Config
from rnnbench.leaderboard.store import shipped_records
from rnnbench.lit_models.objective import instance_metrics
from rnnbench.lit_models.recurrence import Recurrence
from tests.benchmark.small_jobs import adding_experiment, job_of, train
from tests.contracts.builders import variants
from tests.contracts.test_instance_alone import COPY, LSTM, TASKS
from tests.datamodules.small_texts import write_texts

SLOW = pytest.mark.slow
RATE = "training.learning_rate"
ADDING_RECIPE = {"optimizer": "sgd", "batch_size": 8, "max_steps": 60, "validate_every": 5}


def trained(task: Config, recurrence: Config, folder: Path) -> Job:
    """Three instances of an experiment, of which the last diverges before its first evaluation."""
    recipe = Recipe(optimizer="adamw", weight_decay=0.1, batch_size=8, max_steps=6, validate_every=2)
    config = {"task": task, "recurrence": recurrence, "training": recipe.model_dump(), "seed": 1}
    experiment = Experiment("tiny", "smoke", "task", "network", config, {RATE: (0.02, 1e200)})
    first, last = (point.id for point in experiment.points())
    job = Job(experiment, (Member(first, 0), Member(first, 1), Member(last, 2)), folder)
    training.train(job, TrainOptions(accelerator="cpu"))
    return job


def alone(path: Path) -> float:
    """The ranked test score of a loaded network, computed without an ensemble or a Trainer."""
    network, data = load_network(path)
    data.setup()
    metric = instance_metrics(data.task, 1)[0]
    state = None
    for batch in data.test_dataloader():
        with torch.inference_mode():
            if data.task.carries_state:
                outputs, state = network(batch.inputs, batch.lengths, state, carry=True)
            else:
                outputs = network(batch.inputs, batch.lengths)
        metric.update(outputs[None], batch.targets, batch.lengths)
    return float(metric.compute())


def assert_scores_again(path: Path) -> Record:
    record = read_record(path)
    if record.best_step is None:
        with pytest.raises(UserError, match="diverged at step"):
            load_network(path)
        return record
    again = rescore(find_trained(path))
    assert again.scores == again.recorded == record.scores.model_dump()
    assert alone(path) == pytest.approx(record.scores.test[record.ranked.name], rel=1e-6, abs=1e-6)
    return record


@pytest.mark.parametrize("task", TASKS.values(), ids=TASKS)
def test_tasks(task: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RNNBENCH_DATA", str(write_texts(tmp_path / "data")))
    job = trained(task, LSTM, tmp_path)
    records = [assert_scores_again(job.record_path(member)) for member in job.members[1:]]
    assert [record.status for record in records] == ["finished", "diverged"]


RECURRENCES = [
    pytest.param(*each.values, id=each.id, marks=() if each.id in ("FeedForwardTruncation", "OrthogonalRNN") else SLOW)
    for each in variants()
]


@pytest.mark.parametrize(("cls", "arguments"), RECURRENCES)
def test_every_recurrence(cls: type[Recurrence], arguments: dict[str, object], tmp_path: Path) -> None:
    given = {
        name: {"class_path": value.func.__name__, "init_args": value.keywords} if hasattr(value, "func") else value
        for name, value in arguments.items()
        if name != "input_size"
    }
    job = trained(COPY, {"class_path": cls.__name__, "init_args": given}, tmp_path)
    assert_scores_again(job.record_path(job.members[1]))


def one_diverges_midway(patch: pytest.MonkeyPatch) -> None:
    def spoil(trainer: L.Trainer, model: L.LightningModule, *_: object) -> None:
        if trainer.global_step == 12:
            model.ensemble.network.readout.weight.data[0] = torch.inf

    make_trainer, spoiler = training.make_trainer, LambdaCallback(on_train_batch_end=spoil)
    patch.setattr(training, "make_trainer", lambda *given: make_trainer(*given, spoiler))


@pytest.mark.parametrize(
    ("settings", "pilot", "status"),
    [
        ({}, False, "diverged"),
        pytest.param({"test_at": "last"}, False, "diverged", marks=SLOW),
        pytest.param({"patience": 20}, False, "finished", marks=SLOW),
        ({"patience": 20, "test_at": "last"}, True, "finished"),
    ],
    ids=["diverged midway", "the last before it diverged", "stopped early", "a pilot that stopped early"],
)
def test_sweeps(settings: dict, pilot: bool, status: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    experiment = adding_experiment(Recipe(**ADDING_RECIPE, **settings), grid={RATE: (0.3, 0.1)}, train_size=64)
    job = job_of(dataclasses.replace(experiment, is_pilot=pilot), tmp_path)
    if status == "diverged":
        one_diverges_midway(monkeypatch)
    train(job)
    records = [assert_scores_again(job.record_path(member)) for member in job.members]
    assert records[0].status == status
    assert records[0].best_step
    assert len({record.best_step for record in records}) > 1
    assert pilot == (".pilots" in str(job.record_path(job.members[0])))
    if settings.get("patience"):
        assert len({record.stopped_at for record in records}) > 1


PUBLISHED = sorted(shipped_records().rglob("*.safetensors"))


@pytest.mark.parametrize(
    "path",
    [pytest.param(path, marks=SLOW if place % 50 else ()) for place, path in enumerate(PUBLISHED)],
    ids=lambda path: f"{path.parent.parent.name}-{path.parent.name}-{path.stem}",
)
def test_published_weights_score_what_their_record_says(path: Path) -> None:
    assert rescore(find_trained(path)).remark.startswith("as recorded")


def test_some_weights_are_published() -> None:
    assert PUBLISHED
