"""Records of another version of a suite: which lie beside its experiments, and which settings differ."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rnnbench.benchmark.config.experiment import Experiment, Point
from rnnbench.benchmark.config.plans import planned_cell
from rnnbench.benchmark.errors import shown
from rnnbench.leaderboard.plan import PlannedCell, pilot_of
from rnnbench.leaderboard.schema import Record
from rnnbench.leaderboard.settings import LATER_SETTINGS, NOT_IN_ID, Config


@dataclass(frozen=True)
class OtherVersion:
    """Records of a cell (``task/network``) that the suite, as it is now, would not give.

    ``changes`` are the settings that differ (``changed_settings``), or grid and pilots; none where the suite no longer
    has the cell.
    """

    cell: str
    changes: tuple[str, ...]
    records: tuple[Record, ...]

    def __str__(self) -> str:
        """Return one line: what, how many records, and what has changed since."""
        changed = "; ".join(self.changes) or "the suite no longer has this row and task"
        return f"{self.cell}: {len(self.records)} of another version of the suite: {changed}"


def other_versions(experiments: Iterable[Experiment], records: Sequence[Record]) -> list[OtherVersion]:
    """Return the records whose settings are no longer those of their suite, grouped by cell and by what has changed.

    ``experiments`` are all of a suite under one budget; a record of another suite or budget is passed over.
    """
    if not records:
        return []
    cells = {(e.suite, e.budget, e.task, e.network): (planned_cell(e), e.points()) for e in experiments}
    suites = {cell[:2] for cell in cells}
    found: dict[tuple[str, tuple[str, ...]], list[Record]] = {}
    # One record may stand for many that differ in nothing that matters here.
    known: dict[int, tuple[str, tuple[str, ...]] | None] = {}
    for record in records:
        if id(record) not in known:
            known[id(record)] = None
            planned, points = cells.get(record.cell, (None, []))
            if record.cell[:2] in suites and (planned is None or not planned.holds(record)):
                changes = _changes(record, planned, points) if planned else ()
                known[id(record)] = f"{record.task}/{record.network}", changes
        if key := known[id(record)]:
            found.setdefault(key, []).append(record)
    return [OtherVersion(cell, changes, tuple(group)) for (cell, changes), group in found.items()]


def _changes(record: Record, planned: PlannedCell, points: Iterable[Point]) -> tuple[str, ...]:
    if record.experiment_id not in planned.ids:
        # Of several points of a sweep the one that is nearest.
        return min((tuple(changed_settings(record.config, point.config)) for point in points), key=len)
    old, new = (_choice(*of) for of in ((record.grid, pilot_of(record)), (planned.grid, planned.pilot)))
    return tuple(f"{before} → {after}" for before, after in zip(old, new, strict=True) if before != after)


def _choice(grid: Mapping[str, Any], pilot: tuple[float, int] | None) -> tuple[str, str]:
    axes = "; ".join(f"{path.rpartition('.')[2]} {values}" for path, values in grid.items())
    tried = f"pilots of {pilot[0]:.0%} with {pilot[1]} each" if pilot else "no pilots"
    return f"grid of {axes}" if grid else "no grid", tried


def changed_settings(old: Config, new: Config) -> list[str]:
    """Return what differs between two resolved configurations, of what can change a result.

    >>> old = {"task": {}, "training": {"learning_rate": 0.01, "max_steps": 5}, "seed": 0}
    >>> changed_settings(old, {"task": {}, "training": {"learning_rate": 0.003, "max_steps": 5}, "seed": 1})
    ['learning_rate 0.01 → 0.003', 'seed 0 → 1']
    """
    return list(_differences(old, new, ()))


def _differences(old: Any, new: Any, path: tuple[str, ...]) -> Iterator[str]:
    if ".".join(path) in NOT_IN_ID or old == new:
        return
    if isinstance(old, dict) and isinstance(new, dict) and old.get("class_path") == new.get("class_path"):
        for key in dict.fromkeys((*old, *new)):
            default = LATER_SETTINGS.get(".".join((*path, key)))
            yield from _differences(old.get(key, default), new.get(key, default), (*path, key))
    else:
        name = ".".join(key for key in path if key not in ("training", "init_args"))
        yield f"{name} {_described(old)} → {_described(new)}"


def _described(value: Any) -> str:
    if isinstance(value, dict):
        return str(value.get("class_path", "other settings"))
    return "none" if value is None else shown(value)
