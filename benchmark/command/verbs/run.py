"""``rnnbench run``: training what is missing of suites."""

import argparse

from rnnbench.benchmark.command.arguments import add_suites, add_training, check_loggers, suites_and_options
from rnnbench.benchmark.command.parsing import Parser, duration
from rnnbench.benchmark.command.verb import Verb
from rnnbench.benchmark.errors import UserError
from rnnbench.benchmark.interruption import GOES_ON


def _add_arguments(parser: Parser) -> None:
    add_suites(parser)
    text = "end in order after 90s, 30m, 2h or 1h30m; exit code 3 if something is left"
    parser.add_argument("--time-limit", type=duration, metavar="TIME", help=text)
    add_training(parser)
    parser.add_argument("--quiet", action="store_true", help="print errors alone: no bar, no table of scores")
    parser.add_argument("--dry-run", action="store_true", help="print the plan and train nothing")


def _run(options: argparse.Namespace) -> int:
    from rnnbench.benchmark.launchers.suite_run import run_suites

    check_loggers(options)
    if options.scan in ("native", "triton"):
        _check_scan(options.scan)
    try:
        return run_suites(*suites_and_options(options, options.suite))
    except KeyboardInterrupt:
        raise KeyboardInterrupt(GOES_ON) from None


def _check_scan(scan: str) -> None:
    """Refuse a backend that depends on the machine where it cannot run."""
    import torch

    from rnnbench.lit_models.scan.native.availability import why_no_native
    from rnnbench.lit_models.scan.triton.availability import why_no_triton

    reason = why_no_native() if scan == "native" else why_no_triton(torch.cuda.is_available())
    if reason is not None:
        raise UserError(f"--scan {scan}: {reason}; --scan auto takes what suits the device")


VERB = Verb("run", "train what is missing of suites; running again goes on", _add_arguments, _run, writes_files=True)
