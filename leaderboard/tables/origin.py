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
    code: dict[str, dict[str, None]] = {}
    for cell in board.cells:
        found = [senders[place] for record in cell.records if (place := place_of(record)) in senders]
        for one in dict.fromkeys(found):
            part = f" ({found.count(one)} of {len(cell.records)})" if found.count(one) < len(cell.records) else ""
            sent.setdefault((one.sender, one.tier), []).append(f"{_name(cell)}{part}")
        for record in cell.records:
            for own in record.own_code:
                code.setdefault(_made_by(own, cell), {})[_version(own)] = None
    for (sender, tier), cells in sent.items():
        yield f"Sent in by {escape(sender)}, {tier}: {'; '.join(cells)}."
    for made, versions in code.items():
        yield f"{made} is made by code outside of rnnbench: {'; '.join(versions)}."


def _name(cell: Cell) -> str:
    return f"{escape(cell.first.network)} on {escape(cell.first.task)}"


def _made_by(code: OwnCode, cell: Cell) -> str:
    """Write what a module makes: network or task, whichever names its package; a module of neither serves both."""
    package = f'"{code.module.partition(".")[0]}.'
    names = {"recurrence": escape(cell.first.network), "task": f"task {escape(cell.first.task)}"}
    made = [name for part, name in names.items() if package in json.dumps(cell.first.config.get(part))]
    return " and ".join(made) or _name(cell)


def _version(code: OwnCode) -> str:
    """Write a module with its version or hash, and its commit."""
    commit = f", commit {escape(code.commit[:_COMMIT])}{' with changes' if code.dirty else ''}" if code.commit else ""
    return f"{escape(code.module)} {escape(code.version) if code.version else f'of hash {escape(code.source)}'}{commit}"
