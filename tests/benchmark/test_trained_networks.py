"""Trained networks are loaded, scored and measured again, to the numbers of their records."""

import dataclasses
import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import lightning as L
import numpy as np
import pytest
import torch
from lightning.pytorch.callbacks import LambdaCallback

from rnnbench.benchmark.command.cli import main
from rnnbench.benchmark.config.experiment import Config
from rnnbench.benchmark.config.options import TrainOptions
from rnnbench.benchmark.config.recipe import Recipe
from rnnbench.benchmark.errors import UserError
from rnnbench.benchmark.run import train as training
from rnnbench.benchmark.run.job import Job
from rnnbench.benchmark.run.rescore import rescore
from rnnbench.benchmark.run.trained import find_trained, load_network
from rnnbench.leaderboard.files import read_arrays, side_path
from rnnbench.leaderboard.record import read_record
from rnnbench.leaderboard.schema import Record
from rnnbench.leaderboard.weights_file import weights_path
from rnnbench.lit_models.objective import instance_metrics
from rnnbench.lit_models.recurrence import Recurrence
from tests.benchmark.small_jobs import adding_experiment, job_of, train
from tests.contracts.builders import variants
from tests.contracts.test_instance_alone import COPY, LSTM, OPTIMIZERS, TASKS, make_experiment, make_jobs
from tests.datamodules.small_texts import write_texts

RATE = "training.learning_rate"
ADDING_RECIPE = {"optimizer": "sgd", "batch_size": 8, "max_steps": 60, "validate_every": 5}


@pytest.fixture(autouse=True)
def _denormal_numbers() -> Iterator[None]:
    """Bring back what verbs that compute as training does turn off in their process."""
    yield
    torch.set_flush_denormal(False)


def trained(task: Config, recurrence: Config, folder: Path) -> Job:
    """Five instances of an experiment, of which the last diverges before its first evaluation."""
    job, _ = make_jobs(make_experiment(task, recurrence, OPTIMIZERS["adamw clipped"]), folder)
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
    scores = rescore(find_trained(path))
    assert (scores["val"], scores["test"]) == (record.scores.val, record.scores.test)
    assert alone(path) == pytest.approx(record.scores.test[record.ranked.name], rel=1e-6, abs=1e-6)
    return record


