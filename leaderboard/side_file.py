"""The arrays beside a record: what figures of dynamics are drawn from. One ``.npz`` file per instance.

An array's name is that of its measure, moment and its own: ``lyapunov/start/exponents``.
numpy is imported when one is read or written, so that listing records needs none.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rnnbench.leaderboard.files import FileError, read_file, write_atomically

if TYPE_CHECKING:
    from numpy.typing import NDArray

Arrays = dict[str, "NDArray[Any]"]


#: Largest file, and largest sum of the arrays in it, in bytes: some hundred times what a run writes.
LARGEST_SIDE_FILE = 256 * 2**20


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
