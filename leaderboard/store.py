"""Folders of records: where a record lies, what a folder holds, and the arrays beside a record."""

from __future__ import annotations

import contextlib
import functools
import gc
import hashlib
import os
import re
import warnings
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from rnnbench.leaderboard.files import Arrays, FileError, read_arrays, side_path
from rnnbench.leaderboard.plausibility import implausible
from rnnbench.leaderboard.record import read_record
from rnnbench.leaderboard.schema import Record
from rnnbench.leaderboard.text import printable

# Records lie four folders deep.
_DEEPEST_FOLDER = 16
_LONGEST_NAME = 64


@dataclass(frozen=True)
class Problem:
    """Something that could not be placed: its path relative to the folder that was read, and why.

    Attributes:
        damaged: whether that is a mistake, such as a file that cannot be read; what is merely interrupted is none.
    """

    path: Path
    reason: str
    damaged: bool = True

    def __str__(self) -> str:
        """Return both in one line that can be printed."""
        return printable(f"{self.path.as_posix()}: {self.reason}")


@dataclass(kw_only=True)
class Report:
    """What a command could not place of the records that it read."""

    problems: list[Problem]

    @property
    def damaged(self) -> list[Problem]:
        """Those of the problems that are mistakes."""
        return [problem for problem in self.problems if problem.damaged]


def shipped_records() -> Path:
    """Return the folder of the published records that are installed with the package."""
    return Path(__file__).parent / "records"


@functools.lru_cache(10_000)
def safe_name(name: str) -> str:
    """Return a name for a folder or a part of a file's name: the name itself if it is safe, otherwise with its hash.

    Different names give different ones. Those of names that differ in capitals alone may do so too: see `find_records`.

    >>> safe_name("Elman_res+clip"), safe_name("../S4 (d=4)")
    ('Elman_res+clip', '_S4__d=4_@20d306c05936')
    """
    kept = re.sub(r"[^A-Za-z0-9_.+=-]", "_", name[:_LONGEST_NAME])
    if kept == name and name and not name.startswith(".") and not name.endswith("."):
        return name
    digest = hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:12]
    return f"{kept.strip('.')}@{digest}"


def record_path(root: Path, cell: Iterable[str], experiment_id: str, instance: int) -> Path:
    """Return where the record of an instance of a cell (suite, budget, task, network) lies: the one place for it."""
    return root / _place(cell, experiment_id, instance)


def path_of(root: Path, record: Record) -> Path:
    """Return where a given record lies under ``root``."""
    return record_path(root, record.cell, record.experiment_id, record.instance)


def place_of(record: Record) -> str:
    """Return where a record lies below any folder of records, as text with ``/``."""
    return _place(record.cell, record.experiment_id, record.instance)


def folder_of(cell: Iterable[str]) -> str:
    """Return where the records of a cell (suite, budget, task, network) lie below any folder, as text with ``/``."""
    return "/".join(map(safe_name, cell))


def _place(cell: Iterable[str], experiment_id: str, instance: int) -> str:
    return f"{folder_of(cell)}/{experiment_id}-{instance}.json"