@pytest.mark.parametrize("task", TASKS.values(), ids=TASKS)
def test_tasks(task: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RNNBENCH_DATA", str(write_texts(tmp_path / "data")))
    job = trained(task, LSTM, tmp_path)
    records = [assert_scores_again(job.record_path(member)) for member in (job.members[1], job.members[4])]
    assert [record.status for record in records] == ["finished", "diverged"]


@pytest.mark.parametrize(("cls", "arguments"), variants(slow_extras=True))
def test_every_recurrence(cls: type[Recurrence], arguments: dict[str, object], tmp_path: Path) -> None:
    given = {
        name: {"class_path": value.func.__name__, "init_args": value.keywords} if hasattr(value, "func") else value
        for name, value in arguments.items()
        if name != "input_size"
    }
    job = trained(COPY, {"class_path": cls.__name__, "init_args": given}, tmp_path)
    assert_scores_again(job.record_path(job.members[2]))


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
        ({"test_at": "last"}, False, "diverged"),
        ({"patience": 20}, False, "finished"),
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


MEASURES = [
    {"lyapunov": {"at": ["start", "end"], "samples": 3}},
    {"hessian": {"at": ["start", "end"], "samples": 5, "count": 2}},
    {"gradient_flow": {"at": ["start", "end"], "samples": 4}},
    {"truncation": {"at": ["start", "end"], "samples": 4}},
    {"truncated_training": {"at": ["start", "end"], "ks": [1, 4], "steps": 2}},
    {"stability": {"at": ["start", "end"]}},
    {"memory_capacity": {"at": ["start", "end"], "delays": 4, "steps": 300}},
    {"polynomial_degree": {"at": ["start", "end"], "length": 2}},
]


def lstm_job(runs_dir: Path, measures: list) -> Job:
    recipe = Recipe(batch_size=8, max_steps=6, validate_every=2, test_at="last", stability_input_bound=1.0)
    return job_of(adding_experiment(recipe, "LSTM", measures=measures, train_size=64, hidden_size=3), runs_dir)


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of the two records of an LSTM, of which nothing was measured."""
    folder = tmp_path_factory.mktemp("runs")
    train(lstm_job(folder, []))
    return folder


@pytest.fixture
def copy(runs: Path, tmp_path: Path) -> Path:
    """The record of one of them, in a copy of the folder."""
    shutil.copytree(runs, tmp_path / "runs")
    job = lstm_job(tmp_path / "runs", [])
    return job.record_path(job.members[1])


def test_measures_taken_afterwards_are_those_of_training(copy: Path, tmp_path: Path, capsys) -> None:
    job = lstm_job(tmp_path / "measured", MEASURES)
    expected, path = train(job)[1], job.record_path(job.members[1])
    named = [json.dumps(each) for each in MEASURES]
    for moment in ("start", "end", "best"):
        assert main(["measure", str(copy), "--measure", *named, "--at", moment]) == 0
    record = read_record(copy)
    arrays, beside = read_arrays(side_path(copy)), read_arrays(side_path(path))
    for name, moments in expected.measures.items():
        for moment, one in moments.items():
            assert one.status == "finished"
            for ours in ("best", "end") if moment == "end" else ("start",):
                later = record.measures[name][ours]
                assert (later.summary, later.step, later.status) == (one.summary, one.step, one.status)
                assert later.later.commit == expected.code.commit
                for key in one.arrays:
                    np.testing.assert_array_equal(arrays[key.replace(moment, ours)], beside[key])
    assert "later" not in path.read_text()
    assert main(["check", str(copy), str(path)]) == 0
    # Taking them again does nothing.
    before = copy.read_bytes()
    assert main(["measure", str(copy), "--measure", named[0], "--at", "best"]) == 0
    assert copy.read_bytes() == before
    assert "lyapunov at best: mean " in capsys.readouterr().out


def test_evaluate_prints_scores_beside_those_of_the_record(copy: Path, capsys) -> None:
    record = read_record(copy)
    assert main(["evaluate", str(copy), str(weights_path(copy)), "--json"]) == 0
    for found in json.loads(capsys.readouterr().out):
        assert found["scores"] == found["recorded"] == record.scores.model_dump()
    assert main(["evaluate", str(copy), "--split", "test"]) == 0
    rmse = record.scores.test["rmse"]
    shown = capsys.readouterr().out
    assert f"  test: rmse {rmse!r} (recorded {rmse!r}), mse" in shown
    assert "val:" not in shown
    assert main(["evaluate", str(copy), "--length", "12", "--json"]) == 0
    (longer,) = json.loads(capsys.readouterr().out)
    assert longer["scores"]["test"]["mse"] != longer["recorded"]["test"]["mse"]


def test_a_loaded_network_is_that_of_its_record(copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    network, data = load_network(weights_path(copy))
    monkeypatch.chdir(copy.parents[5])
    of_object, _ = load_network(read_record(copy))
    assert all(torch.equal(a, b) for a, b in zip(network.parameters(), of_object.parameters(), strict=True))
    assert (data.task.name, network.training) == ("ADD6", False)
    copy.unlink()
    assert load_network(weights_path(copy))[0].recurrence.state_size == 6


def test_weights_of_older_runs_are_read_and_published(copy: Path, capsys) -> None:
    job = lstm_job(copy.parents[4], [])
    network, _ = load_network(copy)
    record, scores = read_record(copy), rescore(find_trained(copy))
    state = {f"network.{name}": tensor for name, tensor in network.state_dict().items()}
    old = job.folder / f"weights-{record.experiment_id}-{record.instance}.pt"
    torch.save({"state_dict": state, "config": record.config}, old)
    new = weights_path(copy).read_bytes()
    weights_path(copy).unlink()
    assert rescore(find_trained(copy)) == scores
    folders = ["--runs-dir", str(job.runs_dir), "--records-dir", str(copy.parents[5] / "published")]
    assert main(["publish", *folders, "--weights"]) == 0
    assert "weights of 2 networks published" in capsys.readouterr().out
    assert weights_path(copy).read_bytes() == new
