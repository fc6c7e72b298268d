"""``rnnbench leaderboard``: the page of all boards."""

import argparse
from pathlib import Path

from rnnbench.benchmark.command.arguments import add_records_dir, are_published, print_problems, records_dir
from rnnbench.benchmark.command.parsing import Parser, named_path
from rnnbench.benchmark.command.verb import Verb
from rnnbench.benchmark.errors import UserError


def _add_arguments(parser: Parser) -> None:
    add_records_dir(parser)
    parser.add_argument("--output", type=named_path, default=Path("leaderboard/LEADERBOARD.md"), metavar="PATH")
    text = "also open claims and what was not run, in a folder other than the published one's"
    parser.add_argument("--all", action="store_true", help=text)


def _run(options: argparse.Namespace) -> int:
    from rnnbench.benchmark.config.plans import shipped_plans
    from rnnbench.leaderboard.board_page import PAGE, write_leaderboard

    folder: Path = options.output
    if folder.suffix == ".md":
        if folder.name != PAGE:
            raise UserError(f"--output {folder}: must be a folder, or a path that ends in {PAGE}")
        folder = folder.parent
    if folder.exists() and not folder.is_dir():
        raise UserError(f"--output {options.output}: must be a folder, or a path that ends in {PAGE}, got a file")
    records = records_dir(options)
    everything = are_published(records) or options.all
    report = write_leaderboard(records, folder, shipped_plans(), everything=everything)
    code = print_problems("not placed", report, records)
    print(f"{report.page.resolve()}: {report.tables} tables and {report.figures} figures from {report.records} records")
    return code


VERB = Verb("leaderboard", "write the leaderboard from records", _add_arguments, _run, writes_files=True)
