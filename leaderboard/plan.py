"""What a suite asks for under one budget: the side of a board that records cannot tell."""

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from rnnbench.leaderboard.schema import Budget, Record

#: Cells that a command or a note names at most, one by one.
MOST_NAMED = 8


@dataclass(frozen=True)
class PlannedCell:
    """One network on one task.

    Attributes:
        ids: the experiment ids of its points.
        reason: why it is trained otherwise than the others, as the suite gives it; empty if it gives none.
        grid: the swept settings with their values, lists as JSON has them.
        pilot: share and instances of the pilots that choose the point; None where all points are trained in full.
    """

    ids: frozenset[str]
    reason: str = ""
    grid: Mapping[str, Any] = field(default_factory=dict)
    pilot: tuple[float, int] | None = None

    def holds(self, record: Record) -> bool:
        """Return whether the suite, as it is now, would give a record: its settings, and the choice of its point.

        A point that was trained in full without being a pilot's choice was tried in no pilot, and one that was chosen
        from fewer points may not be the best of today's.
        """
        return record.experiment_id in self.ids and (record.grid, pilot_of(record)) == (self.grid, self.pilot)


def pilot_of(record: Record) -> tuple[float, int] | None:
    """Return share and instances of the pilots that chose a record's point; None if it was trained without."""
    return (record.pilot.share, record.pilot.instances) if record.pilot else None


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


def run_command(suite: str, budget: Budget, cells: Sequence[tuple[str, str]] = (), instances: int | None = None) -> str:
    """Return the command that trains (task, network) cells of a suite; all of them without any, or with too many.

    With ``instances``, it trains as many of each cell, whatever the suite says.

    >>> run_command("quick", "paper", [("Digits", "DT(S)-RNN")], 10)
    "rnnbench run quick --budget paper --only 'Digits/DT(S)-RNN' --instances 0-9"
    """
    only = [f"{task}/{network}" for task, network in cells] if len(cells) <= MOST_NAMED else []
    budgets = [] if budget == "cpu" else ["--budget", budget]
    more = ["--instances", f"0-{instances - 1}"] if instances else []
    return shlex.join(["rnnbench", "run", suite, *budgets, *(["--only", *only] if only else []), *more])


Plans = Mapping[tuple[str, str], SuitePlan]
