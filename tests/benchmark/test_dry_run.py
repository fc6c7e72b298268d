"""``run --dry-run``: runs, records and steps of every budget, and hours scaled from what was timed."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from rnnbench.benchmark.config.construct import build_data_module
from rnnbench.benchmark.config.options import RunOptions
from rnnbench.benchmark.config.suite import load_suite
from rnnbench.benchmark.launchers import estimate, progress
from rnnbench.benchmark.launchers.choice import plan_of
from rnnbench.benchmark.launchers.estimate import Estimator
from rnnbench.benchmark.launchers.progress import SuiteBar, makespan
from rnnbench.benchmark.launchers.suite_run import run_suite
from rnnbench.benchmark.launchers.time_left import TIMED

SUITE = """
title: Tiny
instances: 2
tasks:
  ADD8: {class_path: Adding, init_args: {length: 8, train_size: 64, val_size: 20, test_size: 12}}
networks:
  LSTM: {class_path: LSTM, init_args: {hidden_size: 4}}
  CoRNN: {class_path: CoRNN, init_args: {hidden_size: 4}}
training: {batch_size: 16, max_steps: 10, validate_every: 4}
budgets:
  smoke: {networks: [LSTM], training: {max_steps: 2, validate_every: 2}}
  cpu: {sweep: {training.learning_rate: [0.1, 0.01]}}
  paper: {instances: 3, training: {max_epochs: 1000}}
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    (tmp_path / "tiny.yaml").write_text(SUITE, encoding="utf-8")
    return tmp_path / "tiny.yaml"


def dry_run(path: Path, budget: str, **options: object) -> RunOptions:
    chosen = RunOptions(budget=budget, dry_run=True, runs_dir=path.parent / "runs", workers=2, **options)
    assert run_suite(load_suite(path, budget), chosen) == 0
    assert [found.name for found in (path.parent / "runs").rglob("*")] == [TIMED]
    return chosen


def costs(output: str) -> dict[str, list[str]]:
    lines = output.splitlines()
    start = next(i for i, line in enumerate(lines) if line.startswith("budget"))
    assert lines[start].split() == ["budget", "runs", "records", "steps", "hours"]
    return {line.split()[0]: line.split()[1:] for line in lines[start + 1 : -1]}


def test_every_budget_is_counted_and_hours_say_that_they_are_estimated(path, capsys) -> None:
    of_row = "overrides: [{networks: [LSTM], sweep: {training.momentum: [0.9, 0.5]}}]"
    path.write_text(SUITE.replace("rate: [0.1, 0.01]}", "rate: [0.1, 0.01]}, " + of_row), encoding="utf-8")
    dry_run(path, "cpu")
    output, notes = capsys.readouterr()
    assert "grid of ADD8/LSTM: training.momentum from 0.9, 0.5\n" in output
    assert "grid of ADD8/CoRNN: training.learning_rate from 0.1, 0.01\n" in output
    assert "note: ADD8/LSTM: its sweep of training.momentum takes the place of the one above it, so that" in notes
    assert "training.learning_rate stays 0.001: name it in this sweep too to try both" in notes
    found = costs(output)
    assert {budget: line[:3] for budget, line in found.items()} == {
        "smoke": ["1", "2", "2"],
        "cpu": ["3", "8", "30"],
        "paper": ["2", "6", "8,000"],
    }
    assert list(found) == ["smoke", "cpu", "paper"]
    assert found["smoke"][3:] == ["under", "0.01"]
    # Kinds differ in network and members: 2 of LSTM, 4 of CoRNN, and 3 of each.
    assert "a few short steps of each of 4 kinds of runs were timed" in output.splitlines()[-1]


