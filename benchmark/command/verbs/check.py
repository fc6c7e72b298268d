"""``rnnbench check``: what is wrong with suites, records and classes."""

import argparse

from rnnbench.benchmark.command.parsing import Parser, mapping
from rnnbench.benchmark.command.verb import Verb


def _add_arguments(parser: Parser) -> None:
    text = "SUITE, file.yaml, record.json, a folder of records, or module.Class"
    parser.add_argument("things", nargs="+", metavar="THING", help=text)
    text = "constructor arguments, '{hidden_size: 8}'"
    parser.add_argument("--init-args", type=mapping, default={}, metavar="YAML", help=text)


def _run(options: argparse.Namespace) -> int:
    from rnnbench.benchmark.command.checking import check_all

    return check_all(options.things, options.init_args)


_HELP = "validate suites, records, and recurrences or tasks by the contracts that all keep"
VERB = Verb("check", _HELP, _add_arguments, _run)
