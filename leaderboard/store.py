"""Folders of records: where a record lies, what a folder holds, and the arrays beside a record."""

import contextlib
import gc
import hashlib
import os
import re
import warnings
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from rnnbench.leaderboard.files import Arrays, FileError, read_arrays, side_path
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
    return root.joinpath(*map(safe_name, cell)) / f"{experiment_id}-{instance}.json"


def path_of(root: Path, record: Record) -> Path:
    """Return where a given record lies under ``root``."""
    return record_path(root, record.cell, record.experiment_id, record.instance)


def place_of(record: Record) -> str:
    """Return where a record lies below any folder of records, as text with ``/``."""
    return path_of(Path(), record).as_posix()


@contextlib.contextmanager
def _uncollected() -> Iterator[None]:
    """Within this block nobody looks for cycles of garbage: among many records that are kept it takes half the time."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


@_uncollected()
def find_records(root: Path, within: Path = Path()) -> tuple[list[Record], list[Problem]]:
    """Read every record below a folder, in the order of their paths; links are followed, hidden names passed over.

    Args:
        root: the folder that the places of records, and the paths of problems, are relative to.
        within: the part of it that is read, relative to it.

    Returns:
        The records; and the JSON files that are none, do not lie where they belong or hold a value that its metric
        cannot have, and folders that cannot be read. A missing folder holds nothing.
    """
    records: list[Record] = []
    problems: list[Problem] = []
    # A file system that ignores capitals has room for one of them only.
    folded: dict[str, Path] = {}
    for path, reason in _json_files(root / within) if (root / within).exists() else ():
        place = path.relative_to(root)
        try:
            if reason:
                raise FileError(path, reason)
            record = read_record(path)
            expected = path_of(root, record)
            if path != expected:
                raise FileError(path, f"does not lie where it belongs, at {expected.relative_to(root).as_posix()}")
            twin = folded.setdefault(place.as_posix().casefold(), place)
            if twin != place:
                raise FileError(path, f"differs from {twin.as_posix()} in capitals alone: rename one of them")
            if record.out_of_range:
                raise FileError(path, record.out_of_range)
            records.append(record)
        except FileError as error:
            problems.append(Problem(place, error.reason))
        except FileNotFoundError as error:
            problems.append(Problem(place, f"cannot be read: {error.strerror}"))
    return records, problems


def load_records(folder: str | Path) -> list[Record]:
    """Return the records of a folder, such as ``runs`` or ``leaderboard/records``, in the order of their paths.

    What is not a record, or does not lie where it belongs, is passed over with a warning that names it.

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
    return next(_json_files(folder), None) is None


def _json_files(folder: Path, above: tuple[str, ...] = ()) -> Iterator[tuple[Path, str]]:
    """Yield the JSON files below a folder, with no reason, and the folders that cannot be read, with theirs."""
    real = os.path.realpath(folder)
    if real in above or len(above) > _DEEPEST_FOLDER:
        yield folder, "is a link to a folder that holds it" if real in above else "lies too deep for records"
        return
    try:
        names = sorted(os.listdir(folder))
    except OSError as error:
        yield folder, f"cannot be read: {error.strerror}"
        return
    for path in (folder / name for name in names if not name.startswith(".")):
        if path.is_dir():
            yield from _json_files(path, (*above, real))
        elif path.name.endswith(".json"):
            yield path, ""


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
