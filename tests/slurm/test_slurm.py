"""Suites on a real SLURM of one machine: whatever happens to tasks, the records are those of ``rnnbench run``."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from rnnbench.leaderboard.record import read_record
from tests.benchmark.small_jobs import ROOT, write_own_project
from tests.leaderboard.factory import comparable
from tests.slurm.cluster import Cluster, wait_for, why_none

pytestmark = [pytest.mark.slurm, pytest.mark.skipif(bool(why_none()), reason=why_none())]
SUITE = """
instances: 1
tasks:
  ADD60: {class_path: Adding, init_args: {length: 60, train_size: 64, val_size: 20, test_size: 20}}
networks:
  LSTM: {class_path: LSTM, init_args: {hidden_size: 4}}
  GRU: {class_path: GRU, init_args: {hidden_size: 4}}
  Elman: {class_path: ElmanRNN, init_args: {hidden_size: 4}}
  WCRNN: {preset: WCRNN_best, init_args: {hidden_size: 4}}
training: {batch_size: 16, max_steps: 1000, validate_every: 200}
sweep: {training.learning_rate: [1e-3, 1e-2]}
pilot: {share: 0.1, instances: 1}
"""


@pytest.fixture(scope="module")
def cluster(tmp_path_factory) -> Iterator[Cluster]:
    with Cluster(tmp_path_factory.mktemp("slurm") / "cluster") as cluster:
        yield cluster


@pytest.fixture(scope="module")
def undisturbed(cluster, tmp_path_factory) -> dict:
    folder = tmp_path_factory.mktemp("undisturbed")
    (folder / "small.yaml").write_text(SUITE, encoding="utf-8")
    rnnbench(cluster, folder, "run", "small.yaml", code=0)
    return records(folder)


@pytest.fixture
def folder(cluster, tmp_path) -> Iterator[Path]:
    (tmp_path / "small.yaml").write_text(SUITE, encoding="utf-8")
    yield tmp_path
    cluster.ask("scancel", "--user=root", check=False)
    wait_for(lambda: not cluster.queue())


def rnnbench(cluster: Cluster, folder: Path, *words: str, code: int | None = None) -> str:
    environment = {**cluster.environment, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "rnnbench", *words]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    assert code is None or done.returncode == code, done.stderr
    return done.stdout


def submit(cluster: Cluster, folder: Path, *words: str) -> str:
    return rnnbench(cluster, folder, "submit", "small.yaml", "--slurm", "--bundle", "1s", *words, code=0)


def records(folder: Path) -> dict:
    paths = (path for path in (folder / "runs" / "small").rglob("*.json"))
    return {path.relative_to(folder): comparable(read_record(path)) for path in paths}


def states(cluster: Cluster) -> list[str]:
    return [state for _, state in cluster.queue()]


def submit_until_nothing_is_left(cluster: Cluster, folder: Path) -> None:
    for _ in range(20):
        if "nothing is missing" in submit(cluster, folder):
            return
        wait_for(lambda: not cluster.queue(), seconds=3600)
    raise AssertionError(rnnbench(cluster, folder, "status", "small.yaml"))


def test_records_are_those_of_run_in_arrays_split_at_the_limit(cluster, folder, undisturbed):
    out = submit(cluster, folder, "--array-limit", "3", "--partition", "short", "--time", "10m")
    assert [line.split(": ")[1] for line in out.splitlines() if line.startswith("submitted")] == ["3 tasks", "1 task"]
    assert "nothing to submit: 4 runs are queued or running" in submit(cluster, folder)
    wait_for(lambda: not cluster.queue(), seconds=3600)
    assert records(folder) == undisturbed
    assert "nothing is missing" in submit(cluster, folder)


def test_tasks_that_are_cancelled_requeued_or_lose_their_node_lose_nothing(cluster, folder, undisturbed):
    submit(cluster, folder)
    wait_for(lambda: "RUNNING" in states(cluster))
    (first, *others) = [task for task, state in cluster.queue() if state == "RUNNING"]
    cluster.ask("scancel", first)
    if others:
        cluster.ask("scontrol", "requeue", others[0])
    submit(cluster, folder)
    wait_for(lambda: list((folder / "runs" / "small").rglob("last.ckpt")), seconds=3600)
    cluster.kill_node()
    submit(cluster, folder)
    cluster.start_node()
    wait_for(lambda: not cluster.queue(), seconds=3600)
    submit_until_nothing_is_left(cluster, folder)
    assert records(folder) == undisturbed


def test_what_the_wall_clock_ends_goes_on(cluster, folder, undisturbed):
    minutes = 1
    while "nothing is missing" not in submit(cluster, folder, "--time", f"{minutes}m", "--cpus", str(os.cpu_count())):
        wait_for(lambda: not cluster.queue(), seconds=3600)
        # On a busy machine a task may take a minute to begin.
        if "give more --time" in rnnbench(cluster, folder, "status", "small.yaml"):
            minutes *= 2
        assert minutes < 60
    assert records(folder) == undisturbed


def test_at_its_wall_clock_each_task_of_an_array_goes_back_to_the_queue_alone(cluster, folder):
    endless = SUITE.partition("sweep:")[0].replace("max_steps: 1000", "max_steps: 1000000")
    (folder / "small.yaml").write_text(endless, encoding="utf-8")
    # Where there are cores for both, they are there at a time.
    submit(cluster, folder, "--only", "LSTM", "GRU", "--time", "3m")

    def logs() -> list[str]:
        return [path.read_text(encoding="utf-8") for path in (folder / "runs" / ".slurm").rglob("*.log")]

    wait_for(lambda: sum("requeued, to go on from here" in log for log in logs()) == 2, seconds=3600)
    assert not any("not requeued" in log or "interrupted" in log for log in logs())


def test_tasks_train_in_any_folder_and_without_home_or_standard_error(cluster, folder):
    project = write_own_project(folder)
    # Also as one of the tasks of an allocation.
    (project / "setup.sh").write_text("#SBATCH --ntasks=2 --overcommit\nunset HOME\nexec 2>&-\n", encoding="utf-8")
    rnnbench(cluster, project, "submit", "own.yaml", "--slurm", "--setup", "setup.sh", code=0)
    wait_for(lambda: not cluster.queue(), seconds=3600)
    assert len(list((project / "runs" / "own").rglob("*.json"))) == 2
