"""Records that other source of a user's own classes made: set aside, and taken back once the source is theirs again."""

import contextlib
import shutil
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from rnnbench.benchmark.errors import UserError
from rnnbench.benchmark.launchers.one_at_a_time import one_at_a_time
from rnnbench.benchmark.run.job import CHECKPOINT, JOB_FILE, PILOTS, SOURCE_FILE, Job
from rnnbench.benchmark.run.lease import BusyError, Lease
from rnnbench.benchmark.run.source import edited_since, noted_source
from rnnbench.leaderboard.files import FileError, side_path
from rnnbench.leaderboard.plan import MOST_NAMED
from rnnbench.leaderboard.record import read_record
from rnnbench.leaderboard.schema import OwnCode, Record
from rnnbench.leaderboard.store import find_records, read_side_arrays
from rnnbench.leaderboard.weights_file import weights_path

#: Where they are kept, inside the folder of records: hidden, so that nothing takes them for results.
OTHER_SOURCE = ".other-source"


class Move(NamedTuple):
    """Where a file or a run's folder goes, and what tells it from one that takes its place; None for nothing."""

    place: Path
    mark: tuple[int, int] | None


class Stale:
    """The wanted records, and unfinished runs, that other source made, and those of today's that were set aside.

    Attributes:
        moves: the paths of both, each with where it goes when what is missing is trained.
    """

    def __init__(self, runs_dir: Path, any_source: bool) -> None:
        """Look at a folder of records; with ``any_source`` those of other source count as the wanted ones."""
        self.runs_dir, self.moves = runs_dir, dict[Path, Move]()
        self._any_source = any_source
        self._cells: dict[str, Counter[str]] = defaultdict(Counter)
        self._begun: dict[str, list[str]] = defaultdict(list)
        self._returned: dict[Path, str] = {}
        self._folders = folders_aside(runs_dir)
        self._resumed: set[Path] = set()

    def holds(self, path: Path, record: Record) -> bool:
        """Return whether a record is to be trained again, and remember it."""
        if path not in self.moves and (change := edited_since(record.own_code)):
            self._cells[change][f"{record.task}/{record.network}"] += 1
            if not self._any_source:
                self._keep(path, record.own_code)
        return path in self.moves

    def holds_run(self, job: Job) -> bool:
        """Return whether an unfinished run is to be begun again, and remember its folder.

        It is, if one of its records is, written when it was interrupted. Else it was killed, or its code raised.
        """
        if self.moves.keys().isdisjoint(map(job.record_path, job.members)):
            code = noted_source(job.source)
            change = edited_since(code)
            if change:
                self._begun[change].append(job.experiment.name)
            if not change or self._any_source:
                return False
        else:
            code = next(read_record(path).own_code for path in map(job.record_path, job.members) if path in self.moves)
        self._keep(job.folder, code)
        return True

    def _keep(self, path: Path, code: Iterable[OwnCode]) -> None:
        folder = "+".join(dict.fromkeys(one.source[:8] for one in code))
        self.moves[path] = Move(self.runs_dir / OTHER_SOURCE / folder / path.relative_to(self.runs_dir), _mark(path))

    def returned(self, path: Path) -> Record | None:
        """Return the finished record of a place that today's source made before it was set aside, and take it back."""
        for folder, kept in self._aside(path):
            # What is damaged or gone stays away: its instance is trained again.
            with contextlib.suppress(FileError, FileNotFoundError):
                record = read_record(kept)
                # Arrays may be back already, by a command that was killed then.
                if edited_since(record.own_code) or all(read_side_arrays(each, record)[1] for each in (kept, path)):
                    continue
                self.take_back(kept, path)
                if record.status != "interrupted":
                    self._returned[path] = f"{record.task}/{record.network}"
                    return record
                self._resumed.add(folder)
        return None

    def resumed(self, cell: Path) -> Iterator[Path]:
        """Yield where interrupted runs of a cell lie that go on once they are taken back."""
        for folder, kept in self._aside(cell):
            if folder in self._resumed or any(map(_is_todays, kept.glob(f"run-*/{SOURCE_FILE}"))):
                yield kept

    def take_back(self, kept: Path, place: Path) -> None:
        """Remember a file or folder, to be taken back."""
        self.moves[kept] = Move(place, _mark(kept))

    def _aside(self, path: Path) -> list[tuple[Path, Path]]:
        return [(folder, folder / path.relative_to(self.runs_dir)) for folder in self._folders]

    def notes(self) -> Iterator[str]:
        """Yield a line for each edit, and for what was set aside, with what is done about it."""
        aside = self.runs_dir / OTHER_SOURCE
        again = f"'run' replaces them and keeps them in {aside} or, with --any-source, takes them as they are"
        remedy = "they are taken as they are" if self._any_source else again
        for change, cells in self._cells.items():
            yield f"{_counted(cells)} made by other source of your own code ({change}): {remedy}"
        again = f"'run' begins again and keeps the checkpoint in {aside} or, with --any-source, goes on"
        for change, names in self._begun.items():
            remedy = "it goes on as it is" if self._any_source else again
            yield f"{', '.join(names)}: training begun by other source of your own code ({change}): {remedy}"
        if self._returned:
            yield f"{_counted(Counter(self._returned.values()))} of today's source in {aside}: 'run' takes them back"


