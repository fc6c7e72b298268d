"""``rnnbench status``: what is there, scores so far, and hours left, all from files."""

import json
from collections import deque
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from rnnbench.benchmark.command.cli import main
from rnnbench.benchmark.config.options import RunOptions
from rnnbench.benchmark.config.recipe import Recipe
from rnnbench.benchmark.config.suite import load_suite
from rnnbench.benchmark.launchers import local, status, time_left
from rnnbench.benchmark.launchers.choice import plan_of
from rnnbench.benchmark.launchers.progress import reported
from rnnbench.benchmark.launchers.time_left import Kind, Speeds, remember
from rnnbench.benchmark.launchers.worker import Outcome
from rnnbench.benchmark.run.job import Job
from rnnbench.leaderboard.metric import display
from rnnbench.leaderboard.tables.terminal import score_rows
from tests.benchmark.small_jobs import adding_experiment, interrupt, job_of
from tests.leaderboard.factory import MSE, make_record, put

SUITE = """
instances: 2
tasks:
  ADD8: {class_path: Adding, init_args: {length: 8, train_size: 100}}
  ADD16: {class_path: Adding, init_args: {length: 16, train_size: 100}}
networks:
  LSTM: {class_path: LSTM, init_args: {hidden_size: 4}}
  GRU: {class_path: GRU, init_args: {hidden_size: 4}}
training: {batch_size: 32, max_epochs: 25}
budgets:
  smoke: {training: {max_steps: 5}}
  cpu: {}
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a suite, which is the only one that is shipped; no records came with rnnbench."""
    (tmp_path / "tiny.yaml").write_text(SUITE, encoding="utf-8")
    (tmp_path / "published").mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(status, "suite_files", lambda: {"tiny": tmp_path / "tiny.yaml"})
    monkeypatch.setattr(time_left, "shipped_records", lambda: tmp_path / "published")
    return tmp_path


def finish(folder: Path, names: dict[str, float], instances: tuple[int, ...] = (0, 1), where: str = "runs") -> None:
    """Write records of experiments, whose steps took the given seconds each; every instance scores 0.1 more."""
    for experiment in load_suite(folder / "tiny.yaml").experiments:
        for instance in instances if experiment.name in names else ():
            ids = {"experiment_id": experiment.points()[0].id, "family_id": experiment.family_id, "instance": instance}
            record = make_record(
                val=(0.9, 0.5), test=(0.9, 0.5 + instance / 10), metrics=(MSE,), config=experiment.config, **ids,
                **experiment.cell, seconds_per_step=names[experiment.name], finished_at="2025-01-01T00:00:00+00:00",
            )  # fmt: skip
            put(folder / where, record)


def left(folder: Path, **options: object) -> dict[str, float]:
    """Seconds left of each cell."""
    chosen = RunOptions(runs_dir=folder / "runs", **options)
    plan = plan_of(load_suite(folder / "tiny.yaml"), chosen)
    speeds = Speeds([record for records in plan.records.values() for record in records], chosen.runs_dir)
    jobs = {name: tuple(job for job in plan.jobs if job.experiment.name == name) for name in plan.cells}
    found = {name: speeds.left(replace(plan, jobs=of_cell)) for name, of_cell in jobs.items()}
    return {name: float("nan") if each.unknown else 3600 * each.hours for name, each in found.items()}


def test_of_instances_that_were_published_one_tells_how_long_a_step_takes(folder: Path) -> None:
    finish(folder, {"ADD8/LSTM": 2.0}, (0, 1, 2), "published")
    assert [record.instance for record in time_left._published()] == [0]


def test_hours_are_those_of_finished_records_or_of_similar_ones(folder: Path) -> None:
    # 25 epochs of 4 batches; twice as long sequences take twice as long.
    finish(folder, {"ADD8/LSTM": 0.5}, instances=(0,))
    expected = {"ADD8/LSTM": 50, "ADD8/GRU": 2 * 50, "ADD16/LSTM": 2 * 100, "ADD16/GRU": 2 * 100}
    assert left(folder) == pytest.approx(expected)
    finish(folder, {"ADD16/GRU": 3.0}, instances=(1,))
    assert left(folder) == pytest.approx({**expected, "ADD8/GRU": 2 * 150, "ADD16/GRU": 300})


def test_what_an_interrupted_run_has_done_is_not_left(folder: Path, capsys) -> None:
    finish(folder, {"ADD8/GRU": 1.0})
    job = next(job for job in plan_of(load_suite(folder / "tiny.yaml"), RunOptions()).jobs if "LSTM" in job.name)
    job.save()
    job.checkpoint.write_bytes(b"")
    job.progress.write_text("40 0.5 mse", encoding="utf-8")
    assert left(folder)["ADD8/LSTM"] == pytest.approx(2 * 60)
    assert main(["status", "tiny.yaml"]) == 0
    line = "  ADD8/LSTM: 0 of 2 finished; 2 interrupted or running, 40 steps done, validation MSE 5.00e-1\n"
    assert line in capsys.readouterr().out


def test_a_run_reports_its_steps_and_its_best_validation_score(tmp_path: Path) -> None:
    job = job_of(adding_experiment(Recipe(batch_size=16, max_steps=8, validate_every=2), train_size=64), tmp_path)
    first, second = interrupt(job, 4)
    best = min(record.curve[-1].val["rmse"] for record in (first, second))
    assert reported(job) == (3, f"RMSE {display('rmse').text(best)}")


