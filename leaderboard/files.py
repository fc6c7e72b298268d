"""Whole files: read within a stated limit, written so that a reader sees the old content or the new, never a part.

Beside a record lies a file of arrays, what figures of dynamics are drawn from, each by its measure, moment and name:
``lyapunov/start/exponents``. numpy is imported when one is read or written, so that listing records needs none.
"""

from __future__ import annotations

import glob
import io
import os
import stat
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rnnbench.leaderboard.text import printable

if TYPE_CHECKING:
    from numpy.typing import NDArray

Arrays = dict[str, "NDArray[Any]"]
#: Largest file, and largest sum of the arrays in it, in bytes: some hundred times what a run writes.
LARGEST_SIDE_FILE = 256 * 2**20
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
    """Write ``content`` to ``path``, making its folders; through links, and into a device or pipe as it comes.

    Raises:
        OSError: the disk is full, the folder unwritable, or ``path`` a folder; what was at ``path`` is untouched.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.exists() and not path.is_file() and not path.is_dir():
        path.write_bytes(content)
        return
    if path.is_symlink():
        path = Path(os.path.realpath(path))
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


def side_path(record: Path) -> Path:
    """Return where the arrays of a record lie, given where the record lies."""
    return record.with_suffix(".npz")


def write_arrays(path: Path, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Write arrays by `write_atomically`; the same arrays give the same bytes."""
    import numpy as np

    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in sorted(arrays):
            buffer = io.BytesIO()
            np.lib.format.write_array(buffer, np.ascontiguousarray(arrays[name]), allow_pickle=False)
            # A fixed date: np.savez writes the time of day into the file.
            entry = zipfile.ZipInfo(f"{name}.npy", date_time=(1980, 1, 1, 0, 0, 0))
            archive.writestr(entry, buffer.getvalue(), zipfile.ZIP_DEFLATED)
    write_atomically(path, content.getvalue())


def read_arrays(path: Path) -> Arrays:
    """Read the arrays of a file.

    Raises:
        FileError: the file is damaged, too large, or cannot be read.
        FileNotFoundError: there is none.
    """
    import numpy as np

    content = read_file(path, LARGEST_SIDE_FILE)
    if not content.startswith(b"PK"):
        # Numpy would take it for a pickle, and advise to load it unsafely.
        raise FileError(path, "is damaged or no file of arrays (it does not begin as one)")
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as file:
            size = sum(entry.file_size for entry in file.zip.infolist())
            if size > LARGEST_SIDE_FILE:
                raise ValueError(f"arrays must have at most {LARGEST_SIDE_FILE >> 20} MiB, got {size >> 20}")
            return {name: file[name] for name in file.files}
    # What zipfile and numpy raise of damaged content is not a closed list; of memory, a header may claim any amount.
    except Exception as error:
        raise FileError(path, f"is damaged or no file of arrays ({error})") from error
