"""``rnnbench run`` as a user runs it: what is missing is trained, what is damaged is named, nothing is lost."""

import json
import os
import re
import resource
import shlex
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from rnnbench.benchmark.command.cli import main
from rnnbench.benchmark.config.options import RunOptions
from rnnbench.benchmark.config.suite import load_suite
from rnnbench.benchmark.launchers.choice import plan_of
from rnnbench.leaderboard.record import read_record
from tests.benchmark.small_jobs import ROOT, rnnbench

SUITE = """
title: Tiny
instances: 2
tasks:
  ADD8: {class_path: Adding, init_args: {length: 8, train_size: 64, val_size: 20, test_size: 20}}
networks:
  LSTM: {class_path: LSTM, init_args: {hidden_size: 4}}
  GRU: {class_path: GRU, init_args: {hidden_size: 4}}
  Elman: {class_path: ElmanRNN, init_args: {hidden_size: 4}}
training: {batch_size: 32, max_steps: 4, validate_every: 2}
"""


def jobs(folder: Path) -> dict:
    """The jobs of the tiny suite, by network, as an empty runs folder would have them."""
    plan = plan_of(load_suite(folder / "tiny.yaml", "cpu"), RunOptions(runs_dir=folder / "no runs"))
    return {job.experiment.network: replace(job, runs_dir=folder / "runs") for job in plan.jobs}


