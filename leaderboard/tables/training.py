"""How the rows of a board were trained: what is equal in a line, what differs in a table, who stands apart and why."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

from rnnbench.leaderboard.board import Board, Column
from rnnbench.leaderboard.statistics import Cell
from rnnbench.leaderboard.tables.markdown import LINE, NOTHING, Table, escape, setting_name

_NO_PILOTS = "no pilots"


def protocol_line(board: Board) -> str:
    """Return what is equal for all rows of each column; empty if nothing is."""
    equal = []
    for name in _facts(board.cells[0]):
        by_value: dict[str, list[str]] = {}
        values = [{_facts(cell)[name] for cell in column.cells.values()} for column in board.columns]
        if all(len(of_column) == 1 and of_column != {_NO_PILOTS} for of_column in values):
            for column, of_column in zip(board.columns, values, strict=True):
                by_value.setdefault(min(of_column), []).append(escape(column.task))
            parts = [
                value + (f" on {', '.join(tasks)}" if len(by_value) > 1 else "") for value, tasks in by_value.items()
            ]
            equal.append(", ".join(parts))
    return f"All rows: {'; '.join(equal)}." if equal else ""


def training(board: Board) -> Table | None:
    """Return a table of what differs between the rows of any column; None if nothing does."""
    differing = [
        name
        for name in _facts(board.cells[0])
        if any(len({_facts(cell)[name] for cell in column.cells.values()}) > 1 for column in board.columns)
    ]
    if not differing:
        return None
    rows = [
        [
            escape(network),
            *(
                LINE.join(_facts(column.cells[network])[name] for name in differing)
                if network in column.cells
                else NOTHING
                for column in board.columns
            ),
        ]
        for network in board.networks
    ]
    caption = f"What differs between rows: {', '.join(differing)}."
    return Table("Training", caption, ["network", *(escape(column.task) for column in board.columns)], rows)


def set_apart(column: Column) -> set[str]:
    """Return the networks that were trained for other than the usual steps of a column.

    Usual is what most cells have, of those without a reason of the suite's if there are any; of equally many the least.
    """
    votes = [cell for cell in column.cells.values() if not cell.reason] or list(column.cells.values())
    counts = Counter(_steps(cell) for cell in votes)
    usual = max(counts, key=lambda steps: (counts[steps], -steps[0]))
    return {network for network, cell in column.cells.items() if _steps(cell) != usual}


def differences(board: Board) -> Iterator[str]:
    """Yield a line for each column whose rows differ in steps or in the grid, with the suite's reasons."""
    for column in board.columns:
        cells, apart = column.cells.values(), set_apart(column)
        grids = {_facts(cell)["grid"] for cell in cells}
        differing = [*["steps"] * bool(apart), *["grid"] * (len(grids) > 1)]
        if differing:
            reasons = [
                f" {escape(cell.first.network)} has {_facts(cell)['length']}, {_facts(cell)['grid']}: "
                f"{escape(cell.reason).rstrip('.') or 'the suite gives no reason'}."
                for cell in cells
                if cell.first.network in apart or cell.reason
            ]
            yield f"{escape(column.task)}: rows differ in {' and '.join(differing)}.{''.join(reasons)}"


def epochs(cell: Cell) -> float | None:
    """Return the epochs of the whole training; None without an evaluation."""
    record = max(cell.records, key=lambda record: record.steps)
    last = record.curve[-1] if record.curve else None
    return last.epoch * record.steps / last.step if last and last.step else None


def count_of_epochs(value: float) -> str:
    """Write a number of epochs.

    >>> count_of_epochs(0.7314), count_of_epochs(24.96), count_of_epochs(1000.0)
    ('0.73 epochs', '25 epochs', '1000 epochs')
    """
    text = f"{round(value, 2 if value < 10 else 0):g}"
    return f"{text} epoch" if text == "1" else f"{text} epochs"


def _facts(cell: Cell) -> dict[str, str]:
    size, pilot, value = cell.grid_size, cell.first.pilot, epochs(cell)
    # By name: the sweep of a row takes the place of the suite's, and may leave its rate as it is.
    swept = [setting_name(name) for name in sorted(cell.first.grid)]
    steps, limit = _steps(cell)
    return {
        "optimiser": _text(_setting(cell, "optimizer"), "optimiser not recorded"),
        "learning rate": f"learning rate {_text(_setting(cell, 'learning_rate'), 'not recorded')}",
        "grid": "no grid" if size == 1 else f"grid of {size or 'several'} points ({', '.join(swept)})",
        "length": limit or f"{steps} steps" + ("" if value is None else f" ({count_of_epochs(value)})"),
        "pilots": f"pilots of {100 * pilot.share:g} %" if pilot else _NO_PILOTS,
    }


def _steps(cell: Cell) -> tuple[int, str]:
    """Return the steps that an instance was given and, where its patience may end it earlier, their limit in words."""
    if _setting(cell, "patience"):
        for name in ("max_steps", "max_epochs"):
            if limit := _setting(cell, name):
                return limit, f"at most {limit} {name.removeprefix('max_')}"
    return max(record.steps for record in cell.records), ""


def _setting(cell: Cell, name: str) -> Any:
    recipe = cell.first.config.get("training")
    return recipe.get(name) if isinstance(recipe, dict) else None


def _text(value: Any, otherwise: str) -> str:
    return otherwise if value is None else escape(f"{value:g}" if isinstance(value, float) else str(value))
