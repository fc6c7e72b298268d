"""Lightning's loggers of a suite's runs: each instance's whole curve once, whatever was interrupted or goes wrong."""

import csv
import dataclasses
from pathlib import Path

import pytest
import yaml
from lightning.pytorch.loggers import CSVLogger
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from rnnbench.benchmark.command.cli import main
from rnnbench.benchmark.config.recipe import Recipe
from rnnbench.benchmark.run.callbacks.wandb_mirror import history_row
from rnnbench.benchmark.run.job import Job
from rnnbench.leaderboard.schema import Record
from tests.benchmark.small_jobs import adding_experiment, interrupt, job_of, train

KINDS = ("csv", "tensorboard")


@pytest.fixture
def job(tmp_path: Path) -> Job:
    recipe = Recipe(learning_rate=0.01, batch_size=8, max_steps=11, validate_every=3)
    return job_of(adding_experiment(recipe, train_size=40), tmp_path / "runs", (0, 4))


def folder_of(job: Job, kind: str, record: Record) -> Path:
    return job.runs_dir.joinpath(kind, *record.cell, f"{record.experiment_id}-{record.instance}")


def assert_mirrored(job: Job, records: list[Record]) -> None:
    for record in records:
        expected = [history_row(point) for point in record.curve]
        folder = folder_of(job, "csv", record)
        with (folder / "metrics.csv").open(encoding="utf-8") as file:
            assert [{name: float(value) for name, value in row.items()} for row in csv.DictReader(file)] == expected
        assert yaml.safe_load((folder / "hparams.yaml").read_text(encoding="utf-8"))["instance"] == record.instance

        events = EventAccumulator(str(folder_of(job, "tensorboard", record))).Reload()
        for name in expected[0].keys() - {"step"}:
            written = [(event.step, event.value) for event in events.Scalars(name)]
            assert written == [(row["step"], pytest.approx(row[name], rel=1e-6)) for row in expected]


def test_every_point_is_written_once_and_a_run_that_goes_on_has_them_all(job) -> None:
    assert_mirrored(job, interrupt(job, step=8, loggers=KINDS))
    records = train(job, loggers=KINDS)
    assert_mirrored(job, records)
    events = EventAccumulator(str(folder_of(job, "tensorboard", records[0]))).Reload()
    (score,) = events.Scalars("score/rmse")
    assert score.value == pytest.approx(records[0].scores.test["rmse"], rel=1e-6)


def test_pilots_write_none_and_a_logger_that_breaks_is_reported_and_left_alone(job, monkeypatch, capfd) -> None:
    pilot = dataclasses.replace(job, experiment=dataclasses.replace(job.experiment, is_pilot=True))
    train(pilot, loggers=KINDS)
    assert not (job.runs_dir / "csv").exists()

    def full(self) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(CSVLogger, "save", full)
    records = train(job, loggers=("csv",))
    assert [record.status for record in records] == ["finished"] * 2
    lines = capfd.readouterr().err.splitlines()
    assert [line.partition("given up ")[2] for line in lines] == ["([Errno 28] No space left on device)"] * 2


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("--logger tensorbord", "did you mean tensorboard?"),
        ("--logger tensorboard", "pip install 'rnnbench[tensorboard]'"),
    ],
)
def test_an_unknown_or_missing_logger_is_refused_before_training(words, message, monkeypatch, capsys) -> None:
    monkeypatch.setattr("rnnbench.benchmark.command.arguments.find_spec", lambda name: None)
    assert main(["run", "quick", *words.split()]) == 2
    assert message in capsys.readouterr().err
