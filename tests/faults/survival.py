"""What happens to a command, drawn from a seed, and what holds afterwards, always the same.

The records, and the files beside them, are in the end those of an undisturbed run (time and provenance aside); a record
that was finished once is never written again; and what could not be done is said, with exit code 2 or 3.
"""

from __future__ import annotations

import errno
import io
import json
import os
import random
import re
import signal
import subprocess
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load

from rnnbench.leaderboard.files import FileError, side_path
from rnnbench.leaderboard.record import read_record
from rnnbench.leaderboard.weights_file import weights_path
from tests.faults.injected import VARIABLE
from tests.faults.launcher import SUITE, TWO_RUNS, Command, Ended, Launcher, Reached
from tests.leaderboard.factory import comparable

#: Seconds after which something never happens, however busy the machine.
_NEVER = 3600.0
#: Starts until all is done; each may name one more file that is damaged.
_STARTS = 8
#: A file that a message says is to be moved away.
_TO_MOVE = re.compile(r"(runs/[^:\s]+\.(?:json|ckpt|yaml)).*move it away")
_KILLED = {-signal.SIGKILL, 128 + signal.SIGKILL}


@dataclass(frozen=True)
class Undisturbed:
    """What a run of a suite without a fault gives: its files by their places, and the number of places it comes by."""

    suite: str
    results: dict[Path, Any]
    places: int


@dataclass
class Trial:
    """A folder in which commands suffer one fault."""

    launcher: Launcher
    seed: int
    folder: Path
    undisturbed: Undisturbed
    torn: set[Path] = field(default_factory=set)
    kept: dict[Path, bytes] = field(default_factory=dict)
    faults: int = 0
    #: How the last command ended, if nothing is left to do.
    last: Ended | None = None
    afterwards: ExitStack = field(default_factory=ExitStack)

    def __post_init__(self) -> None:
        (self.folder / SUITE).write_text(self.undisturbed.suite, encoding="utf-8")
        self.draw = random.Random(self.seed)  # noqa: S311
        self.at = self.draw.randint(1, max(1, self.undisturbed.places))

    @property
    def runs(self) -> Path:
        return self.folder / "runs"

    def start(
        self, kind: str = "none", *options: str, more: Mapping[str, str] | None = None, **settings: Any
    ) -> Command:
        """Start a command that suffers a kind of fault at the drawn place."""
        self.faults += 1
        where = self.where
        where.mkdir()
        content = {"runs": str(self.runs), "kind": kind, "at": self.at, "seed": self.seed, "settings": settings}
        (where / "fault.json").write_text(json.dumps(content), encoding="utf-8")
        return self.launcher.start(self.folder, {**(more or {}), VARIABLE: str(where)}, *options)

    @property
    def where(self) -> Path:
        """The folder of the last fault."""
        return self.folder / f"fault-{self.faults}"

    def reach(self, **settings: Any) -> tuple[Command, Reached, Path]:
        """Start a command, wait until one of its processes halts, and return what lets it go on."""
        command = self.start("halt", **settings)
        reached = self.where / "reached"
        _wait(lambda: reached.exists() or command.ended())
        assert reached.exists(), f"place {self.at} was not reached: {command.ended()}"
        return command, Reached(**json.loads(reached.read_text(encoding="utf-8"))), self.where / "go"

    def end(self, command: Command, *also: int) -> Ended:
        """Wait for the end of a command, whose exit code may be others than 0, 2 and 3 too."""
        ended = _wait(command.ended)
        assert ended.code in {0, 2, 3, *also}, ended
        assert "Traceback" not in ended.printed, ended.printed
        if ended.code == 0:
            assert results(self.runs).keys() >= self.undisturbed.results.keys(), "success although something is left"
        if ended.code in (2, 3):
            assert re.search(r"^(.*\r)?(error|note): .", ended.printed, re.MULTILINE), f"nothing is said: {ended}"
        now = finished(self.runs)
        for path, content in self.kept.items():
            assert path in self.torn or now.get(path) == content, f"{path} was finished, and is lost or written again"
        self.kept, self.last = now, ended if ended.code == 0 else None
        return ended

    def finish(self) -> None:
        """Start commands, moving away what they say is damaged, until nothing is left; and compare."""
        for _ in range(_STARTS):
            ended = self.last or self.end(self.start())
            self.last = None
            if ended.code == 0:
                break
            named = [self.folder / name for line in ended.printed.splitlines() for name in _TO_MOVE.findall(line)]
            assert named if self.torn and ended.code == 2 else ended.code == 3, ended.printed
            for path in filter(Path.exists, named):
                path.rename(self.folder / f"moved-{path.name}")
                self.kept.pop(path, None)
        assert ended.code == 0, ended.printed
        found = results(self.runs)
        assert found.keys() == self.undisturbed.results.keys()
        for path, expected in self.undisturbed.results.items():
            # An instance whose record was moved away is trained alone, which is the same to float tolerance; and
            # nothing reads weights until they are wanted.
            is_torn = path.suffix == ".safetensors" and self.runs / path in self.torn
            assert found[path] == expected or is_torn or (self.torn and is_close(found[path], expected)), path


