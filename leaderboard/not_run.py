"""What the papers ran and these records do not hold: experiments at their published size, with their hours."""

import csv
from collections.abc import Collection
from pathlib import Path

from rnnbench.leaderboard.board import Board

EXPERIMENTS = Path(__file__).parent / "published" / "experiments.csv"
_HEADING = """## Not run

At their published sizes and lengths these experiments were not run. Figures and tables above are drawn from the budgets
named here, or are missing. Hours are core-hours on a slow core, by `rnnbench run SUITE --budget paper --dry-run`.

| figure or table | suite | here from | hours of `paper` | run it by |
| --- | --- | --- | --- | --- |
"""


def not_run(shown: Collection[Board]) -> list[str]:
    """Return the section of the page that lists them; empty if all were run, or if the page is about other suites.

    Args:
        shown: the boards of the page.
    """
    budgets: dict[str, list[str]] = {}
    for board in shown:
        budgets.setdefault(board.suite, []).append(board.budget)
    with EXPERIMENTS.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    if not budgets.keys() & {row["suite"] for row in rows}:
        return []
    lines = []
    for row in rows:
        there = budgets.get(row["suite"], [])
        if "paper" not in there:
            here = ", ".join(f"`{budget}`" for budget in there) or "no records"
            command = f"`rnnbench run {row['suite']} --budget paper`"
            lines.append(f"| {row['place']} | `{row['suite']}` | {here} | {row['hours']} | {command} |\n")
    return [_HEADING + "".join(lines)] if lines else []
