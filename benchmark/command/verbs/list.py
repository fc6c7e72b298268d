"""``rnnbench list``: what there is."""

import argparse

from rnnbench.benchmark.command.parsing import Parser, one_of
from rnnbench.benchmark.command.verb import Verb

_SECTIONS = ("tasks", "recurrences", "measures", "suites")


def _add_arguments(parser: Parser) -> None:
    parser.add_argument("section", nargs="?", type=one_of("section", _SECTIONS), help=" | ".join(_SECTIONS))
    parser.add_argument("--json", action="store_true", help="as JSON")


def _run(options: argparse.Namespace) -> int:
    from rnnbench.benchmark.command.listing import render

    print(render([options.section] if options.section else list(_SECTIONS), options.json))
    return 0


VERB = Verb("list", "list tasks, recurrences with presets, measures of dynamics, and suites", _add_arguments, _run)
