"""``rnnbench compare``: two networks, two folders of records, or all rows of boards, as far as their seeds can tell."""

from __future__ import annotations

import argparse
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rnnbench.benchmark.command.arguments import add_list, add_records_dir, print_problems, records_dir
from rnnbench.benchmark.command.parsing import Parser, one_of
from rnnbench.benchmark.command.verb import Verb
from rnnbench.benchmark.config.options import BUDGETS
from rnnbench.benchmark.errors import UserError, nearest

if TYPE_CHECKING:
    from rnnbench.leaderboard.board import Board
    from rnnbench.leaderboard.plan import Plans
    from rnnbench.leaderboard.statistics import Cell


def _add_arguments(parser: Parser) -> None:
    text = "a network, or a folder of records such as runs (default: rank all rows of each board)"
    parser.add_argument("first", metavar="A", nargs="?", type=_named, help=text)
    text = "another network, or the folder of records that A is compared with (default: the published ones)"
    parser.add_argument("second", metavar="B", nargs="?", type=_named, help=text)
    add_records_dir(parser)
    add_list(parser, "--suite", "NAME", "which suites (default: all)")
    add_list(parser, "--task", "NAME", "which tasks (default: all)")
    add_list(parser, "--budget", "BUDGET", " | ".join(BUDGETS), type=one_of("budget", BUDGETS))
    parser.add_argument("--json", action="store_true", help="as JSON")


def _named(text: str) -> str:
    """Return a name; nothing at all, such as an unset variable of a shell, would mean the current folder."""
    if not text:
        raise argparse.ArgumentTypeError("must name a network or a folder of records, got ''; this folder is '.'")
    return text


def _run(options: argparse.Namespace) -> int:
    given = [name for name in (options.first, options.second) if name is not None]
    folders = [name for name in given if Path(name).is_dir()]
    if not given:
        return _rank(options)
    if len(folders) == len(given):
        if len(given) == 2 and options.records_dir is not None:
            raise UserError(f"compare takes exactly one of B, {given[1]}, and --records-dir, {options.records_dir}")
        return _compare_folders(options, Path(given[0]), Path(given[-1]) if len(given) == 2 else records_dir(options))
    other = next(name for name in given if name not in folders)
    if file := next((name for name in given if Path(name).is_file()), None):
        raise UserError(f"compare {file}: is a file; two networks or two folders of records can be compared")
    if folders:
        raise UserError(f"compare {' '.join(given)}: {other} is no folder; two networks or two folders can be compared")
    if len(given) == 1:
        raise UserError(f"compare {other}: no such folder; if it is a network, a second one is needed")
    return _compare_networks(options, *given)


def _rank(options: argparse.Namespace) -> int:
    from rnnbench.leaderboard.comparison.report import ranks_json, ranks_text

    boards, code = _boards(options)
    print((ranks_json if options.json else ranks_text)(boards), end="")
    return code


def _compare_networks(options: argparse.Namespace, first: str, second: str) -> int:
    from rnnbench.leaderboard.comparison.compare import compare_networks
    from rnnbench.leaderboard.comparison.report import networks_json, networks_text

    if first == second:
        raise UserError(f"compare {first} {second}: the two networks must differ")
    boards, code = _boards(options, (first, second))
    comparison = compare_networks(boards, first, second)
    if not comparison.boards:
        raise UserError(_why(f"{first} and {second}", comparison.skipped, "no suite and budget has records of both"))
    print(networks_json(comparison) if options.json else networks_text(comparison), end="")
    return code


def _compare_folders(options: argparse.Namespace, mine: Path, reference: Path) -> int:
    from rnnbench.leaderboard.comparison.folders import compare_folders
    from rnnbench.leaderboard.comparison.report import folders_json, folders_text

    ours, _, code = _cells(options, mine)
    theirs, _, other_code = _cells(options, reference, beside={cell.first.cell for cell in ours})
    found, skipped = compare_folders(ours, theirs)
    names = [str(mine), str(reference)]
    if not found:
        raise UserError(_why(" and ".join(names), skipped, "no suite, budget, task and network is in both"))
    print((folders_json if options.json else folders_text)(found, names, skipped), end="")
    return max(code, other_code)


def _why(what: str, skipped: Sequence[str], otherwise: str) -> str:
    return f"{what} cannot be compared: {'; '.join(skipped) or otherwise}"


def _boards(options: argparse.Namespace, networks: Sequence[str] = ()) -> tuple[list[Board], int]:
    from rnnbench.leaderboard.board import boards

    cells, plans, code = _cells(options, records_dir(options), networks)
    return boards(cells, plans), code


def _cells(
    options: argparse.Namespace,
    folder: Path,
    networks: Sequence[str] = (),
    beside: Collection[tuple[str, ...]] | None = None,
) -> tuple[list[Cell], Plans, int]:
    """Return the cells of a folder that were asked for, as boards choose them, and the exit code of what is damaged.

    The plans of their suites stand between.

    Of a reference only those ``beside`` the cells that are compared with it count.
    """
    from rnnbench.benchmark.config.plans import shipped_plans
    from rnnbench.leaderboard.statistics import select_cells
    from rnnbench.leaderboard.store import Report, find_records

    records, problems = find_records(folder)
    own = "" if options.records_dir else "; records of your own: --records-dir runs"
    code = print_problems("not compared", Report(problems=problems))
    if not records:
        raise UserError(f"{folder} holds no records to compare{own}")

    def choose(what: str, field: str, wanted: Iterable[str]) -> None:
        known = sorted({getattr(record, field) for record in records})
        for value in wanted:
            if value not in known:
                raise UserError(f"{what} {value}: no record in {folder} is of it: {nearest(value, known)}{own}")
        records[:] = [record for record in records if not wanted or getattr(record, field) in wanted]

    for field in ("suite", "budget", "task"):
        choose(f"--{field}", field, getattr(options, field))
    choose("compare", "network", networks)
    records = [record for record in records if beside is None or record.cell in beside]
    plans = shipped_plans({record.cell[:2] for record in records})
    cells, unplaced = select_cells(records, plans)
    return cells, plans, max(code, print_problems("not compared", Report(problems=unplaced)))


VERB = Verb("compare", "compare networks, or folders of records, as far as seeds can tell", _add_arguments, _run)
