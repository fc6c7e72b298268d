"""Bundles that ``submit`` sent: damaged or whole, and what their tasks do with them (stand-ins for SLURM)."""

import json
import os
import re
import signal
from dataclasses import replace
from pathlib import Path

import pytest

from rnnbench.benchmark import interruption
from rnnbench.benchmark.command.cli import main
from rnnbench.benchmark.config.options import RunOptions
from rnnbench.benchmark.config.suite import load_suite
from rnnbench.benchmark.errors import UserError
from rnnbench.benchmark.launchers import bundle_run, one_at_a_time
from rnnbench.benchmark.launchers.bundle import Bundle, jobs_of, load_bundle, units_of
from rnnbench.benchmark.launchers.choice import plan_of
from rnnbench.benchmark.launchers.slurm import task
from rnnbench.benchmark.launchers.worker import Outcome
from rnnbench.benchmark.run import lease
from tests.benchmark.slurm_stand_ins import enter_seven_runs, names, networks, put_in_queue, submit, submitted
from tests.benchmark.small_jobs import rnnbench, write_own_project


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    return enter_seven_runs(tmp_path, monkeypatch)


def test_a_bundle_outside_of_a_submission_is_not_trained(capsys, tmp_path):
    assert submit() == 0
    copied = tmp_path / "copied.json"
    copied.write_bytes((submitted() / "0.json").read_bytes())
    capsys.readouterr()
    assert main(["work", str(copied)]) == 2
    assert "copied.json: lies in no submission, as RUNS/.slurm/NAME/N.json does" in capsys.readouterr().err
    assert not list(tmp_path.glob("*.end.json"))


@pytest.mark.parametrize("problem", ["damaged or not a bundle", "no such bundle", "cannot be read (Is a directory)"])
def test_a_bundle_that_cannot_be_read_is_named_and_its_run_is_sent_again(problem, capsys):
    assert submit() == 0
    lost, (first, *_) = networks(1), names()
    bundle = submitted() / "1.json"
    content = bundle.read_bytes()
    bundle.unlink()
    if problem.startswith("damaged"):
        bundle.write_bytes(content[:-9])
    elif problem.startswith("cannot"):
        bundle.mkdir()
    put_in_queue(*[(f"4711_{index}", first, "RUNNING", "node7") for index in range(3)])
    for words in (["status", "seven.yaml"], ["submit", "seven.yaml", "--slurm", "--only", "N1", "N2", "N3"]):
        capsys.readouterr()
        assert main(words) == 0
        assert f"note: task 4711_1: {bundle}: {problem}" in capsys.readouterr().err
    assert networks(0) == lost
    put_in_queue()
    assert main(["status", "seven.yaml"]) == 0
    assert "note" not in capsys.readouterr().err


def test_bundles_that_take_longer_than_a_task_go_on_in_another(capsys):
    assert submit("--time", "1m") == 0
    said = capsys.readouterr()
    assert "note: --time 1m: SLURM's warning comes up to two minutes before" in said.err
    assert "of 1m40s at most (estimated), more than the 1m of a task: the rest goes on in further" in said.out


def test_a_look_for_signs_of_another_submit_says_so(monkeypatch, capsys):
    monkeypatch.setattr(one_at_a_time, "_SILENCE", 0.01)
    monkeypatch.setattr(lease, "EXPIRY", 0.5)
    Path("runs/.slurm").mkdir(parents=True)
    Path("runs/.slurm/lease.9").write_text("junk", encoding="utf-8")
    assert submit() == 0
    assert "note: another submit may hold runs/.slurm: waiting a minute for" in capsys.readouterr().err
    monkeypatch.setattr(one_at_a_time, "_SILENCE", 600)
    assert submit("--only", "N1") == 0
    assert "note: another" not in capsys.readouterr().err


def test_a_task_trains_in_any_folder_as_one_of_several(tmp_path, monkeypatch):
    monkeypatch.chdir(write_own_project(tmp_path))
    assert main(["submit", "own.yaml", "--slurm"]) == 0
    # What SLURM tells a task of an allocation with --ntasks=4, whose processes are not those of rnnbench.
    for name, value in {"JOB_ID": "17", "NTASKS": "4", "PROCID": "0", "LOCALID": "0", "NODEID": "0"}.items():
        monkeypatch.setenv(f"SLURM_{name}", value)
    monkeypatch.delenv("HOME", raising=False)
    done = rnnbench(Path.cwd(), "work", str(submitted() / "0.json"))
    assert done.returncode == 0, done.stderr
    assert len(list(Path("runs/own").rglob("*.json"))) == 2


