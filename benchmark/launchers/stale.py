"""Records that other source of a user's own classes made: trained again as those of an edited suite are, and kept."""

import contextlib
import shutil
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from rnnbench.benchmark.launchers.one_at_a_time import one_at_a_time
from rnnbench.benchmark.run.job import CHECKPOINT, JOB_FILE
from rnnbench.benchmark.run.lease import BusyError, Lease
from rnnbench.benchmark.run.source import edited_since
from rnnbench.leaderboard.files import side_path
from rnnbench.leaderboard.plan import MOST_NAMED
from rnnbench.leaderboard.schema import Record
from rnnbench.leaderboard.weights_file import weights_path

#: Where they are kept, inside the folder of records: hidden, so that nothing takes them for results.
OTHER_SOURCE = ".other-source"


class Kept(NamedTuple):
    """Where a file or a run's folder is kept, and what tells it from one that takes its place; None for nothing."""

    place: Path
    mark: tuple[int, int] | None


class Stale:
    """The wanted records, and unfinished runs, that other source made.

    Attributes:
        kept: their paths, each with where it is kept when what it stands for is trained again.
    """

    def __init__(self, runs_dir: Path, any_source: bool) -> None:
        """Look at a folder of records; with ``any_source`` they count as the wanted ones."""
        self.runs_dir, self.kept = runs_dir, dict[Path, Kept]()
        self._any_source = any_source
        self._cells: dict[str, Counter[str]] = defaultdict(Counter)
        self._folder = ""

    def holds(self, path: Path, record: Record) -> bool:
        """Return whether a record is to be trained again, and remember it."""
        if path not in self.kept and (change := edited_since(record)):
            self._cells[change][f"{record.task}/{record.network}"] += 1
            if not self._any_source:
                self._folder = record.own_code[0].source[:8]
                self.keep(path)
        return path in self.kept

    def holds_any(self, paths: Iterable[Path]) -> bool:
        """Return whether one of some records is to be trained again."""
        return not self.kept.keys().isdisjoint(paths)

    def keep(self, path: Path) -> None:
        """Remember a file or folder, to be kept with the record that was remembered last."""
        place = self.runs_dir / OTHER_SOURCE / self._folder / path.relative_to(self.runs_dir)
        self.kept[path] = Kept(place, _mark(path))

    def notes(self) -> Iterator[str]:
        """Yield a line for each edit, with what is done about it."""
        again = f"'run' trains them again and keeps the old ones in {self.runs_dir / OTHER_SOURCE}, or, with "
        remedy = "they are taken as they are" if self._any_source else f"{again}--any-source, takes them as they are"
        for change, cells in self._cells.items():
            names = ", ".join(list(cells)[:MOST_NAMED]) + ", …" * (len(cells) > MOST_NAMED)
            count = f"{cells.total()} record{'s' * (cells.total() > 1)}"
            yield f"{names}: {count} made by other source of your own code ({change}): {remedy}"


def set_aside(runs_dir: Path, kept: Mapping[Path, Kept]) -> None:
    """Move folders of runs, and records with what lies beside them, to where they are kept.

    One launcher at a time does so, and leaves alone what another is training, has moved or has written since.
    """
    if not kept:
        return
    with one_at_a_time(runs_dir / OTHER_SOURCE, "command to set records aside"):
        # Records last: as long as one is there, the rest is known to be of other source.
        for path, (place, mark) in sorted(kept.items(), key=lambda item: not item[0].is_dir()):
            with contextlib.suppress(BusyError), Lease(path) if path.is_dir() else contextlib.nullcontext():
                if mark == _mark(path):
                    _move(path, place)


def _mark(path: Path) -> tuple[int, int] | None:
    """Return the number and time of change of a file or, of a run's folder, of what its last start wrote."""
    try:
        status = (path / JOB_FILE if path.is_dir() else path).stat()
    except FileNotFoundError:
        return None
    return status.st_ino, status.st_mtime_ns


def _move(path: Path, place: Path) -> None:
    if not path.is_dir():
        place.parent.mkdir(parents=True, exist_ok=True)
        for old in filter(Path.exists, (side_path(path), weights_path(path), path)):
            old.replace(place.with_name(old.name))
        return
    if place.exists():
        shutil.rmtree(place)
    place.mkdir(parents=True)
    # The checkpoint first, since a run would go on from it. The lease stays, which others may be looking at.
    for old in sorted(path.iterdir(), key=lambda one: one.name != CHECKPOINT):
        if not old.name.startswith("lease."):
            old.replace(place / old.name)
