"""Records that other source of a user's own classes made: trained again as those of an edited suite are, and kept."""

import shutil
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from rnnbench.benchmark.run.source import edited_since
from rnnbench.leaderboard.files import side_path
from rnnbench.leaderboard.plan import MOST_NAMED
from rnnbench.leaderboard.schema import Record
from rnnbench.leaderboard.weights_file import weights_path

#: Where they are kept, inside the folder of records: hidden, so that nothing takes them for results.
OTHER_SOURCE = ".other-source"


class Stale:
    """The wanted records, and unfinished runs, that other source made.

    Attributes:
        kept: their paths, each with the one where it is kept when what it stands for is trained again.
    """

    def __init__(self, runs_dir: Path, any_source: bool) -> None:
        """Look at a folder of records; with ``any_source`` they count as the wanted ones."""
        self.runs_dir, self.kept = runs_dir, dict[Path, Path]()
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
        self.kept[path] = self.runs_dir / OTHER_SOURCE / self._folder / path.relative_to(self.runs_dir)

    def notes(self) -> Iterator[str]:
        """Yield a line for each edit, with what is done about it."""
        again = f"'run' trains them again and keeps the old ones in {self.runs_dir / OTHER_SOURCE}, or, with "
        remedy = "they are taken as they are" if self._any_source else f"{again}--any-source, takes them as they are"
        for change, cells in self._cells.items():
            names = ", ".join(list(cells)[:MOST_NAMED]) + ", …" * (len(cells) > MOST_NAMED)
            count = f"{cells.total()} record{'s' * (cells.total() > 1)}"
            yield f"{names}: {count} made by other source of your own code ({change}): {remedy}"


def set_aside(kept: Mapping[Path, Path]) -> None:
    """Move records, with what lies beside them, and folders of runs to where they are kept."""
    for path, target in kept.items():
        beside = [path] if path.is_dir() else [path, side_path(path), weights_path(path)]
        for old in filter(Path.exists, beside):
            place = target.with_name(old.name)
            if place.is_dir():
                shutil.rmtree(place)
            place.parent.mkdir(parents=True, exist_ok=True)
            old.replace(place)