def test_the_same_error_of_several_runs_is_printed_once(folder: Path, monkeypatch, capsys) -> None:
    def run_jobs(jobs: deque[Job], *_: object) -> Iterator[tuple[Job, Outcome]]:
        while jobs:
            job = jobs.popleft()
            yield job, Outcome("failed", "no luck", f" (traceback in {job.experiment.network})")

    monkeypatch.setattr(local, "run_jobs", run_jobs)
    assert main(["run", "tiny.yaml"]) == 1
    error = capsys.readouterr().err
    assert error.count("no luck") == error.count("traceback") == 1
    assert error.count("error: 3 more ended by the same as ADD16/LSTM (2 instances): ADD16/GRU (2 inst") == 1


def test_an_interrupted_run_says_that_the_same_command_goes_on(monkeypatch, capsys) -> None:
    def run_jobs(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(local, "run_jobs", run_jobs)
    assert main(["run", "tiny.yaml", "--quiet"]) == 130
    assert capsys.readouterr().err == "interrupted: the same command goes on from here\n"


@pytest.mark.parametrize("source", ["published", "timed"])
def test_what_others_or_a_dry_run_say_is_corrected_by_own_records(source: str, folder: Path) -> None:
    others = {"ADD8/LSTM": 1.0, "ADD8/GRU": 0.1}
    if source == "timed":
        experiments = load_suite(folder / "tiny.yaml").experiments
        remember(folder / "runs", {Kind.of(e.config): others[e.name] for e in experiments if e.name in others})
    else:
        finish(folder, others, where="published")
    assert left(folder)["ADD8/GRU"] == pytest.approx(2 * 10)
    finish(folder, {"ADD8/LSTM": 4.0})
    assert left(folder)["ADD8/GRU"] == pytest.approx(2 * 40)


@pytest.mark.parametrize("text", ["", "{", "[[1, 2]]", "[1]", json.dumps([["a"] * 7])])
def test_without_any_speed_hours_are_unknown(text: str, folder: Path, capsys) -> None:
    (folder / "runs").mkdir()
    (folder / "runs" / time_left.TIMED).write_text(text, encoding="utf-8")
    assert main(["status", "tiny.yaml"]) == 0
    assert capsys.readouterr().out.startswith("tiny (cpu): 0 of 8 records are there, unknown core-hours left\n")


def test_scores_so_far_are_aligned_with_chance(folder: Path, capsys) -> None:
    finish(folder, {"ADD8/LSTM": 1.0})
    finish(folder, {"ADD16/GRU": 1.0}, instances=(0,))
    assert main(["status", "tiny.yaml", "--only", "ADD8", "ADD16/GRU"]) == 0
    output = capsys.readouterr().out
    assert "tiny (cpu): 3 of 6 records are there, 0.06 core-hours left\n  ADD8/GRU: 0 of 2 finished" in output
    assert output.split("mean ± sd (instances)\n")[1].split("\n\n")[0].splitlines() == [
        "                                      ADD8        ADD16",
        "                                     MSE ↓        MSE ↓",
        "LSTM    5.50e-1 ± 7.1e-2 (2), best 5.00e-1",
        "GRU                                      –  5.00e-1 (1)",
        "chance                             1.67e-1      1.67e-1",
    ]


def test_diverged_and_swept_instances_in_the_table() -> None:
    records = [
        make_record(instance=i, diverged_at=150 if i else None, lr=lr, grid=(0.1, 0.01))
        for i in (0, 1)
        for lr in (0.1, 0.01)
    ]
    cells = [("sMNIST", "LSTM"), ("ADD", "GRU")]
    assert score_rows(records, cells)[2:4] == [["LSTM", "88.00 (1), diverged 1/2", ""], ["GRU", "", "–"]]
    assert score_rows([], cells) == []


def test_all_suites_have_a_line_and_begun_budgets_another(folder: Path, capsys) -> None:
    finish(folder, {"ADD8/LSTM": 1.0})

    def lines(*words: str) -> list[list[str]]:
        assert main(["status", "--all", *words]) == 0
        return [line.split() for line in capsys.readouterr().out.split("\n\n")[0].splitlines()[1:]]

    assert lines() == [["tiny", "cpu", "2", "of", "8", "0.28"], ["total", "2", "of", "8", "0.28"]]
    (folder / "runs" / ".pilots" / "tiny" / "smoke").mkdir(parents=True)
    assert [line[1:3] for line in lines()] == [["smoke", "0"], ["cpu", "2"], ["2", "of"]]
    assert lines("--budget", "smoke")[0][:5] == ["tiny", "smoke", "0", "of", "8"]
    assert lines("--only", "GRU")[-1][:4] == ["total", "0", "of", "8"]


@pytest.mark.parametrize("words", [[], ["tiny.yaml", "--all"]])
def test_suites_or_all_of_them(words: list[str], capsys) -> None:
    assert main(["status", *words]) == 2
    assert capsys.readouterr().err == "error: status needs exactly one of SUITE and --all\n"


@pytest.mark.parametrize(
    ("only", "message"),
    [
        ("Digits", "--only Digits matches nothing in suite tiny: it does in quick: give each its own command"),
        ("Digitz", "--only Digitz matches nothing in suites tiny, quick: did you mean Digits?"),
    ],
)
@pytest.mark.parametrize("verb", ["run", "status"])
def test_a_pattern_must_match_in_each_suite(verb: str, only: str, message: str, capsys) -> None:
    assert main([verb, "tiny.yaml", "quick", "--only", only]) == 2
    assert capsys.readouterr().err.startswith(f"error: {message}")
