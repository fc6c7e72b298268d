"""What a reader must know to read a board's numbers right: footnotes to published values, grids, data, hardware."""

import json
import math
from collections.abc import Iterator, Sequence
from typing import Any

from rnnbench.leaderboard.board import Board
from rnnbench.leaderboard.literature import PublishedNumber, find_published
from rnnbench.leaderboard.statistics import Cell
from rnnbench.leaderboard.tables.markdown import escape

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
        texts = []
        if number.metric == "test_RMS":
            texts.append(_ROOT_MEAN_SQUARE.format(source=escape(number.source)))
        if "colour" in number.remark:
            texts.append(
                f"Printed under {escape(number.task)}, but the number cited there was measured on colour images."
            )
        elif number.remark:
            texts.append(f"Published for {escape(number.task)} ({escape(number.remark)}).")
        return "".join(f" [{self._number(text)}]" for text in texts)

    def lines(self) -> list[str]:
        """Return the footnotes as lines of text."""
        return [f"[{index}] {text}" for index, text in enumerate(self._texts, start=1)]

    def _number(self, text: str) -> int:
        if text not in self._texts:
            self._texts.append(text)
        return self._texts.index(text) + 1


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
    """Yield a line for each network and grid, with what was chosen on each task."""
    chosen: dict[tuple[str, str, str], list[str]] = {}
    for cell in cells:
        grid, point = cell.first.grid, cell.first.point
        if grid:
            settings = "; ".join(f"{escape(name)} from {', '.join(map(_json, grid[name]))}" for name in sorted(grid))
            values = ", ".join(_json(point[name]) for name in sorted(grid))
            size = math.prod(len(values) for values in grid.values())
            partly = f" ({cell.points} of {size} points measured)" if cell.points < size else ""
            # Without training there is nothing to choose by.
            how = "chosen on validation" if cell.first.steps else "one point shown, without a choice"
            key = escape(cell.first.network), settings, how
            chosen.setdefault(key, []).append(f"{values} on {escape(cell.first.task)}{partly}")
    for (network, grid_text, how), tasks in chosen.items():
        yield f"{network}, {grid_text}; {how}: {'; '.join(tasks)}."


def _machine(hardware: dict[str, Any]) -> str:
    return ", ".join(
        f"{escape(name)} {escape(value) if isinstance(value, str) else _json(value)}"
        for name, value in sorted(hardware.items())
    )


def _name(cell: Cell) -> str:
    return f"{escape(cell.first.network)} on {escape(cell.first.task)}"


def _json(value: Any) -> str:
    return escape(json.dumps(value, sort_keys=True, ensure_ascii=False))