def test_a_record_that_is_damaged_is_named_by_its_task(monkeypatch, capsys):
    assert submit() == 0
    bundle = submitted() / "0.json"
    (job,) = jobs_of(load_bundle(bundle, Path("runs")).units)
    path = job.record_path(job.members[0])
    path.parent.mkdir(parents=True)
    path.write_text('{"instance": ', encoding="utf-8")
    monkeypatch.setattr(bundle_run, "run_jobs", lambda jobs, *_: ((job, Outcome("trained")) for job in jobs))
    assert task.do_bundle(bundle) == 2
    assert re.search(
        f"^error: .*{path.name}: .*move it away to train this instance again$", capsys.readouterr().err, re.MULTILINE
    )


@pytest.mark.parametrize("suite", ["quick", "digits"])
def test_a_bundle_keeps_what_is_to_be_trained(suite, folder):
    chosen, options = load_suite(suite), RunOptions(runs_dir=folder / "runs", workers=3, only=("LSTM*",))
    plan = plan_of(chosen, options)
    units = tuple(units_of(plan, {suite: (0, 1)}))
    Bundle(units, options).save(folder / "0.json")
    kept = load_bundle(folder / "0.json", folder / "elsewhere")
    assert [replace(job, runs_dir=folder / "runs").folder for job in jobs_of(kept.units)] == [
        job.folder for job in plan.jobs
    ]
    assert kept.options == replace(options, runs_dir=folder / "elsewhere", only=())
    assert any(unit.follows for unit in units) == (suite == "digits")
    for unit, before in zip(kept.units, units, strict=True):
        assert (unit.follows is None) == (before.follows is None) == (not before.jobs[0].experiment.is_pilot)
        for job, of_before in zip(unit.jobs, before.jobs, strict=True):
            assert [point.id for point in job.experiment.points()] == [p.id for p in of_before.experiment.points()]
    content = (folder / "0.json").read_bytes()
    for length in (0, 1, len(content) // 2, len(content) - 3):
        (folder / "0.json").write_bytes(content[:length])
        with pytest.raises(UserError, match="damaged or not a bundle"):
            load_bundle(folder / "0.json", folder)


@pytest.mark.parametrize(
    ("trained", "scontrol", "code", "message"),
    [
        (True, "0", 3, None),
        (True, "1", 3, "the wall clock came first; submit again"),
        (False, "0", 3, "nothing was done within the wall clock: give more --time; submit again"),
    ],
)
def test_a_task_that_got_on_goes_back_to_the_queue_before_its_wall_clock(trained, scontrol, code, message, monkeypatch):
    assert submit() == 0

    def run(bundle, ended):
        if trained:
            ended(jobs_of(bundle.units)[0], Outcome("trained"))
        os.kill(os.getpid(), signal.SIGUSR1)
        pytest.fail("SIGUSR1 is to end what is done")

    monkeypatch.setattr(interruption, "_first", interruption.Noted())
    monkeypatch.setattr(task, "run_bundle", run)
    # The last task of an array has the number of the whole.
    for name, value in {"JOB_ID": "17", "ARRAY_JOB_ID": "17", "ARRAY_TASK_ID": "2"}.items():
        monkeypatch.setenv(f"SLURM_{name}", value)
    monkeypatch.setenv("SCONTROL", scontrol)
    before = {number: signal.getsignal(number) for number in interruption.SIGNALS}
    interruption.end_on_signals()
    try:
        assert task.do_bundle(submitted() / "0.json") == code
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    assert Path("requeued").exists() == trained
    if trained:
        assert Path("requeued").read_text(encoding="utf-8") == "requeue 17_2\n"
    end = submitted() / "0.end.json"
    assert end.exists() == (message is not None)
    if message:
        assert json.loads(end.read_text(encoding="utf-8"))["messages"][-1] == message
