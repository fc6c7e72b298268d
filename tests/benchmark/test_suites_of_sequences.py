"""The suites language, music and slots, trained for a smoke budget: on made data, and on the real ones."""

import math
from pathlib import Path

import pytest

from rnnbench.benchmark.command.cli import main
from rnnbench.benchmark.config.options import RunOptions, TrainOptions
from rnnbench.benchmark.config.suite import load_suite
from rnnbench.benchmark.launchers.choice import plan_of
from rnnbench.benchmark.run.train import train
from rnnbench.leaderboard.literature import find_published
from rnnbench.leaderboard.record import read_record
from tests.datamodules.small_texts import write_published_vocabularies

SUITES = {"language": "bits_per_character", "music": "frame_nll", "slots": "slot_f1"}


def train_smoke(name: str, networks: tuple[str, ...], data: Path, folder: Path) -> list:
    suite = load_suite(name, "smoke")
    records = []
    for job in plan_of(suite, RunOptions(runs_dir=folder / "runs", only=networks)).jobs:
        train(job, TrainOptions(data_dir=data, accelerator="cpu"))
        records += [read_record(job.record_path(member)) for member in job.members]
    return records


@pytest.mark.parametrize("name", SUITES)
def test_on_made_data(name: str, tmp_path: Path) -> None:
    networks = ("RNN",) if name == "language" else ("RNN", "LSTM_stable")
    records = train_smoke(name, networks, write_published_vocabularies(tmp_path / "data"), tmp_path)
    assert len(records) == len(networks)
    for record in records:
        assert record.status == "finished"
        assert record.metrics[0].name == SUITES[name]
        assert all(math.isfinite(value) for value in record.curve[-1].test.values())
        # The best constant of the data at hand, not the uniform guess that is known without them.
        assert record.metrics[0].chance not in (0.0, math.log2(66), 88 * math.log(2)) or name == "slots"


@pytest.mark.needs_data
@pytest.mark.parametrize("name", SUITES)
def test_on_real_data(name: str, real_data_dir: Path, tmp_path: Path) -> None:
    command = ["run", name, "--budget", "smoke", "--data-dir", str(real_data_dir), "--runs-dir", str(tmp_path / "runs")]
    assert main([*command, "--workers", "1"]) == 0
    records = [read_record(path) for path in (tmp_path / "runs").glob("**/*.json")]
    assert {record.status for record in records} == {"finished"}
    assert {record.network for record in records} >= {"RNN", "LSTM"}


@pytest.mark.parametrize("name", SUITES)
def test_published_names_are_those_of_the_file_and_unverified_numbers_are_not_shown(name: str) -> None:
    text = (Path(__file__).parents[2] / "leaderboard" / "published" / "results.csv").read_text(encoding="utf-8")
    rows = [line.split(",") for line in text.splitlines()]
    known = {(model, task, row[-1]) for model, task, *row in rows if row[-3] == "miller2019:Table1"}
    found = 0
    for experiment in load_suite(name, "paper").experiments:
        place = experiment.published
        assert place is not None
        verified = (place.model, place.task, "yes") in known
        found += verified or (place.model, place.task, "no") in known
        assert bool(find_published(place)) == verified
    assert found == 4