def damaged_files(folder: Path) -> tuple[Path, Path]:
    """The record of the LSTM's first instance, and the GRU's checkpoint."""
    lstm, gru = (jobs(folder)[name] for name in ("LSTM", "GRU"))
    return lstm.record_path(lstm.members[0]), gru.checkpoint


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("user")
    (folder / "tiny.yaml").write_text(SUITE, encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def first_run(folder: Path) -> subprocess.CompletedProcess[str]:
    """A run that meets a damaged record of the LSTM and a checkpoint of the GRU that is none."""
    record, checkpoint = damaged_files(folder)
    for path, text in ((record, '{"schema_version": 1, "sui'), (checkpoint, "not a checkpoint")):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return rnnbench(folder, "run", "tiny.yaml")


def test_damaged_files_are_named_and_left_and_the_rest_goes_on(folder, first_run):
    assert first_run.returncode == 2
    assert "Traceback" not in first_run.stderr
    record, checkpoint = damaged_files(folder)
    assert str(record.relative_to(folder)) in first_run.stderr
    assert "is cut short" in first_run.stderr
    assert f"{checkpoint.relative_to(folder)} is damaged" in first_run.stderr
    assert record.read_text(encoding="utf-8") == '{"schema_version": 1, "sui'
    assert checkpoint.read_text(encoding="utf-8") == "not a checkpoint"
    written = sorted(path.parent.name for path in (folder / "runs").rglob("*.json") if path != record)
    assert written == ["Elman", "Elman", "LSTM"]


def test_running_again_goes_on_and_then_does_nothing(folder, first_run):
    for path in damaged_files(folder):
        path.unlink()
    before = {path: path.stat().st_mtime_ns for path in (folder / "runs").rglob("*.json")}
    second = rnnbench(folder, "run", "tiny.yaml", "--workers", "1")
    assert second.returncode == 0, second.stderr
    assert "3 of 6 records are there" in second.stdout
    headings, *rows = second.stdout.split("mean ± sd (instances)\n")[1].splitlines()[1:]
    assert (headings.split(), [row.split()[0] for row in rows]) == (["RMSE", "↓"], ["LSTM", "GRU", "Elman", "chance"])
    assert all(re.fullmatch(r"\w+ +\S+ ± \S+ \(2\)", row) for row in rows[:3])
    assert all(path.stat().st_mtime_ns == time for path, time in before.items())
    third = rnnbench(folder, "run", "tiny.yaml")
    assert third.returncode == 0
    assert "6 of 6 records are there" in third.stdout
    assert third.stdout.splitlines()[-6:] == second.stdout.splitlines()[-6:]
    silent = rnnbench(folder, "run", "tiny.yaml", "--quiet", "--runs-dir", "silent", "--only", "LSTM")
    assert (silent.returncode, silent.stdout, silent.stderr) == (0, "", "")
    records = [read_record(path) for path in sorted((folder / "runs").rglob("*.json"))]
    assert [(r.network, r.instance, r.status) for r in records] == [
        (network, instance, "finished") for network in ("Elman", "GRU", "LSTM") for instance in (0, 1)
    ]
    assert all(r.seconds_per_step > 0 and r.peak_memory_bytes > 0 and len(r.curve) == 2 for r in records)


def close_error_stream() -> None:
    os.close(2)


def test_keeping_fewer_activations_changes_no_score_nor_does_a_closed_stream(folder, first_run):
    words = ("--only", "Elman", "--runs-dir", "checkpointed", "--checkpoint-every", "3")
    assert rnnbench(folder, "run", "tiny.yaml", *words, before=close_error_stream).returncode == 0
    paths = sorted((folder / "checkpointed").rglob("*.json"))
    assert len(paths) == 2
    for path in paths:
        found = read_record(path)
        expected = read_record(folder / "runs" / path.relative_to(folder / "checkpointed"))
        assert (found.hardware["checkpoint_every"], "checkpoint_every" in expected.hardware) == (3, False)
        assert found.experiment_id == expected.experiment_id
        for point, before in zip(found.curve, expected.curve, strict=True):
            assert point.val == pytest.approx(before.val, rel=1e-5)


def test_records_hold_no_path_of_this_machine(folder, first_run):
    for path in (folder / "runs").rglob("Elman/*.json"):
        assert str(Path.home()) not in path.read_text(encoding="utf-8")
        assert str(folder) not in json.dumps(read_record(path).config)


def test_status_counts_what_is_finished_of_each_experiment(folder, first_run):
    chosen = ("--only", "Elman", "LSTM", "--instances", "0-3", "--runs-dir", "runs")
    assert "  ADD8/Elman: 2 of 4 finished; 2 not begun\n" in rnnbench(folder, "status", "tiny.yaml", *chosen).stdout
    elsewhere = rnnbench(folder, "status", "tiny.yaml", "--runs-dir", "elsewhere")
    assert (elsewhere.returncode, elsewhere.stderr) == (2, "error: --runs-dir elsewhere: no such folder\n")


OWN_CELL = """
from rnnbench.lit_models.recurrences.gated import GRU

class OwnCell(GRU):
    pass
"""
#: What other launchers, notebooks and shells leave in the environment; it is about none of a run's processes.
_SURROUNDINGS = {
    "MPLBACKEND": "module://matplotlib_inline.backend_inline",
    **{"SLURM_JOB_ID": "17", "SLURM_JOB_NAME": "train", "SLURM_NTASKS": "4", "SLURM_PROCID": "2", "SLURM_LOCALID": "2"},
    **{"RANK": "2", "LOCAL_RANK": "2", "WORLD_SIZE": "4", "MASTER_ADDR": "elsewhere", "MASTER_PORT": "1"},
}


def surroundings(folder: Path) -> dict[str, str]:
    """The variables of a machine of SLURM's, whose ``srun`` lies in a folder."""
    srun = folder / "srun"
    srun.parent.mkdir(parents=True, exist_ok=True)
    srun.write_text("#!/bin/sh\n", encoding="utf-8")
    srun.chmod(0o755)
    return {**_SURROUNDINGS, "PATH": f"{folder}:{os.environ['PATH']}"}


@pytest.mark.slow  # test_installation and test_pool have the like of it that costs less.
@pytest.mark.parametrize(("how", "streams"), [(("--workers", "1"), ""), (("--devices", "2"), "2>&-")])
def test_what_lies_around_a_run_does_not_reach_it(how, streams, tmp_path):
    command, project = tmp_path / "bin" / "rnnbench", tmp_path / "project"
    for name in ("benchmark", "datamodules", "leaderboard", "json", "queue", "yaml"):
        (project / name).mkdir(parents=True)
        (project / name / "__init__.py").write_text("raise ImportError('the project's own')", encoding="utf-8")
    (project / "own_cells.py").write_text(OWN_CELL, encoding="utf-8")
    own = SUITE.replace("class_path: GRU", "class_path: own_cells.OwnCell")
    (project / "tiny.yaml").write_text(own, encoding="utf-8")
    environment = {**os.environ, **surroundings(command.parent), "PYTHONPATH": str(ROOT)}
    command.write_text("import sys\nfrom rnnbench.__main__ import main\nsys.exit(main())\n", encoding="utf-8")
    words = shlex.join([sys.executable, str(command), "run", "tiny.yaml", "--only", "GRU", *how])
    options = {"cwd": project, "env": environment, "capture_output": True, "text": True}
    done = subprocess.run(["sh", "-c", f"exec {words} {streams}"], **options)
    assert done.returncode == 0, done.stderr
    assert "Warning" not in done.stderr
    records = [read_record(path) for path in sorted((project / "runs").rglob("*.json"))]
    assert [(record.instance, record.status) for record in records] == [(0, "finished"), (1, "finished")]
    assert [[code.module for code in record.own_code] for record in records] == [["own_cells"]] * 2


def allow_small_files_only() -> None:
    # Larger than a job's description, smaller than a checkpoint; the system's answer is like a full disk's.
    resource.setrlimit(resource.RLIMIT_FSIZE, (8000, 8000))


def test_full_disk_is_told_and_damages_nothing(tmp_path):
    (tmp_path / "tiny.yaml").write_text(SUITE, encoding="utf-8")
    chosen = ("--only", "LSTM", "--instances", "0")
    result = rnnbench(tmp_path, "run", "tiny.yaml", *chosen, before=allow_small_files_only)
    assert result.returncode == 2
    assert "Traceback" not in result.stderr
    assert "File too large" in result.stderr
    assert [path for path in (tmp_path / "runs").rglob("*") if path.name.endswith((".ckpt", ".tmp", ".json"))] == []


@pytest.fixture
def refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """The message of a run that ends before any training, started in a folder of its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("RNNBENCH_DATA", raising=False)

    def refuse(*words: str) -> str:
        assert main(["run", *words]) == 2
        message = capsys.readouterr().err
        assert message.startswith("error: ")
        return message

    return refuse


def test_batch_larger_than_data_whose_size_the_suite_does_not_say(refused, tmp_path):
    text = re.sub("ADD8: .*", "ADD8: {class_path: SequentialDigits}", SUITE)
    (tmp_path / "tiny.yaml").write_text(text.replace("batch_size: 32", "batch_size: 5000"), encoding="utf-8")
    message = refused("tiny.yaml", "--only", "LSTM")
    assert "batch_size must be at most 1297, the training sequences, got 5000" in message


def test_missing_data_without_a_network(refused, tmp_path):
    assert "RNNBENCH_DATA" in refused("smnist", "--budget", "smoke")
    assert list((tmp_path / "runs").iterdir()) == []
