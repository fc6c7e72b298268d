"""The leaderboard's page: made from records only, the same bytes for the same records."""

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rnnbench.leaderboard.board import Board, boards
from rnnbench.leaderboard.board_section import board_section
from rnnbench.leaderboard.claims.claim import load_claims
from rnnbench.leaderboard.claims.decide import decide
from rnnbench.leaderboard.claims.evidence import Evidence
from rnnbench.leaderboard.drawing.dynamics_figures import dynamics_figures
from rnnbench.leaderboard.drawing.figure_style import CREATOR, new_name
from rnnbench.leaderboard.drawing.kept import DYNAMICS, FIGURES, BoardFigures, KeptFigures
from rnnbench.leaderboard.drawing.learning_curves import learning_curves
from rnnbench.leaderboard.drawing.length_figures import length_figures
from rnnbench.leaderboard.drawing.sweep_figures import sweep_figures
from rnnbench.leaderboard.dynamics import SideFiles, trained
from rnnbench.leaderboard.files import FileError, read_file, write_atomically
from rnnbench.leaderboard.index.entries import entries
from rnnbench.leaderboard.not_run import not_run
from rnnbench.leaderboard.plan import Plans
from rnnbench.leaderboard.senders import measured_here, read_senders
from rnnbench.leaderboard.statistics import select_cells
from rnnbench.leaderboard.store import Problem, Report
from rnnbench.leaderboard.tables.claims_table import CLAIMS, claims_notes, claims_of, claims_table
from rnnbench.leaderboard.tables.markdown import board_heading, escape, folded, link, render_table
from rnnbench.leaderboard.tables.missing import missing_line
from rnnbench.leaderboard.tables.origin import origin_lines
from rnnbench.leaderboard.text import printable

PAGE = "LEADERBOARD.md"
_HEADING = """# Leaderboard

Made from records by `rnnbench leaderboard`; not written by hand.
"""
_HOW_TO_READ = """\
- A score is the test value at the best validation value of the ranked metric, or that of the last evaluation where the
  caption says so; ↓ smaller is better, ↑ larger is better.
- `mean ± sd (n)`: mean and sample standard deviation over the n instances that did not diverge. Diverged runs are
  marked: with `diverged n/m`, n of m instances diverged, and the row is never the best. `–`: no record; where the suite
  asks for one, a line under the heading says so.
- Chance: the score of the best constant answer; for classes of real data, on the split. For regression it follows from
  the distribution of the targets, as does the variance in `MSE / variance`; that of the test split differs from it, by
  a quarter for products of high degree.
- Bold: the best mean that beats chance, and the next best ones down to the first that the 95 % t interval of the
  difference over paired instances tells from it (uncorrected for the number of rows; `rnnbench compare` corrects). Few
  instances tell little apart; a row of one counts by its mean.
- `best`: the best instance, which is what many papers print. `median`: where it lies more than 0.4 deviations from the
  mean, so that the spread is not symmetric.
- Where a setting was swept, its point was chosen on the validation split; points with diverged instances come last. The
  notes say where short pilots chose it: then only that point was trained in full.
- `published`: as printed in the source, under its protocol, with its epochs or iterations where it states them; ours
  stand in the heading of the column before. Only numbers that were checked. The budgets `smoke` and `cpu` train far
  shorter than the papers did: a gap to a published value is not a failed reproduction.
- Penn Treebank, the papers' character task, is absent, because its text is not free. Shakespeare and WikiText-2 are
  columns of their own, and no published number of another text stands in them.
"""
_LARGEST_FIGURE = 64 * 2**20


@dataclass
class LeaderboardReport(Report):
    """The page that ``write_leaderboard`` wrote, and how many records it read, and tables and figures it made."""

    page: Path
    records: int
    tables: int
    figures: int


