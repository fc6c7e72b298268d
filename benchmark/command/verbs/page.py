"""``rnnbench page``: one HTML file to explore all records in."""

import argparse
from pathlib import Path

from rnnbench.benchmark.command.arguments import add_records_dir, print_problems, records_dir
from rnnbench.benchmark.command.parsing import Parser, named_path
from rnnbench.benchmark.command.verb import Verb
from rnnbench.benchmark.errors import UserError


def _add_arguments(parser: Parser) -> None:
    add_records_dir(parser)
    parser.add_argument("--output", type=named_path, default=Path("leaderboard/page.html"), metavar="FILE.html")


def _run(options: argparse.Namespace) -> int:
    from rnnbench.benchmark.config.plans import shipped_plans
    from rnnbench.leaderboard.page.write import write_page

    output: Path = options.output
    if output.suffix != ".html" or output.is_dir():
        raise UserError(f"--output {output}: must be a file whose name ends in .html")
    if above := next((folder for folder in output.parents if folder.is_file()), None):
        raise UserError(f"--output {output}: {above} is a file; a folder is needed")
    records = records_dir(options)
    report = write_page(records, output, shipped_plans())
    code = print_problems("not placed", report, records)
    print(f"{output.resolve()}: {report.cells} cells from {report.records} records, {report.size / 1e6:.1f} MB")
    return code


VERB = Verb("page", "write one HTML file to explore all records in", _add_arguments, _run, writes_files=True)
