"""What a suite asks for under one budget: the side of a board that records cannot tell."""

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rnnbench.leaderboard.schema import Budget

#: Cells that a command or a note names at most, one by one.
MOST_NAMED = 8


@dataclass(frozen=True)
class PlannedCell:
    """One network on one task.

    Attributes:
        ids: the experiment ids of its points; a record of another id is of another version of the suite.
        reason: why it is trained otherwise than the others, as the suite gives it; empty if it gives none.
    """

    ids: frozenset[str]
    reason: str = ""


@dataclass(frozen=True)
class SuitePlan:
    """A suite, as it is now, under one budget: its instances and its cells by (task, network), its title and source."""

    suite: str
    budget: Budget
    instances: int
    cells: Mapping[tuple[str, str], PlannedCell]
    title: str = ""
    source: str = ""

    def command(self, cells: Sequence[tuple[str, str]] = ()) -> str:
        """Return the command that makes what is missing: of all cells, or of a few."""
        return run_command(self.suite, self.budget, cells)


def run_command(suite: str, budget: Budget, cells: Sequence[tuple[str, str]] = ()) -> str:
    """Return the command that trains (task, network) cells of a suite; all of them without any, or with too many.

    >>> run_command("quick", "paper", [("Digits", "DT(S)-RNN")])
    "rnnbench run quick --budget paper --only 'Digits/DT(S)-RNN'"
    """
    only = [f"{task}/{network}" for task, network in cells] if len(cells) <= MOST_NAMED else []
    budgets = [] if budget == "cpu" else ["--budget", budget]
    return shlex.join(["rnnbench", "run", suite, *budgets, *(["--only", *only] if only else [])])


Plans = Mapping[tuple[str, str], SuitePlan]
