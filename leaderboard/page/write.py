"""Writing the page from a folder of records."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rnnbench.leaderboard.claims.claim import load_claims
from rnnbench.leaderboard.claims.decide import decide
from rnnbench.leaderboard.claims.evidence import Evidence
from rnnbench.leaderboard.dynamics import SideFiles
from rnnbench.leaderboard.files import write_atomically
from rnnbench.leaderboard.index.entries import indexed_records
from rnnbench.leaderboard.page.gather import page_data
from rnnbench.leaderboard.page.html import render
from rnnbench.leaderboard.page.numbers import short_text
from rnnbench.leaderboard.plan import Plans
from rnnbench.leaderboard.schema import Record
from rnnbench.leaderboard.senders import Senders, measured_here, read_senders
from rnnbench.leaderboard.statistics import select_cells
from rnnbench.leaderboard.store import Problem, Report


@dataclass(kw_only=True)
class PageReport(Report):
    """The page that ``write_page`` wrote, the records and cells on it, and its size in bytes."""

    page: Path
    records: int
    cells: int
    size: int


def write_page(records_root: Path, output: Path, plans: Plans | None = None) -> PageReport:
    """Write the page as one file of HTML that needs no other, no server and no network.

    Args:
        records_root: the folder of records.
        output: the file to write.
        plans: what suites ask for, as for the leaderboard: records of other versions of them are not shown.

    Raises:
        FileError: the list of those who sent records in is damaged.
        OSError: the disk is full or the folder unwritable; the file is either the old one or the new one.
    """
    records, unreadable = indexed_records(records_root)
    data, problems = gather(records, unreadable, SideFiles(records_root), read_senders(records_root), plans or {})
    page = render(data)
    write_atomically(output, page)
    return PageReport(page=output, records=len(records), cells=len(data["cells"]), size=len(page), problems=problems)


def gather(
    records: Sequence[Record],
    unreadable: Sequence[Problem],
    side_files: SideFiles,
    senders: Senders,
    plans: Plans,
) -> tuple[dict[str, Any], list[Problem]]:
    """Return what the page draws from, with the verdicts on all claims, and what found no place on it."""
    cells, unplaced = select_cells(records, plans)
    # No claim is decided by what was not seen here.
    evidence = Evidence(select_cells(measured_here(records, senders), plans)[0], side_files, plans)
    decisions = [decide(claim, evidence) for claim in load_claims()]
    data = page_data(cells, decisions, side_files, senders, plans, len(records))
    # After the data: only then is it known which arrays could not be read.
    problems = [*unreadable, *side_files.problems, *unplaced]
    problems.sort(key=lambda problem: (problem.path.parts, problem.reason))
    shown = [[short_text(one.path.as_posix()), short_text(one.reason)] for one in problems]
    return {**data, "problems": shown}, problems
