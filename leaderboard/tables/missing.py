"""What a board lacks of what its suite asks for, with the command that makes it."""

from rnnbench.leaderboard.board import Board
from rnnbench.leaderboard.plan import MOST_NAMED, SuitePlan
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
