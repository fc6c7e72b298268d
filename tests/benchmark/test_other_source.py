"""Records of a class of one's own whose source was edited: set aside once a run begins, taken back once undone."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from unittest.mock import Mock

import lightning as L
import pytest

from rnnbench.benchmark.command.cli import main
from rnnbench.benchmark.config.options import RunOptions, TrainOptions
from rnnbench.benchmark.config.suite import load_suite
from rnnbench.benchmark.launchers.choice import plan_of
from rnnbench.benchmark.launchers.follow import after_pilots, prepare
from rnnbench.benchmark.launchers.plan import Plan, largest_ensemble
from rnnbench.benchmark.run import source
from rnnbench.benchmark.run.train import train
from rnnbench.leaderboard.record import read_record
from rnnbench.leaderboard.store import find_records
from tests.leaderboard.factory import MSE, make_record, put

SUITE = """
instances: 2
tasks: {ADD8: {class_path: Adding, init_args: {length: 8, train_size: 32, val_size: 8, test_size: 8}}}
networks: {Mine: {class_path: mylab_undone.Mine, init_args: {hidden_size: 3}}}
training: {batch_size: 16, max_steps: 2}
"""
MINE = "from rnnbench.lit_models.recurrences.gated import GRU\n\n\nclass Mine(GRU):\n    pass\n"
RUNS = Path("runs")


@pytest.fixture
def edit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], None]]:
    """What writes the source of the user's class; the current folder is a project with a suite of it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    Path("mine.yaml").write_text(SUITE, encoding="utf-8")

    def write(text: str) -> None:
        Path("mylab_undone.py").write_text(text, encoding="utf-8")
        source._code_of.cache_clear()

    write(MINE)
    yield write
    sys.modules.pop("mylab_undone", None)


def put_records(*statuses: str) -> None:
    """Put a record of each instance as today's source would make it."""
    (experiment,) = load_suite("mine.yaml").experiments
    ids = {"experiment_id": experiment.points()[0].id, "family_id": experiment.family_id, **experiment.cell}
    settings = {"config": experiment.config, "own_code": source.own_code(experiment.config), "metrics": (MSE,)}
    settings |= {"steps": 2, "val": (0.5,), "test": (0.5,)}
    for instance, status in enumerate(statuses):
        put(RUNS, make_record(instance=instance, status=status, **ids, **settings))


def plan(*instances: int) -> Plan:
    return plan_of(load_suite("mine.yaml"), RunOptions(runs_dir=RUNS, instances=instances or None))


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (("run", "mine.yaml", "--devices", "999"), "--devices must be from 1 to "),
        (("submit", "mine.yaml", "--slurm"), "nothing was submitted: sbatch failed: no luck"),
    ],
)
def test_a_refused_command_leaves_records_where_they_are(words, reason, edit, monkeypatch, capsys) -> None:
    put_records("finished", "finished")
    edit(f"{MINE}# edited\n")
    for name, text in (("sbatch", "echo no luck >&2; exit 1"), ("squeue", "exit 0")):
        command = Path("bin", name)
        command.parent.mkdir(exist_ok=True)
        command.write_text(f"#!/bin/sh\n{text}\n", encoding="utf-8")
        command.chmod(0o755)
    monkeypatch.setenv("PATH", "bin", prepend=":")
    before = find_records(RUNS)
    assert len(before[0]) == 2
    assert main(list(words)) == 2
    assert reason in capsys.readouterr().err
    assert find_records(RUNS) == before


@pytest.mark.parametrize("second", ["finished", "interrupted"])
def test_an_edit_that_is_undone_brings_back_what_it_set_aside(second: str, edit, capsys) -> None:
    (job,) = plan().jobs
    put_records("finished", second)
    if second == "interrupted":
        job.save()
        job.checkpoint.write_text("first", encoding="utf-8")
    first, _ = find_records(RUNS)
    edit(f"{MINE}# edited\n")
    assert plan(7).moves == {}
    after_pilots(job.experiment, (0, 1), RunOptions(runs_dir=RUNS), largest_ensemble)
    assert (find_records(RUNS), job.checkpoint.exists()) == (([], []), False)
    put_records("finished", "finished")
    edited, _ = find_records(RUNS)
    assert main(["status", "mine.yaml"]) == 0
    aside = f"{RUNS}/.other-source/{first[0].own_code[0].source[:8]}"
    assert f"  ADD8/Mine: 2 records set aside in {aside}\n" in capsys.readouterr().out

    edit(MINE)
    assert main(["status", "mine.yaml"]) == 0
    printed = capsys.readouterr()
    finished = 1 + (second == "finished")
    assert f"mine (cpu): {finished} of 2 records are there" in printed.out
    assert f"of today's source in {RUNS}/.other-source: 'run' takes them back" in printed.err
    if second == "finished":
        assert main(["run", "mine.yaml", "--quiet"]) == 0
    else:
        again = plan()
        assert [each.members for each in again.jobs] == [job.members]
        prepare(again, RUNS)
        assert job.checkpoint.read_text(encoding="utf-8") == "first"
    assert find_records(RUNS) == (first, [])
    kept = RUNS / ".other-source" / edited[0].own_code[0].source[:8]
    assert [read_record(path) for path in sorted(kept.rglob("*.json"))] == edited
    assert plan().moves == {}


def test_a_run_that_was_killed_begins_again_where_its_source_was_edited(edit, capsys, monkeypatch) -> None:
    (job,) = plan().jobs
    with monkeypatch.context() as patch:
        patch.setattr(L.Trainer, "fit", Mock(side_effect=RuntimeError("killed")))
        with pytest.raises(RuntimeError, match="killed"):
            train(job, TrainOptions())
    job.checkpoint.write_text("first", encoding="utf-8")
    assert plan().moves == {}
    code = job.source.read_bytes()
    job.source.write_bytes(code[:-9])
    damaged = plan()
    assert (damaged.jobs, len(damaged.problems)) == ((), 1)
    assert f"{job.source}: damaged; move it" in damaged.problems[0]
    job.source.write_bytes(code)
    edit(f"{MINE}# edited\n")
    kept = plan_of(load_suite("mine.yaml"), RunOptions(runs_dir=RUNS, any_source=True))
    assert (kept.moves, len(kept.notes)) == ({}, 1)
    edited = plan()
    (note,) = edited.notes
    assert note.startswith("ADD8/Mine: training begun by other source of your own code (mylab_undone ")
    prepare(edited, RUNS)
    assert not job.checkpoint.exists()
    edit(MINE)
    prepare(plan(), RUNS)
    assert job.checkpoint.read_text(encoding="utf-8") == "first"
    edit(f"{MINE}# edited\n")
    assert main(["run", "mine.yaml", "--quiet"]) == 0
    assert "training begun by other source" in capsys.readouterr().err
    assert len(find_records(RUNS)[0]) == 2
    assert not job.source.exists()
