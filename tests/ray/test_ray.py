"""Suites on a Ray cluster of two nodes: whatever happens to them, the records are those of ``rnnbench run``."""

import importlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from unittest.mock import MagicMock, Mock

import pytest

from rnnbench.benchmark.config.options import RunOptions
from rnnbench.benchmark.errors import UserError
from rnnbench.benchmark.launchers.worker import Outcome
from rnnbench.benchmark.run.source import code_version
from rnnbench.leaderboard.record import read_record
from tests.benchmark.small_jobs import ROOT, write_own_project
from tests.leaderboard.factory import comparable
from tests.ray.cluster import NO_RAY, Cluster

if not NO_RAY:
    import ray

pytestmark = [pytest.mark.slow, pytest.mark.skipif(bool(NO_RAY), reason=NO_RAY)]
# A class of the user's own, with a module that it imports, of which the nodes know nothing.
OWN = {
    "mycells.py": "from rnnbench import GRU\nfrom mysizes import SIZE\n\nclass MyGRU(GRU):\n    units = SIZE\n",
    "mysizes/__init__.py": "SIZE = 4\n",
    "small.yaml": """
instances: 1
tasks:
  ADD60: {class_path: Adding, init_args: {length: 60, train_size: 64, val_size: 20, test_size: 20}}
networks:
  LSTM: {class_path: LSTM, init_args: {hidden_size: 4}}
  MyGRU: {class_path: mycells.MyGRU, init_args: {hidden_size: 4}}
training: {batch_size: 16, max_steps: 800, validate_every: 100}
sweep: {training.learning_rate: [1e-3, 1e-2]}
pilot: {share: 0.1, instances: 1}
measures: [lyapunov: {at: [end], samples: 2}]
""",
}


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    cluster = Cluster()
    yield cluster
    cluster.end()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_own(tmp_path)
    return tmp_path


def write_own(folder: Path) -> None:
    (folder / "mysizes").mkdir(parents=True)
    # Such as editors keep beside a file that is open.
    (folder / "mysizes" / "lock").symlink_to("nowhere")
    for name, text in OWN.items():
        (folder / name).write_text(text, encoding="utf-8")


def start(folder: Path, *words: str) -> subprocess.Popen:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    # The command, as documentation has it: a script of the package's own name.
    command = [str(Path(sys.executable).with_name("rnnbench")), "run", "small.yaml", *words]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    # As from a terminal: what a shell runs behind ignores SIGINT.
    return subprocess.Popen(
        command, cwd=folder, env=environment, preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL), **pipes
    )


def end(process: subprocess.Popen) -> tuple[int, str]:
    error = process.communicate()[1]
    return process.returncode, error


def wait_for(process: subprocess.Popen, what: Callable[[], bool]) -> None:
    while not what():
        assert process.poll() is None, process.communicate()
        time.sleep(0.1)


def results(folder: Path) -> dict:
    paths = [path for path in (folder / "runs").rglob("*.json")]
    assert all(path.with_suffix(".npz").exists() for path in paths if ".pilots" not in path.parts)
    return {path.relative_to(folder): comparable(read_record(path)) for path in paths}


def undisturbed(folder: Path) -> dict:
    other = folder / "undisturbed"
    write_own(other)
    assert end(start(other))[0] == 0
    return results(other)


def test_records_are_those_of_run_with_a_node_lost_and_a_command_interrupted(cluster: Cluster, folder: Path) -> None:
    ray = ("--launcher", "ray", "--address", cluster.address)
    process = start(folder, *ray)
    runs = folder / "runs" / "small"
    wait_for(process, lambda: len([*runs.rglob("progress")]) == 2)
    cluster.tell("kill")
    wait_for(process, lambda: any(runs.rglob("last.ckpt")))
    process.send_signal(signal.SIGINT)
    code, error = end(process)
    assert code == 130, error
    assert error.endswith("interrupted: the same command goes on from here\n")
    cluster.tell("add")
    code, error = end(start(folder, *ray, "--quiet"))
    assert (code, error) == (0, "")
    assert results(folder) == undisturbed(folder)
    assert not [*runs.rglob("last.ckpt"), *runs.rglob("progress")]
    records = [read_record(path) for path in runs.rglob("*.json")]
    assert {record.network: [one.module for one in record.own_code] for record in records} == {
        "LSTM": [],
        "MyGRU": ["mycells"],
    }
    # The nodes have no repository that could say so.
    assert all(record.code.commit == code_version().commit for record in records)