def test_only_what_is_chosen_is_counted(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    dry_run(path, "paper", only=("CoRNN",), instances=(0,))
    found = costs(capsys.readouterr().out)
    assert {budget: line[:3] for budget, line in found.items()} == {
        "cpu": ["1", "2", "10"],
        "paper": ["1", "1", "4,000"],
    }


def test_seconds_scale_with_steps_length_and_evaluations(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rates = estimate._Rates(training=estimate._Line(1.0, 0.5), scoring=estimate._Line(0.25, 0.125), optimiser=2.0)
    monkeypatch.setattr(estimate, "_measure", lambda job, module: rates)
    job = next(j for j in plan_of(load_suite(path, "cpu"), RunOptions(runs_dir=path.parent / "runs")).jobs)
    module = build_data_module(job.experiment.config)
    # Length 8, evaluations after steps 4, 8 and 10, each of 32 sequences: two batches.
    sizes, estimator = module.split_sizes(), Estimator("auto")
    assert estimator.seconds(job, module, 10, sizes) == 10 * (1 + 8 * 0.5 + 2) + 3 * 2 * (0.25 + 8 * 0.125)
    assert estimator.seconds(job, module, 0, sizes) == 2 * (0.25 + 8 * 0.125)


@pytest.mark.parametrize(
    ("law", "expected"), [(lambda n: 3.0 + 2.0 * n, (9.0, 6.0)), (lambda n: 4.0 - 0.1 * n, (0.0, 3 * 2.8 / 12))]
)
def test_a_line_is_drawn_through_two_lengths(law, expected, monkeypatch) -> None:
    ran: list[int] = []

    def seconds(run: Callable[[], None], device: torch.device) -> float:
        run()
        return law(ran[-1])

    monkeypatch.setattr(estimate, "_seconds", seconds)
    line = estimate._line(ran.append, (3, 12), 3.0, torch.device("cpu"))
    assert (line.start, line.slope) == pytest.approx(expected)
    assert ran == [3, 12]


def test_runs_go_to_whichever_worker_is_free() -> None:
    assert makespan([5.0, 1.0, 1.0, 1.0], 2) == 5.0
    assert makespan([2.0, 2.0, 2.0], 1) == 6.0
    assert makespan([], 3) == 0.0
    assert makespan([1.0, 2.0], 10**11) == 2.0


def test_the_end_is_foretold_from_what_was_trained_and_not_from_starting_up(path, monkeypatch) -> None:
    jobs = plan_of(load_suite(path, "paper"), RunOptions(runs_dir=path.parent / "runs")).jobs
    now, steps = [0.0], {job: 0 for job in jobs}
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(progress, "reported", lambda job: (steps[job], "RMSE 5.00e-1" if steps[job] > 5 else ""))
    # The second one costs twice as much by its work, and in truth as much as the first.
    bar = SuiteBar({jobs[0]: 100.0, jobs[1]: 200.0}, dict.fromkeys(jobs, 100))
    for now[0], steps[jobs[0]] in ((60.0, 1), (62.0, 3)):
        bar.update()
    assert bar.seconds_left() is None
    now[0], steps[jobs[0]] = 70.0, 11
    bar.update()
    assert bar.seconds_left() == pytest.approx(89 + 200)
    assert bar._running() == "training ADD8/LSTM 11 %, RMSE 5.00e-1 (best of 3)"
    now[0] = 159.0
    bar.finish(jobs[0], "", trained=True)
    for now[0], steps[jobs[1]] in ((200.0, 1), (210.0, 11)):
        bar.update()
    assert bar.seconds_left() == pytest.approx(89)


def test_what_ended_without_its_records_is_still_left(path, monkeypatch, capsys) -> None:
    jobs = plan_of(load_suite(path, "paper"), RunOptions(runs_dir=path.parent / "runs")).jobs
    steps = {jobs[0]: 100, jobs[1]: 25}
    monkeypatch.setattr(progress, "reported", lambda job: (steps[job], ""))
    bar = SuiteBar(dict.fromkeys(jobs, 100.0), dict.fromkeys(jobs, 100))
    bar.finish(jobs[0], "", trained=True)
    bar.finish(jobs[1], "error: it was ended by SIGTERM", trained=False)
    assert bar.seconds_left() is None
    bar.close()
    last = capsys.readouterr().err.splitlines()[-1]
    assert "1 of 2 runs left" in last
    assert " 62%" in last


@pytest.mark.parametrize("name", ["music", "smnist"])
def test_without_their_data_runs_are_planned_with_published_sizes(name, tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.setenv("RNNBENCH_DATA", str(tmp_path))
    monkeypatch.setattr(Estimator, "seconds", lambda self, job, module, steps, sizes: 1.0 * steps + sizes.train)
    options = RunOptions(budget="paper", dry_run=True, runs_dir=tmp_path / "runs", instances=(0,), workers=10**11)
    assert run_suite(load_suite(name, "paper"), options) == 0
    captured = capsys.readouterr()
    assert "It is planned with the published sizes of these data" in captured.err
    assert int(costs(captured.out)["paper"][2].replace(",", "")) > 0


@pytest.mark.needs_data
@pytest.mark.parametrize("name", ["music", "language", "slots", "smnist", "scifar10"])
def test_published_sizes_are_those_of_the_data(name: str) -> None:
    for experiment in load_suite(name, "paper").experiments:
        module = build_data_module(experiment.config)
        module.setup()
        assert tuple(module.published_sizes) == pytest.approx(tuple(module.split_sizes()), rel=1e-2)


def test_large_networks_are_timed_by_few_short_ones(path: Path) -> None:
    text = SUITE.replace("LSTM, init_args: {hidden_size: 4}", "LSTM, init_args: {hidden_size: 700}")
    path.write_text(text, encoding="utf-8")
    jobs = plan_of(load_suite(path, "paper"), RunOptions(runs_dir=path.parent / "runs")).jobs
    job = next(job for job in jobs if job.experiment.network == "LSTM")
    rates = estimate._measure(job, build_data_module(job.experiment.config))
    assert rates.training.at(8) > rates.scoring.at(8) > 0
