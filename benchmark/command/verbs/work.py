"""``rnnbench work``: the part of a suite that a task of a cluster does."""

import argparse

from rnnbench.benchmark.command.parsing import Parser, named_path
from rnnbench.benchmark.command.verb import Verb


def _add_arguments(parser: Parser) -> None:
    parser.add_argument("bundle", type=named_path, metavar="FILE", help="a bundle that submit wrote")


def _run(options: argparse.Namespace) -> int:
    from rnnbench.benchmark.launchers.slurm.task import do_bundle

    return do_bundle(options.bundle)


VERB = Verb("work", "train a bundle of runs, as a task that submit sent", _add_arguments, _run, writes_files=True)
