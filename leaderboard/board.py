"""The cells of one suite and budget, laid out: networks down, tasks across."""

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from rnnbench.leaderboard.metric import MetricInfo
from rnnbench.leaderboard.plan import Plans
from rnnbench.leaderboard.schema import Budget
from rnnbench.leaderboard.statistics import Cell

_BUDGETS: tuple[Budget, ...] = ("paper", "cpu", "smoke")


@dataclass(frozen=True)
class Column:
    """A task under its ranked metric, with its cells by network; those that rank by another metric never share it."""

    task: str
    metric: MetricInfo
    cells: dict[str, Cell]


@dataclass(frozen=True)
class Board:
    """What one suite measured with one budget."""

    suite: str
    budget: Budget
    networks: tuple[str, ...]
    columns: tuple[Column, ...]

    @property
    def cells(self) -> list[Cell]:
        """All cells, row by row."""
        return [cell for network in self.networks for cell in self.row(network)]

    def row(self, network: str) -> list[Cell]:
        """Return the cells of one network."""
        return [column.cells[network] for column in self.columns if network in column.cells]


def natural(text: str) -> list[tuple[int, float, str]]:
    """Return a sort key that puts ADD200 before ADD1000, r1.0025 before r1.01, capitals beside small letters.

    >>> sorted(["ADD1000", "add200", "ADD100"], key=natural)
    ['ADD100', 'add200', 'ADD1000']
    >>> sorted(["r1.01", "r1.0025"], key=natural)
    ['r1.0025', 'r1.01']
    """
    parts = re.split(r"([0-9]+(?:\.[0-9]+)?)", text.casefold())
    return [(0, float(part), "") if part[0] in "0123456789" else (1, 0, part) for part in parts if part]


def boards(cells: Sequence[Cell], plans: Plans | None = None) -> list[Board]:
    """Lay cells out, one board for each suite and budget, the longest budget first.

    Rows and columns stand in the order of the suite where its plan is known, else by name.
    """
    grouped: dict[tuple[str, Budget], list[Cell]] = {}
    for cell in cells:
        grouped.setdefault((cell.first.suite, cell.first.budget), []).append(cell)
    ordered = sorted(grouped, key=lambda key: (natural(key[0]), key[0], _BUDGETS.index(key[1])))
    planned = {key: list(plan.cells) for key, plan in (plans or {}).items()}
    return [_board(*key, grouped[key], planned.get(key, ())) for key in ordered]


def _board(suite: str, budget: Budget, cells: Sequence[Cell], planned: Sequence[tuple[str, str]]) -> Board:
    tasks, rows = (dict.fromkeys(names) for names in zip(*planned, strict=True)) if planned else ({}, {})
    columns: dict[tuple[str, str, str], list[Cell]] = {}
    for cell in cells:
        columns.setdefault((cell.first.task, cell.metric.name, cell.metric.direction), []).append(cell)
    networks = {cell.first.network for cell in cells}
    return Board(
        suite,
        budget,
        tuple(sorted(networks, key=lambda network: (_place(network, rows), natural(network), network))),
        tuple(
            Column(key[0], columns[key][0].metric, {cell.first.network: cell for cell in columns[key]})
            for key in sorted(columns, key=lambda key: (_place(key[0], tasks), natural(key[0]), *key))
        ),
    )


def _place(name: str, planned: Collection[str]) -> int:
    return [*planned, name].index(name)
