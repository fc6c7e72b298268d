"""Where the rows of a board come from: who sent their records in, and which code of a user's own made them."""

import json
from collections.abc import Iterator

from rnnbench.leaderboard.board import Board
from rnnbench.leaderboard.schema import OwnCode
from rnnbench.leaderboard.senders import Senders
from rnnbench.leaderboard.statistics import Cell
from rnnbench.leaderboard.store import place_of
from rnnbench.leaderboard.tables.markdown import escape

_COMMIT = 12


def origin_lines(board: Board, senders: Senders) -> Iterator[str]:
    """Yield a line for each sender and tier, with their cells, and one for what code of a user's own makes."""
    sent: dict[tuple[str, str], list[str]] = {}
    for cell in board.cells:
        found = [senders[place] for record in cell.records if (place := place_of(record)) in senders]
        for one in dict.fromkeys(found):
            part = f" ({found.count(one)} of {len(cell.records)})" if found.count(one) < len(cell.records) else ""
            sent.setdefault((one.sender, one.tier), []).append(f"{_name(cell)}{part}")
    for (sender, tier), cells in sent.items():
        yield f"Sent in by {escape(sender)}, {tier}: {'; '.join(cells)}."
    by_names: dict[tuple[str, ...], list[str]] = {}
    for version, names in _made(board).items():
        by_names.setdefault(tuple(names), []).append(version)
    for (*others, last), versions in by_names.items():
        made = f"{', '.join(others)} and {last} are" if others else f"{last} is"
        yield f"{made} made by code outside of rnnbench: {'; '.join(versions)}."


def _made(board: Board) -> dict[str, dict[str, None]]:
    """Return the networks and tasks that each module of a user's own makes, by the module and its version."""
    shared: dict[str, set[str]] = {}
    for cell in board.cells:
        modules = {own.module for record in cell.records for own in record.own_code}
        for name in _parts(cell).values():
            shared[name] = shared.get(name, modules) & modules
    with_module: dict[str, set[int]] = {}
    with_name: dict[str, set[int]] = {}
    for place, cell in enumerate(board.cells):
        for own in (own for record in cell.records for own in record.own_code):
            with_module.setdefault(own.module, set()).add(place)
        for name in _parts(cell).values():
            with_name.setdefault(name, set()).add(place)
    made: dict[str, dict[str, None]] = {}
    for cell in board.cells:
        for own in (own for record in cell.records for own in record.own_code):
            by_class = _naming(f'"{own.module}.', cell)
            # A base class, or one that its package exports: of what comes with it wherever it stands on the board.
            package = f'"{own.module.partition(".")[0]}.'
            by_package = [name for name in _naming(package, cell) if own.module in shared[name]]
            # What stands in the same cells as the module is what it comes with.
            alike = [name for name in by_package if with_name[name] == with_module[own.module]]
            names = by_class or alike or by_package or [_name(cell)]
            made.setdefault(_version(own), {}).update(dict.fromkeys(names))
    return made


def _parts(cell: Cell) -> dict[str, str]:
    return {"recurrence": escape(cell.first.network), "task": f"task {escape(cell.first.task)}"}


def _naming(start: str, cell: Cell) -> list[str]:
    """Return the network or task of a cell whose configuration names a class that begins so."""
    return [name for part, name in _parts(cell).items() if start in json.dumps(cell.first.config.get(part))]


def _name(cell: Cell) -> str:
    return f"{escape(cell.first.network)} on {escape(cell.first.task)}"


def _version(code: OwnCode) -> str:
    """Write a module with its version or hash, and its commit."""
    commit = f", commit {escape(code.commit[:_COMMIT])}{' with changes' if code.dirty else ''}" if code.commit else ""
    return f"{escape(code.module)} {escape(code.version) if code.version else f'of hash {escape(code.source)}'}{commit}"