def write_leaderboard(
    records_root: Path, output: Path, plans: Plans | None = None, everything: bool = True
) -> LeaderboardReport:
    """Write ``LEADERBOARD.md`` and the figures in ``figures/`` and ``figures/dynamics/``; remove outdated ones of ours.

    Where the plan of a suite is known, its boards are made of the records of that version alone, and what is missing
    is listed. Unless ``everything``, open claims and what was not run at all are left out, as in a folder of runs.

    Raises:
        FileError: the list of those who sent records in is damaged.
        OSError: the disk is full or the folder unwritable; each file is either the old one or the new one.
    """
    found, unreadable = entries(records_root)
    records = [entry.record() for entry in found]
    plans = plans or {}
    senders = read_senders(records_root)
    cells, unplaced = select_cells(records, plans)
    side_files = SideFiles(records_root)
    fingerprints = {id(record): entry.fingerprint() for record, entry in zip(records, found, strict=True)}
    kept = KeptFigures(output, side_files, records_root, fingerprints)
    # No claim is decided by what was not seen here.
    seen, _ = select_cells(measured_here(records, senders), plans)
    claims, evidence = load_claims(), Evidence(seen, side_files, plans)
    decisions = [decide(claim, evidence) for claim in claims]
    laid_out = boards(cells, plans)
    sections: list[str] = []
    # By path below the output.
    figures: dict[str, bytes] = {}
    taken: set[str] = set()
    count = 0
    for board in laid_out:
        learned = trained(board)
        drawn = kept.of(board, taken, functools.partial(_figures, board, learned, side_files, taken))
        figures |= drawn.images
        said = [claims_of(board, decisions)]
        if plan := plans.get((board.suite, board.budget)):
            said.append(missing_line(board, plan))
        said += origin_lines(board, senders)
        text, made = board_section(
            board, learned, list(drawn.curves), drawn.sweeps, drawn.dynamics, [line for line in said if line]
        )
        sections.append(text)
        count += made
    problems = [*unreadable, *side_files.problems, *unplaced]
    problems.sort(key=lambda problem: (problem.path.parts, problem.reason))
    tail = [*(not_run(laid_out, plans, claims) if everything else ()), *_not_placed(problems)]
    summed = [each for each in decisions if everything or each.verdict != "open"]
    if sections and summed:
        notes = folded("Notes: how rules and records differ from the papers'", claims_notes(summed))
        table = render_table(claims_table(summed, laid_out)).replace("### ", "## ", 1)
        sections.insert(0, "\n".join([table, *notes]))
    page = "\n".join(
        [
            _HEADING,
            *_contents(laid_out, bool(summed), [line.partition("\n")[0] for line in tail if line.startswith("## ")]),
            *folded("How to read the tables", [_HOW_TO_READ]),
            *(sections or ["There are no records yet.\n"]),
            *tail,
        ]
    )

    # Figures first, outdated ones last, so that the page never links to one that is missing.
    kept.write(figures)
    write_atomically(output / PAGE, page.encode())
    shown = {name.casefold() for name in figures}
    for folder in (FIGURES, DYNAMICS):
        for path in (output / folder).glob("*.svg"):
            if f"{folder}/{path.name.casefold()}" not in shown and _is_ours(path):
                path.unlink()
    return LeaderboardReport(output / PAGE, len(records), count, len(figures), problems=problems)


def _figures(board: Board, learned: Board | None, side_files: SideFiles, taken: set[str]) -> BoardFigures:
    # Of the whole board, whose rows give the colours.
    curves = {
        f"{FIGURES}/{new_name(taken, board.suite, board.budget, column.task)}": learning_curves(board, column)
        for column in (learned.columns if learned else ())
    }
    sweeps = [*sweep_figures(learned, taken), *length_figures(learned, taken)] if learned else []
    return BoardFigures(curves, sweeps, dynamics_figures(board, side_files, taken))


def _contents(shown: Sequence[Board], claims: bool, last: Sequence[str]) -> list[str]:
    """Return the table of contents: claims if there are any, boards, and the last headings."""
    links = [f"{link(board.suite, board_heading(board.suite, board.budget))} `{board.budget}`" for board in shown]
    parts = [*[f"- {link(CLAIMS, CLAIMS)}"] * claims, f"- Boards: {', '.join(links)}"] if links else []
    return [*parts, *(f"- {link(name, name)}" for name in (line.removeprefix("## ") for line in last)), ""]


def _not_placed(problems: Sequence[Problem]) -> list[str]:
    if not problems:
        return []
    paths = [printable(problem.path.as_posix()).replace("`", "'") for problem in problems]
    lines = [f"- `{path}`: {escape(problem.reason)}" for path, problem in zip(paths, problems, strict=True)]
    return ["## Not placed", "", *folded(f"{len(lines)} records, or groups of them, with the reason", lines)]


def _is_ours(path: Path) -> bool:
    try:
        return CREATOR.encode() in read_file(path, _LARGEST_FIGURE)
    except (FileError, FileNotFoundError):
        return False
