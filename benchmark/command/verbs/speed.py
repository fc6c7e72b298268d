"""``rnnbench speed``: timings."""

import argparse

from rnnbench.benchmark.command.parsing import Parser, named_path, one_of, positive
from rnnbench.benchmark.command.verb import Verb
from rnnbench.benchmark.speed import REPORTS


def _add_arguments(parser: Parser) -> None:
    reports = (*REPORTS, "all")
    parser.add_argument("report", nargs="?", type=one_of("report", reports), default="all", help=" | ".join(reports))
    parser.add_argument("--repeats", type=positive, metavar="N", help="counted runs of each (default: 5; quick: 1)")
    parser.add_argument("--quick", action="store_true", help="small cases, too small to judge by")
    parser.add_argument("--full", action="store_true", help="the whole work, where a report takes a sample of it")
    parser.add_argument("--json", type=named_path, metavar="FILE", help="also write all samples as JSON")
    text = "also write a file of JSON for each report, and a figure of all there"
    parser.add_argument("--output", type=named_path, metavar="DIR", help=text)


def _run(options: argparse.Namespace) -> int:
    from rnnbench.benchmark.speed.command import report_speed

    return report_speed(options.report, options.repeats, options.quick, options.json, options.output, options.full)


VERB = Verb("speed", "time ways to do the same work side by side, once their results agree", _add_arguments, _run)
