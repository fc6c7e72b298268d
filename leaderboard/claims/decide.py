"""Deciding claims from a folder of records."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rnnbench.leaderboard.claims.claim import Claim
from rnnbench.leaderboard.claims.evidence import Evidence, Gap
from rnnbench.leaderboard.claims.verdict import Outcome, Verdict, combined
from rnnbench.leaderboard.dynamics import SideFiles
from rnnbench.leaderboard.index.entries import indexed_records
from rnnbench.leaderboard.plan import Plans, run_command
from rnnbench.leaderboard.schema import Budget
from rnnbench.leaderboard.senders import measured_here, read_senders
from rnnbench.leaderboard.statistics import select_cells
from rnnbench.leaderboard.store import Problem, folder_of


@dataclass(frozen=True)
class Decision:
    """What the records say of a claim.

    Attributes:
        claim: the claim.
        verdict: ``holds``, ``fails``, ``undecided`` or ``open``.
        outcomes: the comparisons; none of an open claim.
        missing: the cells without records enough, of an open claim.
        reason: why records that are there decide nothing; empty if they do.
    """

    claim: Claim
    verdict: Verdict
    outcomes: tuple[Outcome, ...]
    missing: tuple[Gap, ...]
    reason: str = ""

    @property
    def commands(self) -> list[str]:
        """The commands that would make the missing records."""
        cells: dict[tuple[str, Budget, int | None], list[tuple[str, str]]] = {}
        for gap in self.missing:
            asked = gap.wanted.instances
            more = asked if gap.planned is not None and asked > gap.planned else None
            cells.setdefault((gap.wanted.suite, gap.wanted.budget, more), []).append((gap.task, gap.network))
        return [run_command(suite, budget, of_suite, more) for (suite, budget, more), of_suite in cells.items()]


def decide(claim: Claim, evidence: Evidence) -> Decision:
    """Decide one claim."""
    samples, gaps = evidence.find(claim.wanted)
    if gaps:
        return Decision(claim, "open", (), tuple(gaps))
    try:
        outcomes = tuple(claim.rule.decide(samples))
    except LookupError as error:
        return Decision(claim, "open", (), (), f"records lack what the rule reads: {error.args[0]}")
    return Decision(claim, combined(outcomes), outcomes, ())


def decide_all(claims: Sequence[Claim], root: Path, plans: Plans | None = None) -> tuple[list[Decision], list[Problem]]:
    """Decide claims from the records of a folder, those of suites with a plan only as these suites are now.

    What others sent in counts once it was reproduced here.

    Returns:
        The decisions; and what is no record, or does not lie where it belongs, where records that claims ask for lie:
        no other folder is read.
    """
    asked = {cell for claim in claims for wanted in claim.wanted for cell in wanted.cells}
    records, problems = indexed_records(root, folders={folder_of(cell) for cell in asked})
    cells, _ = select_cells(measured_here(records, read_senders(root)), plans)
    evidence = Evidence(cells, SideFiles(root), plans)
    return [decide(claim, evidence) for claim in claims], problems
