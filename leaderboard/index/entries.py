"""The records of a folder, out of the index beside it where their files are what they were when it was written.

A file counts as such if its size, inode and times of modification and change are. A time within ``_SETTLED_NS`` of the
reading does not count: a file system may give the next edit the same. What is damaged in the index, or the whole of it
if other code made it, is as if it were not there; where it cannot be written, it lies in memory.
"""

from __future__ import annotations

import contextlib
import functools
import os
from collections.abc import Container, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from rnnbench.leaderboard.files import FileError
from rnnbench.leaderboard.index.database import NAME, Damaged, Database, Row, Writer, digest_of
from rnnbench.leaderboard.index.packed import pack, unpack, unpack_shared
from rnnbench.leaderboard.record import read_record
from rnnbench.leaderboard.schema import Record
from rnnbench.leaderboard.store import Names, Problem, RecordFile, read_at, record_files, shipped_records, uncollected

#: Files of a folder, or of the part of it that is asked for, from which on there is an index.
LEAST = 1_000
#: Records outside of the index at most: more are worth writing it again.
MOST_OUTSIDE = 500
_SETTLED_NS = 2_000_000_000


class Entry:
    """A record of a folder.

    Attributes:
        place: relative to the folder, with ``/``.
        shared: the same for records that differ only in what each instance has of its own.
    """

    __slots__ = ("_found", "place", "shared")

    def __init__(self, place: str, found: Record | tuple[_Folder, Row]) -> None:
        self.place, self._found = place, found
        self.shared: object = found[1].shared if isinstance(found, tuple) else id(self)

    def record(self) -> Record:
        """Return the record, made each time."""
        if isinstance(self._found, Record):
            return self._found
        folder, row = self._found
        return folder.record(self.place, row)

    def fingerprint(self) -> bytes:
        """Return a hash of all that the record holds."""
        return digest_of(b"".join(pack(self._found))) if isinstance(self._found, Record) else self._found[1].fingerprint


class _Folder:
    """A folder of records with its index; what is damaged there is read from the record."""

    def __init__(self, root: Path, database: Database) -> None:
        self._root, self._database = root, database
        self._shared: dict[bytes, dict[str, Any]] = {}

    def record(self, place: str, row: Row) -> Record:
        if row.shared not in self._shared:
            content = self._database.shared(row.shared)
            if content is None:
                return read_record(self._root / place)
            self._shared[row.shared] = unpack_shared(content)
        return unpack(self._shared[row.shared], row.own, functools.partial(self._curve, place))

    def _curve(self, place: str) -> bytes:
        found = self._database.curve(place)
        return pack(read_record(self._root / place)).curve if found is None else found


def indexed_records(
    root: Path, within: Path = Path(), folders: Container[str] | None = None
) -> tuple[list[Record], list[Problem]]:
    """Return what ``find_records`` returns, out of the index where that can be; for reading, not for writing again.

    With ``folders``, relative to the root and with ``/``, only of the files that lie in one of them, and of what cannot
    be listed.
    """
    found, problems = entries(root, within, folders)
    return [entry.record() for entry in found], problems


@uncollected()
def entries(
    root: Path, within: Path = Path(), folders: Container[str] | None = None
) -> tuple[list[Entry], list[Problem]]:
    """Return the records below a folder, as ``find_records`` finds them, and what is none; or of some ``folders``."""
    files = list(record_files(root, within))
    asked = {file.place for file in files if folders is None or file.reason or _folder_of(file.place) in folders}
    prefix = "" if within == Path() else f"{within.as_posix()}/"
    database, rows = None, dict[str, Row]()
    with contextlib.suppress(Damaged):
        database = Database(root / NAME)
        rows = database.rows(prefix)
    settled = {
        file.place
        for file in files
        if file.status and file.place in rows and rows[file.place].stamp == _stamp(file.status)
    }
    # Beside the records that came with rnnbench nothing is written.
    writes = len(files) - len(settled) > MOST_OUTSIDE and root.resolve() != shipped_records().resolve()
    if not writes or (database is None and len(files) < LEAST):
        read = [file for file in files if file.place in asked]
        return _entries(root, read, database, {place: rows[place] for place in settled}, None)
    kept = {place: rows[place] for place in settled}
    found, problems = _with_new_index(root, files, prefix, database, kept)
    return [one for one in found if one.place in asked], [one for one in problems if one.path.as_posix() in asked]


def _with_new_index(
    root: Path, files: Sequence[RecordFile], prefix: str, database: Database | None, rows: Mapping[str, Row]
) -> tuple[list[Entry], list[Problem]]:
    """Return all entries, and write the index again; where that fails it lies in memory."""
    with contextlib.suppress(Damaged):
        return _written(root, files, prefix, database, rows)
    # The old index may be damaged where it was not looked at.
    with contextlib.suppress(Damaged):
        return _written(root, files, prefix, None, {})
    return _entries(root, files, database, rows, Database(None))


def _folder_of(place: str) -> str:
    return place.rpartition("/")[0]


def _written(
    root: Path, files: Sequence[RecordFile], prefix: str, database: Database | None, rows: Mapping[str, Row]
) -> tuple[list[Entry], list[Problem]]:
    writer = Writer(root, database is not None)
    try:
        found = _entries(root, files, database, rows, writer)
        writer.keep({file.place for file in files}, prefix)
        writer.replace()
    finally:
        writer.discard()
    return found


def _entries(
    root: Path,
    files: Iterable[RecordFile],
    database: Database | None,
    rows: Mapping[str, Row],
    target: Database | None,
) -> tuple[list[Entry], list[Problem]]:
    """Return entries out of rows of an index, and of the files without one; these are added to ``target``, if any."""
    old, new = (None if each is None else _Folder(root, each) for each in (database, target))
    found: list[Entry] = []
    problems: list[Problem] = []
    names = Names()
    for file in files:
        row = rows.get(file.place)
        try:
            if row is not None and old is not None:
                entry = Entry(file.place, (old, row))
            else:
                entry = _read(root, file, target, new)
            names.add(file.place)
            found.append(entry)
        except FileError as error:
            problems.append(Problem(Path(file.place), error.reason))
    return found, problems


def _read(root: Path, file: RecordFile, target: Database | None, folder: _Folder | None) -> Entry:
    record = read_at(root, file)
    if target is None or folder is None or file.status is None:
        return Entry(file.place, record)
    begun = target.begun_ns if isinstance(target, Writer) else 0
    is_settled = max(file.status.st_mtime_ns, file.status.st_ctime_ns) < begun - _SETTLED_NS
    return Entry(file.place, (folder, target.add(file.place, _stamp(file.status) if is_settled else "", pack(record))))


def _stamp(status: os.stat_result) -> str:
    return f"{status.st_size} {status.st_mtime_ns} {status.st_ctime_ns} {status.st_ino}"
