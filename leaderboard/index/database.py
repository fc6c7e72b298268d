"""The index as a file of SQLite: written beside its place and moved there as a whole, so that it needs no lock."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import os
import secrets
import shutil
import sqlite3
import sys
import zlib
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

import pydantic

from rnnbench.leaderboard.index.packed import Packed

NAME = ".index.sqlite"
_TORN_SECONDS = 24 * 3600
_TABLES = """
CREATE TABLE made_by (code TEXT);
CREATE TABLE shared (digest BLOB PRIMARY KEY, content BLOB) WITHOUT ROWID;
CREATE TABLE records
    (place TEXT PRIMARY KEY, stamp TEXT, shared BLOB, own BLOB, fingerprint BLOB, checksum INTEGER) WITHOUT ROWID;
CREATE TABLE curves (place TEXT PRIMARY KEY, curve BLOB, checksum INTEGER) WITHOUT ROWID;
"""
#: What decides what a record is, and how it lies in the index.
_CODE = tuple(
    f"{name}.py"
    for name in ("index/packed", "index/database", "metric", "plausibility", "record", "schema", "settings", "store")
)


class Damaged(Exception):
    """The index is damaged, of other code, or cannot be written."""


class Row(NamedTuple):
    """What the index says of a record: its file as it was read, what it shares, what is its own, and a hash of it."""

    stamp: str
    shared: bytes
    own: bytes
    fingerprint: bytes


@functools.cache
def _code() -> str:
    folder = Path(__file__).parents[1]
    code = hashlib.sha256(b"".join((folder / name).read_bytes() for name in _CODE))
    return f"{code.hexdigest()} {sys.byteorder} {pydantic.VERSION}"


class Database:
    """An index that is there, or in memory; what is damaged in it is left out."""

    def __init__(self, path: Path | None) -> None:
        """Open an index, or make an empty one in memory.

        Raises:
            Damaged: it cannot be read, or other code made it.
        """
        with _damaged():
            if path is None:
                self._connection = sqlite3.connect(":memory:")
                self._connection.executescript(_TABLES)
                return
            if not path.is_file():
                raise Damaged
            # Nobody writes into a file that is there, so no lock is taken: they do not work everywhere.
            self._connection = sqlite3.connect(f"file:{quote(str(path))}?mode=ro&immutable=1", uri=True)
            if self._connection.execute("SELECT code FROM made_by").fetchall() != [(_code(),)]:
                raise Damaged

    def rows(self, prefix: str) -> dict[str, Row]:
        """Return the rows whose places begin with a prefix, by place."""
        query = "SELECT * FROM records WHERE place >= ? AND place < ?"
        with _damaged():
            rows = self._connection.execute(query, (prefix, f"{prefix}\x7f"))
            return {place: Row(*row) for place, *row, checksum in rows if checksum == _checksum(place, *row)}

    def shared(self, digest: bytes) -> bytes | None:
        """Return what records share; None where it is damaged."""
        found = self._one("SELECT content FROM shared WHERE digest = ?", digest)
        return found[0] if found and digest_of(found[0]) == digest else None

    def curve(self, place: str) -> bytes | None:
        """Return the curve of a record; None where it is damaged."""
        found = self._one("SELECT curve, checksum FROM curves WHERE place = ?", place)
        return found[0] if found and found[1] == _checksum(place, found[0]) else None

    def _one(self, query: str, key: str | bytes) -> tuple[Any, ...] | None:
        with contextlib.suppress(sqlite3.Error):
            found: tuple[Any, ...] | None = self._connection.execute(query, (key,)).fetchone()
            return found
        return None

    def add(self, place: str, stamp: str, packed: Packed) -> Row:
        """Add a record, or replace it."""
        row = Row(stamp, digest_of(packed.shared), packed.own, digest_of(b"".join(packed)))
        with _damaged():
            run = self._connection.execute
            run("INSERT OR IGNORE INTO shared VALUES (?, ?)", (row.shared, packed.shared))
            run("INSERT OR REPLACE INTO records VALUES (?, ?, ?, ?, ?, ?)", (place, *row, _checksum(place, *row)))
            curve = place, packed.curve, _checksum(place, packed.curve)
            run("INSERT OR REPLACE INTO curves VALUES (?, ?, ?)", curve)
        return row


class Writer(Database):
    """An index in the making, beside its place; in memory where it cannot be written."""

    def __init__(self, folder: Path, old: bool) -> None:
        """Begin with what is there if ``old``, else with nothing.

        Raises:
            Damaged: the folder cannot be written, or the disk is full.
        """
        self._path, self._temporary = folder / NAME, folder / f"{NAME}.{secrets.token_hex(8)}.tmp"
        with _damaged():
            if old:
                shutil.copyfile(self._path, self._temporary)
            else:
                self._temporary.write_bytes(b"")
            self._remove_torn()
            #: The time of the file system that the records lie in, which may not be this machine's.
            self.begun_ns = os.stat(self._temporary).st_mtime_ns
            self._connection = sqlite3.connect(f"file:{quote(str(self._temporary))}?nolock=1", uri=True)
            self._connection.execute("PRAGMA journal_mode = OFF")
            self._connection.execute("PRAGMA synchronous = OFF")
            # Rows of a few kilobytes would leave half of each smaller page empty.
            self._connection.execute("PRAGMA page_size = 32768")
            if not old:
                self._connection.executescript(_TABLES)
                self._connection.execute("INSERT INTO made_by VALUES (?)", (_code(),))

    def _remove_torn(self) -> None:
        """Remove what killed processes left, but not what others may be writing."""
        now = os.stat(self._temporary).st_mtime
        for path in self._path.parent.glob(f"{NAME}.*.tmp"):
            if now - path.stat().st_mtime > _TORN_SECONDS:
                path.unlink(missing_ok=True)

    def keep(self, places: Collection[str], prefix: str) -> None:
        """Remove what begins with a prefix and is not among some places."""
        with _damaged():
            run = self._connection.execute
            there = run("SELECT place FROM records WHERE place >= ? AND place < ?", (prefix, f"{prefix}\x7f"))
            for row in [row for row in there if row[0] not in places]:
                run("DELETE FROM records WHERE place = ?", row)
                run("DELETE FROM curves WHERE place = ?", row)
            run("DELETE FROM shared WHERE digest NOT IN (SELECT shared FROM records)")

    def replace(self) -> None:
        """Move the index to its place."""
        with _damaged():
            self._connection.commit()
            with self._temporary.open("rb+") as file:
                os.fsync(file.fileno())
            os.replace(self._temporary, self._path)

    def discard(self) -> None:
        """Remove what was not moved to its place."""
        self._temporary.unlink(missing_ok=True)


@contextlib.contextmanager
def _damaged() -> Iterator[None]:
    try:
        yield
    except (sqlite3.Error, OSError, UnicodeError) as error:
        raise Damaged from error


def digest_of(content: bytes) -> bytes:
    """Return a hash."""
    return hashlib.blake2b(content, digest_size=16).digest()


def _checksum(*parts: str | bytes) -> int:
    total = 0
    for part in parts:
        total = zlib.crc32(part.encode() if isinstance(part, str) else part, total)
    return total
