"""``rnnbench status``: how far suites are."""

import argparse

from rnnbench.benchmark.command.arguments import add_suites, suites_and_options
from rnnbench.benchmark.command.parsing import Parser
from rnnbench.benchmark.command.verb import Verb


def _add_arguments(parser: Parser) -> None:
    add_suites(parser)


def _run(options: argparse.Namespace) -> int:
    from rnnbench.benchmark.launchers.suite_run import suite_status

    suites, chosen = suites_and_options(options, options.suite)
    return max(suite_status(suite, chosen) for suite in suites)


VERB = Verb("status", "show what of suites is finished", _add_arguments, _run)
