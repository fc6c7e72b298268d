"""From a suite's measures to records, figures and the page, by the commands that a user gives."""

import re
import shutil
from pathlib import Path

import pytest

from rnnbench.benchmark.command.cli import main
from rnnbench.leaderboard.files import read_arrays, side_path
from rnnbench.leaderboard.record import read_record
from tests.benchmark.small_jobs import rnnbench

SUITE = """
title: Measured
tasks:
  ADD8: {class_path: Adding, init_args: {length: 8, train_size: 64, val_size: 20, test_size: 20}}
networks:
  LSTM: {class_path: LSTM, init_args: {hidden_size: 3}}
  GRU: {class_path: GRU, init_args: {hidden_size: 4}}
training: {batch_size: 32, max_steps: 4, validate_every: 2, stability_input_bound: 1.0}
overrides:
  - {networks: [GRU], training: {stability_input_bound: null}}
measures:
  - lyapunov: {at: [start, end], samples: 3}
  - hessian: {samples: 5, count: 2}
  - gradient_flow: {every_epochs: 1, samples: 4}
  - truncation: {at: [end], samples: 4}
  - truncated_training: {ks: [1, 4], steps: 2}
  - stability
  - memory_capacity: {delays: 4, steps: 300}
  - polynomial_degree: {length: 2}
budgets:
  cpu: {}
  smoke: {training: {max_steps: 0, validate_every: null}}
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("measured")
    (folder / "measured.yaml").write_text(SUITE, encoding="utf-8")
    for budget in ("cpu", "smoke"):
        done = rnnbench(folder, "run", "measured.yaml", "--budget", budget)
        assert done.returncode == 0, done.stderr
    return folder


def record_files(folder: Path) -> dict[str, Path]:
    found = {}
    for path in folder.rglob("*.json"):
        record = read_record(path)
        found[f"{record.budget}/{record.network}"] = path
    return found


def test_every_measure_is_in_the_record_or_says_why_not(folder):
    lstm, gru = (read_record(record_files(folder / "runs")[f"cpu/{name}"]) for name in ("LSTM", "GRU"))
    assert {(name, moment) for name, moments in lstm.measures.items() for moment in moments} == {
        *(("lyapunov", moment) for moment in ("start", "end")),
        *(("gradient_flow", moment) for moment in ("start", "epoch-1", "epoch-2")),
        *((name, "start") for name in ("hessian", "truncated_training", "stability", "memory_capacity")),
        ("polynomial_degree", "start"),
        ("truncation", "end"),
    }
    assert {one.status for moments in lstm.measures.values() for one in moments.values()} == {"finished"}
    assert lstm.measures["stability"]["start"].summary["contraction"] < 1
    assert lstm.measures["lyapunov"]["start"].summary["sequences"] == 3
    failed = {name for name, moments in gru.measures.items() for one in moments.values() if one.status == "failed"}
    assert failed == {"stability"}
    assert "GRU" in gru.measures["stability"]["start"].reason
    arrays = read_arrays(side_path(record_files(folder / "runs")["cpu/LSTM"]))
    assert arrays["lyapunov/end/exponents"].shape == (3, 6)


def test_a_run_of_no_steps_is_measured_and_done(folder):
    record = read_record(record_files(folder / "runs")["smoke/LSTM"])
    assert (record.steps, record.status, record.curve) == (0, "finished", [])
    assert {one.status for moments in record.measures.values() for one in moments.values()} == {"finished"}
    assert record.measures["truncation"]["end"].step == 0
    again = rnnbench(folder, "run", "measured.yaml", "--budget", "smoke")
    assert again.returncode == 0
    assert "2 of 2 records are there" in again.stdout


def test_figures_page_and_publishing_follow(folder, monkeypatch, capsys):
    monkeypatch.chdir(folder)
    few = record_files(folder / "runs")["cpu/GRU"].parent.relative_to(folder / "runs")
    shutil.copytree(folder / "runs" / few, folder / "few" / few)
    assert main(["figures", "--records-dir", "few", "--output", "drawn"]) == 0
    drawn = capsys.readouterr()
    assert "failed: GRU on ADD8: stability before training failed in instance 0" in drawn.err
    assert len(list((folder / "drawn").glob("*.svg"))) == len(drawn.out.splitlines()) > 5
    assert main(["publish", "--records-dir", "published"]) == 0
    assert main(["check", "published"]) == 0
    shutil.copytree(folder / "published" / "measured" / "smoke", folder / "shown" / "measured" / "smoke")
    assert main(["leaderboard", "--records-dir", "shown", "--output", "page/LEADERBOARD.md"]) == 0
    text = (folder / "page" / "LEADERBOARD.md").read_text(encoding="utf-8")
    assert "### Dynamics" in text
    assert "Untrained: measured only." in text
    links = [link.split(")")[0] for link in text.split("](")[1:]]
    assert all((folder / "page" / link).exists() for link in links if not link.startswith("#"))


def test_a_damaged_file_of_arrays_is_named_by_every_command(folder, capsys):
    damaged, record = folder / "damaged", record_files(folder / "runs")["cpu/LSTM"]
    whole = side_path(record)
    path = damaged / whole.relative_to(folder / "runs")
    path.parent.mkdir(parents=True)
    path.write_bytes(whole.read_bytes()[:200])
    shutil.copy(record, path.parent)
    for words in (
        ["check", str(damaged)],
        ["publish", "--runs-dir", str(damaged), "--records-dir", str(folder / "elsewhere")],
        ["figures", "--records-dir", str(damaged), "--output", str(folder / "elsewhere")],
        ["leaderboard", "--records-dir", str(damaged), "--output", str(folder / "elsewhere")],
    ):
        assert main(words) == 2, words
        assert path.name in capsys.readouterr().err


def test_measures_that_finished_records_lack_are_reported(folder):
    text = SUITE.replace("hessian: {samples: 5, count: 2}", "hessian: {samples: 4, count: 2}")
    (folder / "changed").mkdir()
    (folder / "changed" / "measured.yaml").write_text(text, encoding="utf-8")
    for verb in ("status", "run"):
        done = rnnbench(folder, verb, "changed/measured.yaml", "--budget", "smoke")
        assert done.returncode == 0
        assert "2 of 2 records are there" in done.stdout
        assert done.stderr.count("note: ") == 1
        assert (
            "ADD8/LSTM and 1 more cell: finished records without hessian, or with other settings of it: 2"
            in done.stderr
        )
    assert rnnbench(folder, "status", "measured.yaml", "--budget", "smoke").stderr == ""


def test_lost_arrays_are_named_by_a_run_and_put_back_by_publishing(folder):
    lost, published = folder / "lost", folder / "whole"
    shutil.copytree(folder / "runs", lost)
    assert main(["publish", "--runs-dir", str(lost), "--records-dir", str(published)]) == 0
    arrays = side_path(record_files(published)["cpu/LSTM"])
    whole = arrays.read_bytes()
    arrays.unlink()
    assert main(["publish", "--runs-dir", str(lost), "--records-dir", str(published)]) == 0
    assert arrays.read_bytes() == whole
    side_path(record_files(lost)["smoke/GRU"]).unlink()
    done = rnnbench(folder, "run", "measured.yaml", "--budget", "smoke", "--runs-dir", "lost")
    assert done.returncode == 2
    assert "is missing" in done.stderr
    assert "move it away" in done.stderr


@pytest.mark.parametrize(
    ("changes", "messages"),
    [
        (
            {"ADD8: .*": "Digits: {class_path: SequentialDigits}", "samples: 3}": "samples: 301}"},
            ["samples of lyapunov must be at most 300, all of split 'test', got 301"],
        ),
        ({"stability_input_bound: null": "max_steps: 2"}, ["ADD8/GRU", "stability_input_bound"]),
    ],
    ids=["more samples than the split has", "projection that the recurrence does not support"],
)
def test_what_cannot_be_done_is_refused_before_training(folder, monkeypatch, capsys, changes, messages):
    suite = SUITE
    for old, new in changes.items():
        suite = re.sub(old, new, suite)
    (folder / "refused.yaml").write_text(suite, encoding="utf-8")
    monkeypatch.chdir(folder)
    assert main(["run", "refused.yaml"]) == 2
    refused = capsys.readouterr().err
    assert all(message in refused for message in messages), refused
    assert not list((folder / "runs" / "refused").rglob("*.json"))