def test_what_is_interrupted_comes_back(cluster: Cluster, folder: Path) -> None:
    text = OWN["small.yaml"].replace("max_steps: 800", "max_steps: 1000000").partition("sweep:")[0]
    (folder / "small.yaml").write_text(text, encoding="utf-8")
    process = start(folder, "--launcher", "ray", "--address", cluster.address, "--only", "LSTM")
    wait_for(process, lambda: any(folder.rglob("last.ckpt")))
    process.send_signal(signal.SIGINT)
    assert end(process)[0] == 130
    (record,) = map(read_record, (folder / "runs").rglob("*.json"))
    assert record.status == "interrupted"


def test_nodes_train_from_any_folder_and_for_a_command_without_home_or_standard_error(
    cluster: Cluster, tmp_path: Path
) -> None:
    project = write_own_project(tmp_path)
    words = [sys.executable, "-m", "rnnbench", "run", "own.yaml", "--launcher", "ray", "--address", cluster.address]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    del environment["HOME"]
    shell = ["sh", "-c", 'exec "$@" 2>&-', "sh", *words]
    done = subprocess.run(shell, cwd=project, env=environment, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    records = [read_record(path) for path in (project / "runs" / "own").rglob("*.json")]
    assert [(record.status, record.network) for record in records] == [("finished", "Leaky")] * 2


def test_what_cannot_be_is_refused_at_once(cluster: Cluster, folder: Path) -> None:
    words = ("--launcher", "ray", "--address")
    code, error = end(start(folder, *words, cluster.address, "--gpus-per-job", "0.25"))
    assert code == 2
    assert error.endswith("error: no node of the Ray cluster has a core and 0.25 GPUs for a job\n")
    code, error = end(start(folder, *words, "127.0.0.1:1"))
    assert code == 2
    assert "error: no Ray cluster is reached at 127.0.0.1:1: " in error


@pytest.fixture
def connected(cluster: Cluster) -> Iterator[ModuleType]:
    ray.init(address=cluster.address, log_to_driver=False, logging_level="ERROR")
    yield importlib.import_module("rnnbench.benchmark.launchers.ray.jobs")
    ray.shutdown()


def test_what_others_wrote_is_kept_at_the_end_when_one_task_is_lost(
    connected: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    kept: list[dict[str, bytes]] = []
    monkeypatch.setattr(connected, "keep", lambda job, files, is_trained: kept.append(files))
    lost = ray.remote(lambda: os._exit(1)).options(max_retries=0).remote()
    ray.wait([lost])
    left = ray.remote(lambda: (Outcome("left"), ({"record.json": b"{}"}, "W&B: offline\n"))).remote()
    tasks = object.__new__(connected._Tasks)
    tasks._board = Mock()
    tasks._tasks = {reference: connected._Task(Mock(), MagicMock(), 0) for reference in (lost, left)}
    tasks.end(60.0)
    assert kept == [{"record.json": b"{}"}]
    assert capsys.readouterr().err == "W&B: offline\n"


def test_a_board_that_is_lost_is_begun_again_and_one_that_cannot_be_is_named(connected: ModuleType) -> None:
    tasks = connected._Tasks(RunOptions(), 0.0)
    ray.get(tasks._board.say.remote(0, {}, ""))
    ray.kill(tasks._board, no_restart=False)
    tasks._write_reports()
    ray.kill(tasks._board)
    with pytest.raises(UserError, match=r"Ray's cluster is lost \(The actor .*\); on one"):
        tasks._write_reports()
