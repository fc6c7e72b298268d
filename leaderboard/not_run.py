"""What these records do not hold: suites without any, and experiments of the papers at their published size."""

import csv
from collections.abc import Collection, Sequence
from pathlib import Path

from rnnbench.leaderboard.board import Board
from rnnbench.leaderboard.claims.claim import Claim
from rnnbench.leaderboard.plan import Plans
from rnnbench.leaderboard.tables.markdown import LINE, NOTHING, escape, folded

EXPERIMENTS = Path(__file__).parent / "published" / "experiments.csv"
_HEADING = """## Not run

Figures and tables above are drawn from the budgets named here, or are missing. Hours are core-hours: of the short
budgets those of the claims that need them, of `paper` on a slow core, by `rnnbench run SUITE --budget paper --dry-run`.
"""
_HEADER = "| suite | figure or table | here from | run it by |\n| --- | --- | --- | --- |"


def not_run(shown: Collection[Board], plans: Plans, claims: Sequence[Claim]) -> list[str]:
    """Return the section of the page that lists them; empty if there are none, or if the page is about other suites.

    Args:
        shown: the boards of the page.
        plans: what the suites ask for; of those without any board all are listed.
        claims: the statements that need records.
    """
    there: dict[str, list[str]] = {}
    for board in shown:
        there.setdefault(board.suite, []).append(f"`{board.budget}`")
    with EXPERIMENTS.open(newline="", encoding="utf-8") as file:
        published = {row["suite"]: row for row in csv.DictReader(file)}
    listed = published if there.keys() & published.keys() else {}
    lines = []
    for suite in dict.fromkeys([*listed, *(suite for suite, _ in plans)]):
        commands = [] if suite in there or not any(suite == name for name, _ in plans) else _short(suite, plans, claims)
        paper = f"`rnnbench run {suite} --budget paper`"
        if suite in listed and "`paper`" not in there.get(suite, []) and not any(paper in one for one in commands):
            commands.append(f"{paper} ({published[suite]['hours']} hours)")
        if commands:
            place, here = (
                published.get(suite, {}).get("place", NOTHING),
                ", ".join(there.get(suite, [])) or "no records of the suite as it is",
            )
            lines.append(f"| {escape(suite)} | {place} | {here} | {LINE.join(commands)} |")
    return [_HEADING, *folded(f"{len(lines)} suites", [_HEADER, *lines, ""])] if lines else []


def _short(suite: str, plans: Plans, claims: Sequence[Claim]) -> list[str]:
    """Return the commands that make the first records of a suite, with the hours of the claims that need them."""
    needing = [(cells.budget, claim) for claim in claims for cells in claim.records if cells.suite == suite]
    commands = []
    for budget in dict.fromkeys(budget for budget, _ in needing) or ["cpu"]:
        of_budget = {claim.id: claim.hours for other, claim in needing if other == budget}
        hours = f" (about {sum(of_budget.values()):g} for {', '.join(of_budget)})" if of_budget else ""
        commands.append(f"`{plans[suite, budget].command()}`{hours}")
    return commands
