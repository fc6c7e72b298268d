"""Where the rows of a board come from: who sent their records in, and which code of a user's own made them."""

from collections.abc import Iterator

from rnnbench.leaderboard.board import Board
from rnnbench.leaderboard.schema import OwnCode
from rnnbench.leaderboard.senders import Senders
from rnnbench.leaderboard.statistics import Cell
from rnnbench.leaderboard.store import place_of
from rnnbench.leaderboard.tables.markdown import escape

_COMMIT = 12


def origin_lines(board: Board, senders: Senders) -> Iterator[str]:
    """Yield a line for each sender and tier, with their cells, and one for each network of a user's own code."""
    sent: dict[tuple[str, str], list[str]] = {}
    code: dict[str, dict[str, None]] = {}
    for cell in board.cells:
        found = [senders[place] for record in cell.records if (place := place_of(record)) in senders]
        for one in dict.fromkeys(found):
            part = f" ({found.count(one)} of {len(cell.records)})" if found.count(one) < len(cell.records) else ""
            sent.setdefault((one.sender, one.tier), []).append(f"{_name(cell)}{part}")
        for record in cell.records:
            code.setdefault(cell.first.network, {}).update(dict.fromkeys(map(_version, record.own_code)))
    for (sender, tier), cells in sent.items():
        yield f"Sent in by {escape(sender)}, {tier}: {'; '.join(cells)}."
    for network, versions in code.items():
        if versions:
            yield f"{escape(network)} is made by code outside of rnnbench: {'; '.join(versions)}."


def _name(cell: Cell) -> str:
    return f"{escape(cell.first.network)} on {escape(cell.first.task)}"


def _version(code: OwnCode) -> str:
    """Write a module with its version or hash, and its commit."""
    commit = f", commit {escape(code.commit[:_COMMIT])}{' with changes' if code.dirty else ''}" if code.commit else ""
    return f"{escape(code.module)} {escape(code.version) if code.version else f'of hash {escape(code.source)}'}{commit}"
