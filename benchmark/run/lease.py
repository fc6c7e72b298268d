"""A lease on a folder: one process at a time works there, also where machines share the folder, as over NFS.

The holder is whoever created the file ``lease.N`` of the highest N. That one process alone creates a file, by
``O_EXCL``, is what shared file systems grant; locks of the kernel they may keep to one machine, or forget. A holder
touches its file, so that the time of its last change, by the file server's clock, goes on. Whoever finds that time
unchanged while ``EXPIRY`` passes on its own clock takes over, by creating the next number: two clocks are never
compared, and no jump of one makes two holders. On the machine of the holder it is enough to see that its process is
gone.
"""

from __future__ import annotations

import errno
import json
import os
import socket
import threading
import time
from pathlib import Path

from rnnbench.benchmark.errors import UserError

#: Seconds between two signs of life, and without one until another machine takes over.
HEARTBEAT, EXPIRY = 10.0, 60.0
_RELEASED = b"released"
_LARGEST = 1000


class BusyError(UserError):
    """Another process works in the folder, or has taken it over."""


class Lease:
    """The right to work in a folder, held within a ``with`` block.

    Raises:
        BusyError: on entering, another process holds it; on `confirm`, another took it over.
        OSError: the folder cannot be written.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._path = folder
        self._ended = threading.Event()

    def __enter__(self) -> Lease:
        """Take the lease; where another machine holds it, that takes until its next sign of life or ``EXPIRY``."""
        while True:
            number = _newest(self._folder)
            if number and not _is_free(_file(self._folder, number)):
                raise BusyError(f"another process works on it{_holder(_file(self._folder, number))} ({self._folder})")
            self._path = _file(self._folder, number + 1)
            if _create(self._path):
                if _newest(self._folder) == number + 1:
                    break
                # Others have taken and left it in the meantime: this number had come before.
                _remove(self._path)
        for old in range(number, 0, -1):
            if not _remove(_file(self._folder, old)):
                break
        threading.Thread(target=self._show_life, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        """Give the lease back; its file stays, so that its number never comes again."""
        self._ended.set()
        try:
            self.confirm()
            with self._path.open("r+b") as file:
                file.truncate(len(_RELEASED))
                file.write(_RELEASED)
        except (BusyError, OSError):
            # It is another's; or it cannot be written, and expires.
            pass

    def confirm(self) -> None:
        """See that nobody has taken over, as is possible once this process did not run for ``EXPIRY``; show life.

        Raises:
            BusyError: somebody has.
        """
        try:
            os.utime(self._path)
        except OSError as error:
            if error.errno not in (errno.ENOENT, errno.ESTALE):
                raise
            taken = True
        else:
            taken = _newest(self._folder) > _number(self._path)
        if taken:
            raise BusyError(f"this process did not run for {EXPIRY:.0f} s, and another took over ({self._folder})")

    def _show_life(self) -> None:
        while not self._ended.wait(HEARTBEAT):
            try:
                os.utime(self._path)
            except OSError:
                # It is another's, which `confirm` says; or the server is away, and may be back next time.
                continue


def is_leased(folder: Path) -> bool:
    """Return whether somebody holds the lease of a folder, or died with it."""
    number = _newest(folder)
    return bool(number) and _look(_file(folder, number))[0] != _RELEASED


def _file(folder: Path, number: int) -> Path:
    return folder / f"lease.{number}"


def _number(path: Path) -> int:
    number = path.name.removeprefix("lease.")
    return int(number) if number.isdecimal() else 0


def _newest(folder: Path) -> int:
    return max((_number(path) for path in folder.glob("lease.*")), default=0)


def _create(path: Path) -> bool:
    """Create a lease of this process; return False if another has created it."""
    try:
        descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666)
    except FileExistsError:
        return False
    content = {"machine": _machine(), "host": socket.gethostname(), "pid": os.getpid(), "start": _start(os.getpid())}
    try:
        with open(descriptor, "wb") as file:
            file.write(json.dumps(content).encode())
    except OSError:
        _remove(path)
        raise
    return True


def _remove(path: Path) -> bool:
    try:
        path.unlink()
    except FileNotFoundError:
        return False
    return True


def _look(path: Path) -> tuple[bytes, int]:
    """Return the content of a lease and the time of its last change; opening it makes NFS ask the server."""
    try:
        with path.open("rb") as file:
            return file.read(_LARGEST), os.fstat(file.fileno()).st_mtime_ns
    except FileNotFoundError:
        return _RELEASED, 0


def _is_free(path: Path) -> bool:
    """Return whether a lease was given back, or its holder is gone."""
    content, changed = _look(path)
    holder = _read(content)
    if content == _RELEASED or (holder.get("machine") and holder["machine"] == _machine()):
        return content == _RELEASED or _start(holder.get("pid")) != holder.get("start")
    end, pause = time.monotonic() + EXPIRY, 0.01
    while (left := end - time.monotonic()) > 0:
        time.sleep(min(left, pause))
        # Soon at first: it may just be being written.
        pause = min(2 * pause, HEARTBEAT / 5)
        now = _look(path)
        if now != (content, changed):
            return now[0] == _RELEASED
    return True


def _read(content: bytes) -> dict[str, object]:
    """Return what a lease says of its holder; nothing while it is being written."""
    try:
        return dict(json.loads(content))
    except ValueError:
        return {}


def _holder(path: Path) -> str:
    holder = _read(_look(path)[0])
    return f", {holder['pid']} on {holder['host']}" if holder else ""


def _machine() -> str:
    """Return what tells this machine, since it was started, and this container from all others; empty if nothing."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        return f"{boot} {os.readlink('/proc/self/ns/pid')}"
    except OSError:
        return ""


def _start(process: object) -> str:
    """Return when a process of this machine was started, in ticks since the machine was; empty if it is gone."""
    try:
        text = Path(f"/proc/{process}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
    # What follows the name, which may hold anything: the state, and 19 fields later the start.
    fields = text.rpartition(")")[2].split()
    return "" if fields[0] in "ZX" else fields[19]
