"""The kinds of faults, by their names."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.faults.launcher import Command, Reached
from tests.faults.trial import Trial, wait_a_while, wait_for

_KILLED = {-signal.SIGKILL, 128 + signal.SIGKILL}


def _worker_killed(trial: Trial) -> None:
    command, reached, _ = trial.reach()
    os.kill(reached.pid, signal.SIGKILL)
    trial.end(command, *_KILLED)


def _launcher_killed(trial: Trial) -> None:
    command, reached, _ = trial.reach()
    os.kill(trial.launcher.main_process(command, reached), signal.SIGKILL)
    trial.end(command, *_KILLED)


def _node_killed(trial: Trial) -> None:
    command, reached, _ = trial.reach()
    trial.launcher.kill_node(command, reached)
    trial.launcher.restore_node()
    trial.end(command, *_KILLED)


def _ended_in_order(trial: Trial) -> None:
    command, reached, go = trial.reach()
    os.kill(trial.launcher.main_process(command, reached), trial.draw.choice([signal.SIGTERM, signal.SIGINT]))
    go.touch()
    assert trial.end(command, 130).code != 2


def _two_at_once(trial: Trial) -> None:
    command, _, go = trial.reach()
    second = trial.start()
    wait_a_while(second)
    go.touch()
    _end_both(trial, command, second)


def _stopped(trial: Trial, who: Callable[[Command, Reached], int]) -> None:
    """Stop a process; meanwhile another command, as from another machine, goes on with what it was doing."""
    command, reached, go = trial.reach(machine="one")
    pid = who(command, reached)
    os.kill(pid, signal.SIGSTOP)
    if pid != reached.pid:
        go.touch()
    second = trial.start(machine="two")
    wait_a_while(second)
    os.kill(pid, signal.SIGCONT)
    go.touch()
    _end_both(trial, command, second)


def _end_both(trial: Trial, *commands: Command) -> None:
    """Wait for two commands; one that was taken for dead may write what the other has just written too."""
    for command in commands:
        wait_for(command.ended)
    for command in commands:
        trial.end(command)


def _worker_stopped(trial: Trial) -> None:
    _stopped(trial, lambda command, reached: reached.pid)


def _launcher_stopped(trial: Trial) -> None:
    _stopped(trial, trial.launcher.main_process)


def _refused(number: int, **settings: Any) -> Callable[[Trial], None]:
    def refused(trial: Trial) -> None:
        ended = trial.end(trial.start("refuse", errno=number, **settings))
        assert ended.code == 0 or os.strerror(number) in ended.printed, ended.printed

    return refused


def _file_too_large(trial: Trial) -> None:
    trial.end(trial.start("limit", bytes=trial.draw.randint(2_000, 20_000)))


def _slow_disk(trial: Trial) -> None:
    ended = trial.end(trial.start("delay"))
    assert ended.code == 0, ended.printed


def _clock_jumps(trial: Trial) -> None:
    days = trial.draw.choice([-20_000, -1, 1, 3_000])
    ended = trial.end(trial.start("jump", seconds=days * 86_400))
    assert ended.code == 0, ended.printed


def _memory_runs_out(trial: Trial) -> None:
    trial.end(trial.start("memory"))


def _small_file_system(trial: Trial) -> None:
    """A real file system that is full, has no inode left, or is mounted for reading only."""
    trial.runs.mkdir()
    size = trial.draw.choice(["size=64k", "size=24k", "nr_inodes=12", "nr_inodes=5", "ro"])
    if subprocess.run(["mount", "-t", "tmpfs", "-o", size, "tmpfs", trial.runs], capture_output=True).returncode:
        pytest.skip("no file system may be mounted here")
    trial.afterwards.callback(subprocess.run, ["umount", "--lazy", trial.runs], check=True)
    trial.end(trial.start())
    subprocess.run(["mount", "-o", "remount,rw,size=1g,nr_inodes=10000", trial.runs], check=True)


def _wandb_lost(trial: Trial) -> None:
    """W&B's server that nobody reaches, or the process that speaks with it killed again and again."""
    where = {"WANDB_BASE_URL": "http://127.0.0.1:9", "WANDB_API_KEY": "0123456789" * 4}
    mode = trial.draw.choice(["online", "offline"])
    ended = trial.end(trial.start("disconnect", "--wandb", mode, more=where))
    assert ended.code == 0
    assert mode == "offline" or "Weights & Biases: online is not possible" in ended.printed, ended.printed


def _node_cut_off(trial: Trial) -> None:
    command, _, go = trial.reach()
    go.touch()
    trial.launcher.cut_off_node()
    trial.end(command, *_KILLED)


def _torn(trial: Trial) -> None:
    """A file that ends at any byte, as after a node lost its power on a file system that keeps no order."""
    command, reached, _ = trial.reach()
    trial.launcher.kill_node(command, reached)
    _tear(trial)
    trial.launcher.restore_node()
    trial.end(command, *_KILLED)


def _torn_at_the_end(trial: Trial) -> None:
    trial.end(trial.start())
    _tear(trial)


def _tear(trial: Trial) -> None:
    kinds: dict[str, list[Path]] = {}
    for path in sorted(trial.runs.rglob("*")):
        if path.is_file() and path.stat().st_size:
            kinds.setdefault(path.suffix, []).append(path)
    if kinds:
        path = trial.draw.choice(kinds[trial.draw.choice(sorted(kinds))])
        os.truncate(path, trial.draw.randrange(path.stat().st_size))
        trial.torn.add(path)
        trial.last = None


Fault = Callable[[Trial], None]
#: What may happen, by the name of it. Seed n suffers the n-th, and those that follow begin again.
KINDS: dict[str, Fault] = {
    "worker killed": _worker_killed,
    "launcher killed": _launcher_killed,
    "node killed": _node_killed,
    "ended in order": _ended_in_order,
    "two launchers at once": _two_at_once,
    "worker stopped": _worker_stopped,
    "launcher stopped": _launcher_stopped,
    "disk full": _refused(errno.ENOSPC),
    "disk full inside a file": _file_too_large,
    "folder read-only": _refused(errno.EROFS),
    "no inode left": _refused(errno.ENOSPC, only_new=True),
    "disk slow": _slow_disk,
    "clock jumps": _clock_jumps,
    "memory runs out": _memory_runs_out,
    "small file system": _small_file_system,
    "file torn": _torn,
    "file torn at the end": _torn_at_the_end,
    "wandb lost": _wandb_lost,
}
#: With several machines also:
CLUSTER_KINDS = {**KINDS, "node cut off": _node_cut_off}