def survive(
    launcher: Launcher, seed: int, folder: Path, undisturbed: Undisturbed, kinds: Mapping[str, Fault] | None = None
) -> None:
    """Let a command suffer the fault of a seed, and check what holds afterwards."""
    trial = Trial(launcher, seed, folder, undisturbed)
    with trial.afterwards:
        (kinds or KINDS)[kind_of(seed, kinds)](trial)
        trial.finish()


def kind_of(seed: int, kinds: Mapping[str, Fault] | None = None) -> str:
    """Return the kind of a seed's fault."""
    names = list(kinds or KINDS)
    return names[seed % len(names)]


def undisturbed_run(launcher: Launcher, folder: Path, suite: str = TWO_RUNS) -> Undisturbed:
    """Return what a run without a fault gives."""
    trial = Trial(launcher, 0, folder, Undisturbed(suite, {}, 1))
    command = trial.start()
    assert trial.end(command).code == 0
    return Undisturbed(suite, results(trial.runs), (trial.where / "places").stat().st_size)


def results(runs: Path) -> dict[Path, Any]:
    """Return the records of a folder, without time and provenance, and the bytes of what lies beside each."""
    found: dict[Path, Any] = {}
    for path in finished(runs):
        found[path.relative_to(runs)] = comparable(read_record(path))
        for beside in (side_path(path), weights_path(path)):
            if beside.exists():
                found[beside.relative_to(runs)] = beside.read_bytes()
    return found


def finished(runs: Path) -> dict[Path, bytes]:
    """Return the bytes of the records that are finished."""
    found = {}
    for path in runs.glob("*/*/*/*/*.json"):
        try:
            if read_record(path).status == "finished":
                found[path] = path.read_bytes()
        except FileError:
            continue
    return found


def is_close(one: Any, other: Any) -> bool:
    """Return whether what is read of two files is equal but for the rounding of numbers."""
    if isinstance(one, bytes) and isinstance(other, bytes):
        read = (lambda content: dict(np.load(io.BytesIO(content)))) if one.startswith(b"PK") else load
        return is_close(read(one), read(other))
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(is_close(one[key], other[key]) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(is_close, one, other))
    if isinstance(one, (float, np.ndarray)):
        return bool(np.allclose(one, other, rtol=1e-4, atol=1e-6, equal_nan=True))
    return bool(one == other)


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
    _a_while(second)
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
    _a_while(second)
    os.kill(pid, signal.SIGCONT)
    go.touch()
    _end_both(trial, command, second)


def _end_both(trial: Trial, *commands: Command) -> None:
    """Wait for two commands; one that was taken for dead may write what the other has just written too."""
    for command in commands:
        _wait(command.ended)
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
    assert trial.end(trial.start("delay")).code == 0


def _clock_jumps(trial: Trial) -> None:
    days = trial.draw.choice([-20_000, -1, 1, 3_000])
    assert trial.end(trial.start("jump", seconds=days * 86_400)).code == 0


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


def _a_while(command: Command) -> None:
    """Wait until a command has ended, or for some seconds: it may wait for another that halts."""
    end = time.monotonic() + 3.0
    while time.monotonic() < end and not command.ended():
        time.sleep(0.02)


def _wait(look: Callable[[], Any]) -> Any:
    """Return what is true in the end."""
    end = time.monotonic() + _NEVER
    while not (found := look()):
        assert time.monotonic() < end, "it never ends"
        time.sleep(0.02)
    return found
