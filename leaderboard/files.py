"""Whole files: read within a stated limit, written so that a reader sees the old content or the new, never a part."""

import glob
import os
import stat
from pathlib import Path

from rnnbench.leaderboard.text import printable

_KINDS = {
    stat.S_IFDIR: "a folder",
    stat.S_IFIFO: "a FIFO",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


class FileError(ValueError):
    """A file is not what it should be; the message names it and what is wrong with it."""

    def __init__(self, path: Path, reason: str) -> None:
        self.reason = printable(reason, 300)
        super().__init__(f"{printable(str(path))}: {self.reason}")


def read_file(path: Path, largest: int) -> bytes:
    """Read a file whole, if it is a regular one of at most ``largest`` bytes; a FIFO would never end.

    Raises:
        FileNotFoundError: there is none.
        FileError: it is of another kind, too large, or cannot be read.
    """
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            raise FileError(path, f"is {_KINDS.get(stat.S_IFMT(status.st_mode), 'special')}, not a file with content")
        with path.open("rb") as file:
            # What the kernel makes up states no size.
            content = b"" if status.st_size > largest else file.read(largest + 1)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise FileError(path, f"cannot be read: {error.strerror}") from error
    size = max(status.st_size, len(content))
    if size > largest:
        raise FileError(path, f"must be at most {largest >> 20} MiB, got {size} bytes")
    return content


def write_atomically(path: Path, content: bytes) -> None:
    """Write ``content`` to ``path``, making its folders.

    Raises:
        OSError: the disk is full, the folder unwritable, or ``path`` a folder; what was at ``path`` is untouched.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    # In the same folder, because a rename is atomic only within one file system.
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException as error:
        temporary.unlink(missing_ok=True)
        if isinstance(error, OSError):
            # The name that was asked for, not that of the temporary file.
            raise OSError(error.errno, error.strerror, str(path)) from error
        raise


def torn_files(path: Path) -> list[Path]:
    """Return what killed processes left of ``write_atomically(path, …)``; call it only while nobody else writes."""
    return list(path.parent.glob(f".{glob.escape(path.name)}.*.tmp"))