@contextlib.contextmanager
def uncollected() -> Iterator[None]:
    """Within this block nobody looks for cycles of garbage: among many records that are kept it takes half the time."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


@uncollected()
def find_records(root: Path, within: Path = Path()) -> tuple[list[Record], list[Problem]]:
    """Read every record below a folder, in the order of their paths; links are followed, hidden names passed over.

    Args:
        root: the folder that the places of records, and the paths of problems, are relative to.
        within: the part of it that is read, relative to it.

    Returns:
        The records; and the JSON files that are none, do not lie where they belong or cannot be true, and folders that
        cannot be read. A missing folder holds nothing.
    """
    records: list[Record] = []
    problems: list[Problem] = []
    names = Names()
    for file in record_files(root, within):
        try:
            record = read_at(root, file)
            names.add(file.place)
            records.append(record)
        except FileError as error:
            problems.append(Problem(Path(file.place), error.reason))
    return records, problems


def read_at(root: Path, file: RecordFile) -> Record:
    """Read a file of a folder that should be a record.

    Raises:
        FileError: it is none, does not lie where it belongs, or cannot be true.
    """
    path = root / file.place
    if file.reason:
        raise FileError(path, file.reason)
    try:
        record = read_record(path)
    except FileNotFoundError as error:
        raise FileError(path, f"cannot be read: {error.strerror}") from error
    if file.place != (expected := place_of(record)):
        raise FileError(path, f"does not lie where it belongs, at {expected}")
    if reasons := "; ".join(implausible(record)):
        raise FileError(path, reasons)
    return record


class Names:
    """The places of records of a folder: a file system that ignores capitals has room for one of them only."""

    def __init__(self) -> None:
        self._folded: dict[str, str] = {}

    def add(self, place: str) -> None:
        """Remember a place; a ``FileError`` if it differs from one before in capitals alone."""
        twin = self._folded.setdefault(place.casefold(), place)
        if twin != place:
            raise FileError(Path(place), f"differs from {twin} in capitals alone: rename one of them")


def load_records(folder: str | Path) -> list[Record]:
    """Return the records of a folder, such as ``runs`` or ``leaderboard/records``, in the order of their paths.

    What is not a record, does not lie where it belongs or cannot be true is passed over with a warning that names it.

    Raises:
        NotADirectoryError: there is no such folder.
        FileNotFoundError: it holds no records.

    >>> records = load_records(shipped_records())
    >>> sorted({record.network for record in records if record.suite == "music"})
    ['LSTM', 'LSTM_stable', 'RNN', 'RNN_stable']
    """
    root = Path(folder)
    # An empty name, such as an unset variable, would mean the current folder.
    if not str(folder) or not root.is_dir():
        raise NotADirectoryError(f"{folder!s:.200}: no such folder" if str(folder) else "no folder is named, got ''")
    records, problems = find_records(root)
    for problem in problems:
        warnings.warn(f"{root / problem.path}: {problem.reason}", stacklevel=2)
    if not records:
        raise FileNotFoundError(f"{folder!s:.200} holds no records: a run writes them to 'runs', or its --runs-dir")
    return records


def is_empty(folder: Path) -> bool:
    """Return whether a folder holds nothing that could be a record, or could not be read."""
    return next(record_files(folder), None) is None


class RecordFile(NamedTuple):
    """A JSON file of a folder, or a folder of it that cannot be read.

    Attributes:
        place: relative to the folder, with ``/``.
        status: of the file; None where it has none.
        reason: why it cannot be read; empty for a file.
    """

    place: str
    status: os.stat_result | None = None
    reason: str = ""


def record_files(root: Path, within: Path = Path()) -> Iterator[RecordFile]:
    """Yield the JSON files below a folder, in the order of their paths; none where there is no such folder."""
    if (root / within).exists():
        prefix = "" if within == Path() else f"{within.as_posix()}/"
        yield from _record_files(str(root / within), prefix, ())


def _record_files(folder: str, prefix: str, above: tuple[tuple[int, int], ...]) -> Iterator[RecordFile]:
    place = prefix.rstrip("/") or "."
    if len(above) > _DEEPEST_FOLDER:
        yield RecordFile(place, reason="lies too deep for records")
        return
    try:
        status = os.stat(folder)
        here = status.st_dev, status.st_ino
        if here in above:
            yield RecordFile(place, reason="is a link to a folder that holds it")
            return
        with os.scandir(folder) as found:
            entries = sorted((one for one in found if not one.name.startswith(".")), key=lambda one: one.name)
    except OSError as error:
        yield RecordFile(place, reason=f"cannot be read: {error.strerror}")
        return
    for entry in entries:
        if _is_folder(entry):
            yield from _record_files(entry.path, f"{prefix}{entry.name}/", (*above, here))
        elif entry.name.endswith(".json"):
            try:
                yield RecordFile(prefix + entry.name, entry.stat())
            except OSError:
                # Reading it says why.
                yield RecordFile(prefix + entry.name)


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:
        return False


def read_side_arrays(path: Path, record: Record) -> tuple[Arrays, str]:
    """Return the arrays that a record names, and what is wrong with the file beside it: empty if nothing is."""
    named = {name for by_moment in record.measures.values() for one in by_moment.values() for name in one.arrays}
    if not named:
        return {}, ""
    file = side_path(path)
    try:
        arrays = read_arrays(file)
    except FileNotFoundError:
        return {}, f"the file of arrays beside it, {file.name}, is missing"
    except FileError as error:
        return {}, f"{file.name} beside it {error.reason}"
    missing = sorted(named - arrays.keys())
    return ({}, f"{file.name} beside it lacks {', '.join(missing)}") if missing else (arrays, "")
