"""``rnnbench status``: how far suites are."""

import argparse

from rnnbench.benchmark.command.arguments import RUNS_DIR, add_suites, check_folder, suites_and_options
from rnnbench.benchmark.command.parsing import Parser
from rnnbench.benchmark.command.verb import Verb
from rnnbench.benchmark.errors import UserError


def _add_arguments(parser: Parser) -> None:
    add_suites(parser, nargs="*", budget=None)
    parser.add_argument("--all", action="store_true", help="all shipped suites, in a line each")


def _run(options: argparse.Namespace) -> int:
    from rnnbench.benchmark.launchers.status import all_status, suites_status

    if options.all == bool(options.suite):
        raise UserError("status needs exactly one of SUITE and --all")
    budget, options.budget = options.budget, options.budget or "cpu"
    if options.runs_dir != RUNS_DIR:
        check_folder("--runs-dir", options.runs_dir)
    suites, chosen = suites_and_options(options, options.suite)
    return all_status(chosen, budget) if options.all else suites_status(suites, chosen)


VERB = Verb(
    "status", "show what of suites is finished, scores so far, and the hours that are left", _add_arguments, _run
)
