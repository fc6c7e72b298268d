"""Figures in the folder of a leaderboard: drawn again only where what they show, or what draws them, has changed."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import json
import sys
from collections.abc import Callable, Iterator, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

from rnnbench.leaderboard.board import Board
from rnnbench.leaderboard.drawing.dynamics_figures import DynamicsFigure
from rnnbench.leaderboard.drawing.sweep_figures import SweepFigure
from rnnbench.leaderboard.dynamics import SideFiles
from rnnbench.leaderboard.files import LARGEST_SIDE_FILE, FileError, read_file, side_path, write_atomically
from rnnbench.leaderboard.store import path_of

#: Where figures lie below the folder of a leaderboard, and those of dynamics.
FIGURES = "figures"
DYNAMICS = f"{FIGURES}/dynamics"
#: Of what each board's figures were made, and the hashes of their files.
LIST = f"{FIGURES}/.drawn.json"
_LARGEST = 64 * 2**20
_ROOM = Path(__file__).parents[1]


class BoardFigures(NamedTuple):
    """The figures of a board: learning curves by file, in the order of its columns; along settings; of dynamics."""

    curves: dict[str, bytes]
    sweeps: list[SweepFigure]
    dynamics: list[DynamicsFigure]

    @property
    def images(self) -> dict[str, bytes]:
        """All images by their files, below the folder of the leaderboard."""
        return {
            **self.curves,
            **{f"{FIGURES}/{figure.name}": figure.image for figure in self.sweeps},
            **{f"{DYNAMICS}/{figure.name}": figure.image for figure in self.dynamics},
        }


class KeptFigures:
    """What a leaderboard's folder holds of figures, and a list of what they were made of.

    Args:
        output: the folder.
        side_files: the arrays beside the records.
        records_root: the folder of records.
        fingerprints: a hash of each record, by its ``id``.
    """

    def __init__(
        self, output: Path, side_files: SideFiles, records_root: Path, fingerprints: Mapping[int, bytes]
    ) -> None:
        self._output, self._side_files = output, side_files
        self._root, self._fingerprints = records_root, fingerprints
        self._known: dict[str, Any] = {}
        self._used: dict[str, Any] = {}
        # Without a list that can be read, everything is drawn.
        with contextlib.suppress(ValueError, TypeError, FileNotFoundError):
            self._known = dict(json.loads(read_file(output / LIST, _LARGEST)))

    def of(self, board: Board, taken: set[str], draw: Callable[[], BoardFigures]) -> BoardFigures:
        """Return the figures of a board, whose names are noted as taken: those that are there, or else drawn."""
        key = self._key(board, taken)
        with contextlib.suppress(LookupError, TypeError, ValueError, FileNotFoundError):
            known = self._known[key]
            found = BoardFigures(
                {name: self._image(name, digest) for name, digest in known["curves"]},
                [
                    SweepFigure(**{**fields, "tasks": tuple(fields["tasks"])}, image=self._image(place, digest))
                    for fields, place, digest in known["sweeps"]
                ],
                [
                    DynamicsFigure(**fields, image=self._image(place, digest))
                    for fields, place, digest in known["dynamics"]
                ],
            )
            taken.update(known["taken"])
            self._used[key] = known
            return found
        before = set(taken)
        drawn = draw()
        # What could not be read has to be said again.
        if not self._side_files.problems:
            self._used[key] = {
                "curves": [[name, _hash(image)] for name, image in drawn.curves.items()],
                "sweeps": [_listed(FIGURES, figure) for figure in drawn.sweeps],
                "dynamics": [_listed(DYNAMICS, figure) for figure in drawn.dynamics],
                "taken": sorted(taken - before),
            }
        return drawn

    def write(self, figures: Mapping[str, bytes]) -> None:
        """Write the figures that are not there as they are, and the list.

        Raises:
            OSError: the disk is full or the folder unwritable.
        """
        for name, image in figures.items():
            if _content(self._output / name) != image:
                write_atomically(self._output / name, image)
        if self._used != self._known:
            write_atomically(self._output / LIST, json.dumps(self._used, indent=0).encode())

    def _key(self, board: Board, taken: set[str]) -> str:
        digest = hashlib.sha256(_code().encode())
        for part in self._made_of(board):
            digest.update(part if isinstance(part, bytes) else json.dumps(part, sort_keys=True).encode())
        digest.update(json.dumps(sorted(taken)).encode())
        return digest.hexdigest()

    def _made_of(self, board: Board) -> Iterator[Any]:
        yield [board.suite, board.budget, board.networks]
        for column in board.columns:
            yield [column.task, column.metric.model_dump()]
            for network, cell in column.cells.items():
                yield [network, cell.points, cell.reason, cell.planned, len(cell.records)]
                for record in cell.records:
                    yield self._fingerprints[id(record)]
                    if any(one.arrays for moments in record.measures.values() for one in moments.values()):
                        yield _hash(_content(side_path(path_of(self._root, record))))

    def _image(self, name: str, digest: str) -> bytes:
        image = read_file(self._output / name, _LARGEST)
        if _hash(image) != digest:
            raise LookupError(name)
        return image


def _listed(folder: str, figure: SweepFigure | DynamicsFigure) -> list[Any]:
    fields = {key: value for key, value in vars(figure).items() if key != "image"}
    return [fields, f"{folder}/{figure.name}", _hash(figure.image)]


def _content(path: Path) -> bytes:
    try:
        return read_file(path, LARGEST_SIDE_FILE)
    except (FileError, FileNotFoundError):
        return b""


def _hash(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


@functools.cache
def _code() -> str:
    """Return what decides how records are drawn: the code here, with the published numbers, and what it draws with."""
    files = sorted([*_ROOM.rglob("*.py"), *_ROOM.glob("published/*.csv")])
    code = _hash(b"".join(path.read_bytes() for path in files))
    return " ".join([code, sys.version, *(version(package) for package in ("matplotlib", "numpy", "scipy"))])
