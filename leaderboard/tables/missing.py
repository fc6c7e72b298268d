"""What a suite asks for and no record is there of, with the command that makes it."""

from collections.abc import Sequence

from rnnbench.leaderboard.board import Board
from rnnbench.leaderboard.claims.claim import Claim
from rnnbench.leaderboard.plan import MOST_NAMED, Plans, SuitePlan
from rnnbench.leaderboard.tables.markdown import escape


def missing_cells(board: Board, plan: SuitePlan) -> dict[tuple[str, str], int]:
    """Return how many instances there are of each cell that has fewer than the suite asks for, by task and network."""
    there = {(cell.first.task, cell.first.network): len(cell.records) for cell in board.cells}
    return {cell: there.get(cell, 0) for cell in plan.cells if there.get(cell, 0) < plan.instances}


def missing_line(board: Board, plan: SuitePlan) -> str:
    """Return what is missing of a board and the command that fills it; empty if nothing is."""
    missing = missing_cells(board, plan)
    if not missing:
        return ""
    named = [
        f"{escape(network)} on {escape(task)}" + (f" ({count} of {plan.instances} instances)" if count else "")
        for (task, network), count in missing.items()
    ]
    few = len(named) <= MOST_NAMED
    what = "; ".join(named) if few else f"{len(named)} of {len(plan.cells)} cells"
    return f"Missing: {what}. `{plan.command(list(missing))}` fills them."


def unrecorded_suites(boards: Sequence[Board], plans: Plans, claims: Sequence[Claim]) -> list[str]:
    """Return a line for each suite without any record: the command, and the hours of the claims that need it."""
    shown = {board.suite for board in boards}
    lines = []
    for suite in dict.fromkeys(suite for suite, _ in plans if suite not in shown):
        needing = [claim for claim in claims if any(cells.suite == suite for cells in claim.records)]
        budgets = dict.fromkeys(cells.budget for claim in needing for cells in claim.records if cells.suite == suite)
        commands = " and ".join(f"`{plans[suite, budget].command()}`" for budget in budgets or ["cpu"])
        hours = f": about {sum(claim.hours for claim in needing):g} core-hours" if needing else ""
        lines.append(f"- {suite}, {commands}{hours}" + (f" for {', '.join(c.id for c in needing)}" if needing else ""))
    return lines
