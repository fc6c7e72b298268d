"""What a reader must know to read a board's numbers right: footnotes to published values, grids, data, hardware."""

from __future__ import annotations

import json
import math
from typing import Any

from rnnbench.leaderboard.board import Board
from rnnbench.leaderboard.literature import Literature, PublishedNumber
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


def remarks(board: Board, literature: Literature) -> list[str]:
    """Return what else is to be said of a board, one line each."""
    return [
        *_untrained(board),
        *_sweeps(board),
        *_data(board),
        *_missing_numbers(board, literature),
        *_dirty(board),
        *_intervals(board),
        *_hardware(board),
    ]


def _untrained(board: Board) -> list[str]:
    names = [_name(cell) for cell in board.cells if cell.first.steps == 0]
    if not names:
        return []
    if len(names) == len(board.cells):
        return ["Untrained: measured only."]
    return [f"Untrained, measured only: {'; '.join(names)}."]


def _sweeps(board: Board) -> list[str]:
    """One line for each network and grid, with what was chosen on each task."""
    chosen: dict[tuple[str, str, str], list[str]] = {}
    for cell in board.cells:
        grid, point = cell.first.grid, cell.first.point
        if grid:
            settings = [f"{escape(name)} from {', '.join(map(_json, grid[name]))}" for name in sorted(grid)]
            values = ", ".join(_json(point[name]) for name in sorted(grid))
            size = math.prod(len(values) for values in grid.values())
            partly = f" ({cell.points} of {size} points measured)" if cell.points < size else ""
            # Without training there is nothing to choose by.
            how = "chosen on validation" if cell.first.steps else "one point shown, without a choice"
            key = escape(cell.first.network), "; ".join(settings), how
            chosen.setdefault(key, []).append(f"{values} on {escape(cell.first.task)}{partly}")
    return [f"{network}, {grid}; {how}: {'; '.join(tasks)}." for (network, grid, how), tasks in chosen.items()]


def _data(board: Board) -> list[str]:
    lines = []
    for column in board.columns:
        fingerprints = {record.data_fingerprint for cell in column.cells.values() for record in cell.records}
        if len(fingerprints) > 1:
            lines.append(
                f"{escape(column.task)}: not all rows were measured on the same data ({len(fingerprints)} data sets)."
            )
    return lines


def _missing_numbers(board: Board, literature: Literature) -> list[str]:
    missing: dict[str, list[str]] = {}
    for cell in board.cells:
        published = cell.first.published
        if published and not literature.find(published):
            missing.setdefault(published.source, []).append(_name(cell))
    return [f"{escape(source)} has no verified number for {'; '.join(names)}." for source, names in missing.items()]


def _dirty(board: Board) -> list[str]:
    names = [_name(cell) for cell in board.cells if any(record.code.dirty for record in cell.records)]
    if not names:
        return []
    shown = "all of them" if len(names) == len(board.cells) else "; ".join(names)
    return [f"Measured with changes in the code that were not committed: {shown}."]


def _intervals(board: Board) -> list[str]:
    trained = [record for cell in board.cells for record in cell.records if record.steps]
    intervals = {record.minimal_performance.interval for record in trained if record.minimal_performance}
    if not intervals:
        return []
    return [f"Minimal performance was looked for every {', '.join(map(str, sorted(intervals)))} steps."]


def _hardware(board: Board) -> list[str]:
    machines = {_machine(record.hardware) for cell in board.cells for record in cell.records if record.hardware}
    return [f"Measured on {machine}." for machine in sorted(machines)]


def _machine(hardware: dict[str, Any]) -> str:
    return ", ".join(
        f"{escape(name)} {escape(value) if isinstance(value, str) else _json(value)}"
        for name, value in sorted(hardware.items())
    )


def _name(cell: Cell) -> str:
    return f"{escape(cell.first.network)} on {escape(cell.first.task)}"


def _json(value: Any) -> str:
    return escape(json.dumps(value, sort_keys=True, ensure_ascii=False))
