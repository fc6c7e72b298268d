"""The pool of worker processes: whatever is killed or interrupted, and whenever, it comes to an end and says how."""

import importlib
import random
import signal
import socket
import subprocess
import sys
import threading
import time
from multiprocessing.connection import Connection
from pathlib import Path

import pytest

from rnnbench.benchmark.interruption import EXIT_CODE
from rnnbench.benchmark.launchers import pool, worker
from rnnbench.benchmark.launchers.local import worker_environment
from tests.benchmark.pool_tasks import fail, pause

#: Each at a moment of its own, of a process that is starting, busy or waiting for a task.
KILLS, INTERRUPTIONS = 12, 6
#: A command that, interrupted at any moment, says so and ends with 130.
COMMAND = """
import signal, sys
from rnnbench import __main__
from rnnbench.benchmark.command import cli

def end_on_signals():
    install()
    signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGINT, signal.SIGTERM])

def toy(given):
    from rnnbench.benchmark.launchers.pool import run_in_processes
    from tests.benchmark import pool_tasks, test_pool
    for _ in run_in_processes(range(1000), lambda n, group: (pool_tasks.pause, (0.02,)), [test_pool.alone] * 2, int):
        pass

install, __main__.end_on_signals = __main__.end_on_signals, end_on_signals
cli._run_command = toy
sys.exit(__main__.main())
"""


def alone() -> list[dict[str, str]]:
    return [worker_environment()]


def together() -> list[dict[str, str]]:
    return [{**worker_environment(), "LOCAL_RANK": rank} for rank in "01"]


@pytest.fixture(autouse=True)
def processes(monkeypatch):
    """All processes that a pool starts; none of them may be left when it has ended."""
    started = []

    class Noted(subprocess.Popen):
        def __init__(self, *given, **settings):
            super().__init__(*given, **settings)
            started.append(self)

    monkeypatch.setattr(pool.subprocess, "Popen", Noted)
    monkeypatch.setattr(pool, "_SECONDS_BETWEEN_LOOKS", 0.05)
    yield started
    assert all(process.returncode is not None for process in started)


def outcomes(*calls: pool.Call, groups=(alone,)) -> list[tuple[str, str]]:
    ran = pool.run_in_processes(calls, lambda call, group: call, groups, lambda: None)
    return [(outcome.kind, outcome.message) for _, outcome in ran]


def test_a_process_does_one_task_after_another(processes) -> None:
    assert outcomes(*[(pause, (0.0,))] * 3) == [("trained", str(processes[0].pid))] * 3
    assert [process.returncode for process in processes] == [0]


def test_modules_of_the_current_folder_take_no_library_s_place(tmp_path: Path, monkeypatch) -> None:
    for name in ("json", "pickle", "queue", "rnnbench", "yaml"):
        (tmp_path / f"{name}.py").write_text("raise ImportError('the project has one')", encoding="utf-8")
    own = "from rnnbench.benchmark.launchers.worker import Outcome\ndef do(): return Outcome('trained', 'by it')"
    (tmp_path / "own_task.py").write_text(own, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    assert outcomes((importlib.import_module("own_task").do, ())) == [("trained", "by it")]


@pytest.mark.parametrize("seed", range(KILLS))
def test_a_process_that_is_killed_at_any_moment_is_not_waited_for(seed, processes) -> None:
    draw = random.Random(seed)  # noqa: S311
    after, number = draw.uniform(0.0, 0.8), draw.choice([signal.SIGKILL, signal.SIGSEGV])

    def kill() -> None:
        while not processes:
            time.sleep(0.001)
        time.sleep(after)
        while not processes:  # on a busy machine none may have been started yet
            time.sleep(0.01)
        draw.choice(processes).send_signal(number)

    killer = threading.Thread(target=kill)
    killer.start()
    found = outcomes(*[(pause, (draw.uniform(0.0, 0.2),)) for _ in range(6)], groups=(alone, alone))
    killer.join()
    assert len(found) == 6
    lost = [message for kind, message in found if kind != "trained"]
    assert len(lost) <= 1
    assert all(f"its process was ended by {number.name}" in message for message in lost)


def test_a_process_that_is_killed_while_it_waits_for_a_task_is_replaced(processes) -> None:
    ran = pool.run_in_processes(range(3), lambda n, group: (pause, (0.0,)), (alone,), lambda: None)
    first = next(ran)[1].message
    processes[0].kill()
    processes[0].wait()
    others = [outcome for _, outcome in ran]
    assert [outcome.kind for outcome in others] == ["trained"] * 2
    assert {outcome.message for outcome in others} == {str(processes[1].pid)} != {first}


@pytest.mark.parametrize(
    ("how", "outcome"),
    [
        ("answer", ("failed", "no luck here")),
        ("exit", ("failed", "its process ended with exit code 5; what it printed is above")),
        ("kill", ("left", "its process was ended by SIGKILL, perhaps because memory ran out; the same command")),
        ("child", ("left", "its process was ended by SIGKILL")),
    ],
)
@pytest.mark.parametrize("rank", "01")
def test_processes_that_share_a_task_do_not_wait_for_one_that_fails(rank, how, outcome, monkeypatch) -> None:
    if how != "exit":
        # Else the time is needed: the socket of a process that ends is closed before there is an exit code.
        monkeypatch.setattr(pool, "_SECONDS_TO_REPORT", 0.5)
    first, second = outcomes((fail, (rank, how)), (pause, (0.0,)), groups=(together,))
    assert (first[0], first[1][: len(outcome[1])]) == outcome
    assert second[0] == "trained"


def test_a_worker_that_is_interrupted_before_it_waits_for_a_task_ends_in_silence() -> None:
    ours, theirs = socket.socketpair()
    slow = """
import sys, threading, time
from rnnbench.benchmark.launchers import worker
start = threading.Thread.start
threading.Thread.start = lambda thread: (start(thread), time.sleep(60))
sys.exit(worker.main(int(sys.argv[1])))
"""
    with Connection(ours.detach()) as connection, theirs:
        connection.send_bytes(worker.INTERRUPT)
        command = [sys.executable, "-c", slow, str(theirs.fileno())]
        done = subprocess.run(
            command, env=worker_environment(), pass_fds=[theirs.fileno()], capture_output=True, text=True, check=False
        )
    assert (done.returncode, done.stderr) == (EXIT_CODE, "")


@pytest.mark.parametrize("seed", range(INTERRUPTIONS))
def test_a_command_that_is_interrupted_at_any_moment_says_so_once(seed, tmp_path: Path) -> None:
    draw = random.Random(seed)  # noqa: S311
    number, root = draw.choice([signal.SIGINT, signal.SIGTERM]), Path(__file__).parents[2]
    script = tmp_path / "command.py"
    script.write_text(COMMAND, encoding="utf-8")
    environment = {**worker_environment(), "PYTHONPATH": str(root)}
    process = subprocess.Popen(
        [sys.executable, str(script)],
        env=environment,
        stderr=subprocess.PIPE,
        text=True,
        # What comes before its handlers waits for them here; else it would be Python's own to answer.
        preexec_fn=lambda: (signal.signal(number, signal.SIG_DFL), signal.pthread_sigmask(signal.SIG_BLOCK, [number])),
    )
    time.sleep(draw.uniform(0.0, 2.0))
    for _ in range(draw.randint(1, 4)):
        process.send_signal(number)
        time.sleep(draw.choice([0.0, 0.001, 0.2]))
    error = process.communicate()[1]
    assert set(error.splitlines()) == {"interrupted"}
    assert process.returncode == 130