def _is_todays(path: Path) -> bool:
    # What is damaged stays away.
    with contextlib.suppress(UserError):
        code = noted_source(path)
        return bool(code) and not edited_since(code)
    return False


def folders_aside(runs_dir: Path) -> list[Path]:
    """Return the folders of records that were set aside, one for each source."""
    folder = runs_dir / OTHER_SOURCE
    return sorted(one for one in folder.iterdir() if one.is_dir()) if folder.is_dir() else []


def aside_lines(runs_dir: Path, suite: Path) -> Iterator[str]:
    """Yield a line for each source of which records of a suite, given by its folder of records, were set aside."""
    for folder in folders_aside(runs_dir):
        records = [record for root in (folder, folder / PILOTS) for record in find_records(root, suite)[0]]
        if records:
            yield f"{_counted(Counter(f'{one.task}/{one.network}' for one in records))} set aside in {folder}"


def _counted(cells: Counter[str]) -> str:
    names = ", ".join(list(cells)[:MOST_NAMED]) + ", …" * (len(cells) > MOST_NAMED)
    return f"{names}: {cells.total()} record{'s' * (cells.total() > 1)}"


def move_records(runs_dir: Path, moves: Mapping[Path, Move]) -> None:
    """Move folders of runs, and records with what lies beside them, to where they are kept or were taken from.

    One launcher at a time does so, and leaves alone what another is training, has moved or has written since.
    """
    if not moves:
        return
    aside = runs_dir / OTHER_SOURCE
    with one_at_a_time(aside, "command to set records aside"):
        # Records last: as long as one is there, the rest is known to be of other source. What takes a place comes then.
        for back in (False, True):
            chosen = [(path, move) for path, move in moves.items() if path.is_relative_to(aside) == back]
            for path, (place, mark) in sorted(chosen, key=lambda item: not item[0].is_dir()):
                with contextlib.suppress(BusyError), _leased(place if back else path, path.is_dir()):
                    if mark == _mark(path) and not (back and _mark(place)):
                        _move(path, place)


def undone(moves: Mapping[Path, Move]) -> dict[Path, Move]:
    """Return what undoes moves that were made."""
    return {move.place: Move(path, _mark(move.place)) for path, move in moves.items()}


def _leased(path: Path, is_folder: bool) -> contextlib.AbstractContextManager[Lease | None]:
    if not is_folder:
        return contextlib.nullcontext()
    path.mkdir(parents=True, exist_ok=True)
    return Lease(path)


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
    if place.exists() and not list(place.glob("lease.*")):
        shutil.rmtree(place)
    place.mkdir(parents=True, exist_ok=True)
    # The checkpoint first, since a run would go on from it. The lease stays, which others may be looking at.
    for old in sorted(path.iterdir(), key=lambda one: one.name != CHECKPOINT):
        if not old.name.startswith("lease."):
            old.replace(place / old.name)
