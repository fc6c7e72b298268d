"""``rnnbench figures``: the dynamics that records hold."""

import argparse
import sys
from pathlib import Path

from rnnbench.benchmark.command.arguments import add_list, add_records_dir, check_folder, print_problems, records_dir
from rnnbench.benchmark.command.parsing import Parser, named_path
from rnnbench.benchmark.command.verb import Verb
from rnnbench.benchmark.errors import UserError, nearest


def _add_arguments(parser: Parser) -> None:
    add_records_dir(parser)
    parser.add_argument("--output", type=named_path, default=Path("leaderboard/figures/dynamics"), metavar="DIR")
    add_list(parser, "--suite", "NAME", "which suites (default: all)")


def _run(options: argparse.Namespace) -> int:
    from rnnbench.benchmark.config.plans import shipped_plans
    from rnnbench.leaderboard.drawing.dynamics_figures import write_figures
    from rnnbench.leaderboard.store import Report, find_records
    from rnnbench.leaderboard.text import printable

    folder = records_dir(options)
    if options.output.exists():
        check_folder("--output", options.output)
    records, problems = find_records(folder)
    known = {record.suite for record in records}
    for suite in options.suite:
        if suite not in known:
            print_problems("not drawn", Report(problems=problems))
            raise UserError(f"--suite {suite}: no record in {folder} is of it: {nearest(suite, known)}")
    drawn = {record.cell[:2] for record in records if not options.suite or record.suite in options.suite}
    report = write_figures(folder, options.output, options.suite, shipped_plans(drawn))
    for path in report.written:
        print(path)
    for line in report.failed:
        print(f"failed: {printable(line)}", file=sys.stderr)
    code = print_problems("not drawn", report)
    if not report.measured:
        remedy = "run a suite that names some under 'measures:', such as dynamics"
        print(f"no record in {folder} holds measures of dynamics: {remedy}")
    return code


VERB = Verb("figures", "draw the dynamics that records hold", _add_arguments, _run, writes_files=True)
