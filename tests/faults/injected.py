"""What a fault does inside the processes of a command, under any launcher, at a place of what they write.

The folder that `VARIABLE` names holds ``fault.json``. Places are opening a file of the runs to write it, forcing it to
the disk, renaming and removing it, and making a folder, counted over all processes of the command in the file
``places``. What Python reports of itself (audit events) shows them without a change of the code under test.
"""

from __future__ import annotations

import datetime as dates
import gc
import json
import os
import random
import resource
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

VARIABLE = "RNNBENCH_TEST_FAULT"
_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC
#: Written by the clock, not by what is done.
_NOT_COUNTED = ("progress",)


def install() -> None:
    """Let this process and those that it forks suffer the fault that `VARIABLE` names, if it names one."""
    if folder := os.environ.get(VARIABLE):
        fault = _Fault(Path(folder))
        sys.addaudithook(fault.see)
        os.fsync = fault.fsync


class _Fault:
    """A fault: what happens ``at`` a place and, with some, from it on until the file ``lifted`` is there."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        content = json.loads((folder / "fault.json").read_text(encoding="utf-8"))
        self.runs, self.kind, self.at = content["runs"], content["kind"], content["at"]
        self.settings: dict[str, Any] = content["settings"]
        self.draw = random.Random(content["seed"])  # noqa: S311
        self._fsync, self._is_inside, self._process = os.fsync, False, 0

    def see(self, event: str, arguments: tuple[Any, ...]) -> None:
        """Look at what Python is about to do."""
        if event == "open" and isinstance(arguments[2], int) and arguments[2] & _WRITES:
            self._pass(arguments[0], creates=bool(arguments[2] & os.O_CREAT))
        elif event in ("os.rename", "os.remove", "os.mkdir"):
            self._pass(arguments[0], creates=event == "os.mkdir")

    def fsync(self, descriptor: int) -> None:
        """Force a file to the disk, or leave a part of it on a full one."""
        try:
            self._pass(os.readlink(f"/proc/self/fd/{descriptor}"), creates=False)
        except OSError:
            os.ftruncate(descriptor, self.draw.randint(0, os.fstat(descriptor).st_size))
            raise
        self._fsync(descriptor)

    def _pass(self, path: object, creates: bool) -> None:
        if self._is_inside or not isinstance(path, (str, os.PathLike)):
            return
        name = os.path.abspath(path)
        if not name.startswith(self.runs):
            return
        self._is_inside = True
        try:
            self._set_up()
            place = self._count(b"" if name.endswith(_NOT_COUNTED) else b".")
            if place >= self.at and not (self.folder / "lifted").exists():
                getattr(self, f"_{self.kind}")(name, creates, place)
        finally:
            self._is_inside = False

    def _count(self, more: bytes) -> int:
        """Return the number of this place: the file grows by a byte each, whichever process comes."""
        descriptor = os.open(self.folder / "places", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        try:
            # After it has grown, the position is that of the own byte; before, it is the end.
            return os.lseek(descriptor, 0, os.SEEK_CUR if os.write(descriptor, more) else os.SEEK_END)
        finally:
            os.close(descriptor)

    def _set_up(self) -> None:
        """Let nothing be waited for long and, where the settings say so, each command be a machine of its own."""
        if lease := sys.modules.get("rnnbench.benchmark.run.lease"):
            lease.HEARTBEAT, lease.EXPIRY = 0.1, 1.0
            if machine := self.settings.get("machine"):
                lease._machine = lambda: machine
        if session := sys.modules.get("rnnbench.benchmark.run.callbacks.wandb_session"):
            session.SETTINGS["init_timeout"] = 1.0

    def _none(self, *_: object) -> None:
        pass

    def _halt(self, name: str, creates: bool, place: int) -> None:
        """Say who has reached the place, and go on when the harness says so."""
        if place != self.at or (self.folder / "reached").exists():
            return
        new = self.folder / "new"
        new.write_text(json.dumps({"pid": os.getpid(), "parent": os.getppid(), "path": name}), encoding="utf-8")
        new.rename(self.folder / "reached")
        while not (self.folder / "go").exists():
            time.sleep(0.01)

    def _refuse(self, name: str, creates: bool, place: int) -> None:
        # Where no inode is left, what exists may still be written.
        if creates or not self.settings.get("only_new"):
            number = self.settings["errno"]
            raise OSError(number, os.strerror(number), name)

    def _limit(self, *_: object) -> None:
        """Let no file grow beyond a size: what is written of it stays."""
        resource.setrlimit(resource.RLIMIT_FSIZE, (self.settings["bytes"], resource.RLIM_INFINITY))

    def _delay(self, *_: object) -> None:
        time.sleep(self.draw.uniform(0, 0.05))

    def _memory(self, *_: object) -> None:
        """Find no memory, once in each process: what failed has given back its own."""
        if self._process != os.getpid():
            self._process = os.getpid()
            raise MemoryError

    def _disconnect(self, *_: object) -> None:
        """Lose W&B: the process that speaks for this one with its server is killed."""
        if "wandb" in sys.modules:
            kill_service()

    def _jump(self, name: str, creates: bool, place: int) -> None:
        """Let the clock of the day jump; the monotonic one never does."""
        if place != self.at:
            return
        seconds = self.settings["seconds"]
        now, now_ns = time.time, time.time_ns

        class Jumped(dates.datetime):
            @classmethod
            def now(cls, tz: dates.tzinfo | None = None) -> dates.datetime:
                return super().now(tz) + dates.timedelta(seconds=seconds)

        time.time, time.time_ns = lambda: now() + seconds, lambda: now_ns() + seconds * 10**9
        for module in [module for key, module in sys.modules.items() if key.startswith("rnnbench.")]:
            if getattr(module, "datetime", None) is dates.datetime:
                module.datetime = Jumped


def kill_service() -> None:
    """Kill the service of W&B that this process started, if there is one."""
    for process in [one for one in gc.get_objects() if type(one) is subprocess.Popen]:
        if "wandb-core" in str(process.args):
            process.kill()
            process.wait()
