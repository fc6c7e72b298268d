"""What a reader must know to read a board's numbers right: footnotes to published values, grids, data, hardware."""

import json
from collections.abc import Iterator, Sequence
from typing import Any

from rnnbench.leaderboard.board import Board
from rnnbench.leaderboard.literature import PublishedNumber, find_published
from rnnbench.leaderboard.schema import Pilot
from rnnbench.leaderboard.statistics import Cell
from rnnbench.leaderboard.tables.markdown import escape, setting_name

_ROOT_MEAN_SQUARE = (
    "Labelled root mean square in {source}, but perhaps a mean square: as RMSE the smallest values there (1e-6, "
    "1e-10) would be MSE 1e-12 and 1e-20, at or below float32 resolution on a target of order 1. Compare it with both "
    "RMSE and MSE. (An inference of ours, not a statement of the source.)"
)


class Notes:
    """Footnotes, numbered in the order in which they are first needed."""

    def __init__(self) -> None:
        """Start without any."""
        self._texts: list[str] = []

    def mark(self, number: PublishedNumber) -> str:
        """Return the marks of a published number's footnotes, making those that are new."""
        return "".join(f" [{self._number(escape(text))}]" for text in cautions(number))

    def lines(self) -> list[str]:
        """Return the footnotes as lines of text."""
        return [f"[{index}] {text}" for index, text in enumerate(self._texts, start=1)]

    def _number(self, text: str) -> int:
        if text not in self._texts:
            self._texts.append(text)
        return self._texts.index(text) + 1


def cautions(number: PublishedNumber) -> list[str]:
    """Return what a reader must know to compare a published number, a sentence or two each."""
    texts = []
    if number.metric == "test_RMS":
        texts.append(_ROOT_MEAN_SQUARE.format(source=number.source))
    if "colour" in number.remark:
        texts.append(f"Printed under {number.task}, but the number cited there was measured on colour images.")
    elif number.remark:
        texts.append(f"Published for {number.task} ({number.remark}).")
    return texts


def remarks(board: Board) -> Iterator[str]:
    """Yield what else is to be said of a board, one line each."""
    cells = board.cells
    untrained = [_name(cell) for cell in cells if cell.first.steps == 0]
    if untrained:
        every = len(untrained) == len(cells)
        yield "Untrained: measured only." if every else f"Untrained, measured only: {'; '.join(untrained)}."
    yield from _sweeps(cells)
    for column in board.columns:
        data_sets = {record.data_fingerprint for cell in column.cells.values() for record in cell.records}
        if len(data_sets) > 1:
            differ = f"not all rows were measured on the same data ({len(data_sets)} data sets)"
            yield f"{escape(column.task)}: {differ}."
        older = [cell.first.ranked.chance for cell in column.cells.values() if cell.metric != cell.first.ranked]
        if older:
            held, shown = (column.metric.display.text(chance) for chance in (older[0], column.metric.chance))
            why = f"the share of the test split's most frequent class, {shown} %, where older records hold {held} %"
            yield f"{escape(column.task)}: chance is {why}, as if classes were balanced."
    missing: dict[str, list[str]] = {}
    for cell in cells:
        if cell.first.published and not find_published(cell.first.published):
            missing.setdefault(cell.first.published.source, []).append(_name(cell))
    for source, names in missing.items():
        yield f"{escape(source)} has no verified number for {'; '.join(names)}."
    dirty = [_name(cell) for cell in cells if any(record.code.dirty for record in cell.records)]
    if dirty:
        shown = "all of them" if len(dirty) == len(cells) else "; ".join(dirty)
        yield f"Measured with changes in the code that were not committed: {shown}."
    reached = [record.minimal_performance for cell in cells for record in cell.records if record.steps]
    intervals = sorted({performance.interval for performance in reached if performance})
    if intervals:
        yield f"Minimal performance was looked for every {', '.join(map(str, intervals))} steps."
    for machine in sorted({_machine(record.hardware) for cell in cells for record in cell.records if record.hardware}):
        yield f"Measured on {machine}."


def _sweeps(cells: Sequence[Cell]) -> Iterator[str]:
    """Yield a line for each network and way of choosing from its grid, with what was chosen on each task."""
    chosen: dict[tuple[str, str], list[str]] = {}
    for cell in cells:
        grid, point, pilot = cell.first.grid, cell.first.point, cell.first.pilot
        if grid:
            names = sorted(grid, key=lambda name: (isinstance(point[name], int | float), name))
            values = ", ".join(_spoken(point[name]) for name in names)
            key = escape(cell.first.network), _by_pilots(names, pilot) if pilot else _by_grid(names, cell)
            chosen.setdefault(key, []).append(f"{values} on {escape(cell.first.task)}{_limits(cell)}")
    for (network, how), tasks in chosen.items():
        yield f"{network}{how}: {'; '.join(tasks)}."


def _by_grid(names: Sequence[str], cell: Cell) -> str:
    settings = "; ".join(f"{escape(name)} from {', '.join(map(_json, cell.first.grid[name]))}" for name in names)
    # Without training there is nothing to choose by.
    how = "chosen on validation" if cell.first.steps else "one point shown, without a choice"
    return f", {settings}; {how}"


def _by_pilots(names: Sequence[str], pilot: Pilot) -> str:
    """Write how short runs of every point chose one, for example ``by pilots of 20 % of the steps by 1 instance``."""
    settings = " and ".join(setting_name(name) for name in names)
    instances = f"{pilot.instances} instance{'s' if pilot.instances > 1 else ''}"
    return (
        f": {settings} chosen from {len(pilot.points)} points by pilots of {100 * pilot.share:g} % of the steps "
        f"by {instances} on validation; chosen"
    )


def _limits(cell: Cell) -> str:
    """Write what limits a choice: that it lies at an edge of the grid, or that points of the grid have no records."""
    pilot, size = cell.first.pilot, cell.grid_size
    if pilot:
        edges = [setting_name(name) for name in pilot.edges]
        said = [f"edge of the grid, {' and '.join(edges)}"] if edges else []
        said += [f"the best of {cell.points} points trained in full"] if cell.points > 1 else []
        return f" ({'; '.join(said)})" if said else ""
    return f" ({cell.points} of {size} points measured)" if size and cell.points < size else ""


def _machine(hardware: dict[str, Any]) -> str:
    return ", ".join(f"{escape(name)} {_spoken(value)}" for name, value in sorted(hardware.items()))


def _spoken(value: Any) -> str:
    return escape(value) if isinstance(value, str) else _json(value)


def _name(cell: Cell) -> str:
    return f"{escape(cell.first.network)} on {escape(cell.first.task)}"


def _json(value: Any) -> str:
    return escape(json.dumps(value, sort_keys=True, ensure_ascii=False))
