"""What these records do not hold: suites without any, and experiments of the papers at their published size."""

from collections.abc import Collection, Sequence

from rnnbench.leaderboard.board import Board
from rnnbench.leaderboard.claims.claim import Claim
from rnnbench.leaderboard.experiments import Experiment, experiments
from rnnbench.leaderboard.plan import Plans
from rnnbench.leaderboard.tables.markdown import LINE, NOTHING, escape, folded

_HEADING = """## Not run

Suites without records, and experiments of the papers of which these records hold short budgets only. Hours are those
of one core for the whole command, without measures of dynamics, roughly (`--dry-run` on a shared machine). Claims
behind a command need its records.
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
    known = experiments()
    repeats = [suite for suite, one in known.items() if one.place]
    listed = repeats if there.keys() & set(repeats) else []
    lines = []
    for suite in dict.fromkeys([*listed, *(suite for suite, _ in plans)]):
        one = known.get(suite) or Experiment(suite, "", "", "", "")
        commands = []
        if suite not in there and any(suite == name for name, _ in plans):
            commands = _first(suite, one, plans, claims)
        paper = f"`rnnbench run {suite} --budget paper`"
        if suite in listed and "`paper`" not in there.get(suite, []) and not any(paper in line for line in commands):
            commands.append(f"{paper} ({_remark(one, 'paper')})")
        if commands:
            here = ", ".join(there.get(suite, [])) or "no records of the suite as it is"
            lines.append(f"| {escape(suite)} | {one.place or NOTHING} | {here} | {LINE.join(commands)} |")
    return [_HEADING, *folded(f"{len(lines)} suites", [_HEADER, *lines, ""])] if lines else []


def _first(suite: str, one: Experiment, plans: Plans, claims: Sequence[Claim]) -> list[str]:
    """Return the commands that make the first records of a suite, with their hours and the claims that they decide."""
    needing = [(cells.budget, claim.id) for claim in claims for cells in claim.records if cells.suite == suite]
    commands = []
    for budget in dict.fromkeys(budget for budget, _ in needing) or ["cpu"]:
        ids = dict.fromkeys(id for other, id in needing if other == budget)
        text = _remark(one, budget, *ids)
        commands.append(f"`{plans[suite, budget].command()}`" + (f" ({text})" if text else ""))
    return commands


def _remark(one: Experiment, budget: str, *claims: str) -> str:
    hours = one.hours(budget)
    return "; ".join(filter(None, (f"{hours} hours" if hours else "", ", ".join(claims))))
