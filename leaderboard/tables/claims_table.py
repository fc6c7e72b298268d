"""Verdicts on the papers' statements: a summary on top of the page, and a line under each board that they look at."""

from collections.abc import Sequence

from rnnbench.leaderboard.board import Board
from rnnbench.leaderboard.claims.decide import Decision
from rnnbench.leaderboard.claims.report import summary, telling
from rnnbench.leaderboard.tables.markdown import LINE, Table, board_heading, escape, link

CLAIMS = "Claims of the papers"


def claims_table(decisions: Sequence[Decision], boards: Sequence[Board]) -> Table:
    """Return all claims, with what decides each or makes its records, and links to their boards."""
    shown = {(board.suite, board.budget) for board in boards}
    rows = []
    for decision in decisions:
        places = dict.fromkeys((cells.suite, cells.budget) for cells in decision.claim.records)
        links = [
            link(suite, board_heading(suite, budget)) if (suite, budget) in shown else suite for suite, budget in places
        ]
        verdict = decision.verdict if decision.verdict == "open" else f"**{decision.verdict}**"
        verdict += f"{LINE}see its note" if decision.claim.note else ""
        rows.append(
            [
                decision.claim.id,
                escape(decision.claim.statement),
                verdict,
                telling(decision, "`{}`".format) if decision.missing else escape(telling(decision)),
                ", ".join(links),
            ]
        )
    return Table(
        CLAIMS,
        f"Decided from these records by `rnnbench claims`: {summary(decisions)}. In brackets: the 95 % interval, that "
        "of Student's t over paired instances where a note says no other. `n`: instances of a row, counted at each "
        "moment where two are looked at. `undecided`: the interval covers the threshold, or the records do not reach "
        "far enough to tell. `open`: records are missing.",
        ["claim", "statement", "verdict", "by", "board"],
        rows,
        text_columns=5,
    )


def claims_notes(decisions: Sequence[Decision]) -> list[str]:
    """Return how rules or records differ from what the papers did, a line a claim."""
    return [f"- {decision.claim.id}: {escape(decision.claim.note)}" for decision in decisions if decision.claim.note]


def claims_of(board: Board, decisions: Sequence[Decision]) -> str:
    """Return a line on the claims that look at a board; empty if none does."""
    verdicts = [
        f"{decision.claim.id} {decision.verdict}"
        for decision in decisions
        if any((cells.suite, cells.budget) == (board.suite, board.budget) for cells in decision.claim.records)
    ]
    return f"Claims decided from this board: {', '.join(verdicts)}." if verdicts else ""
