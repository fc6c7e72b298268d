"""``rnnbench publish``: from runs to committed records."""

import argparse

from rnnbench.benchmark.command.arguments import RECORDS_DIR, RUNS_DIR, check_records, print_problems
from rnnbench.benchmark.command.parsing import Parser, named_path
from rnnbench.benchmark.command.verb import Verb


def _add_arguments(parser: Parser) -> None:
    parser.add_argument("--runs-dir", type=named_path, default=RUNS_DIR, metavar="DIR")
    parser.add_argument("--records-dir", type=named_path, default=RECORDS_DIR, metavar="DIR")
    parser.add_argument("--replace", action="store_true", help="overwrite published records that differ")
    text = "add records and weights to data set and models REPO of the Hugging Face Hub instead"
    parser.add_argument("--hub", metavar="REPO", help=text)
    parser.add_argument("--weights", action="store_true", help="also the weights of networks of at most 200 kB")


def _run(options: argparse.Namespace) -> int:
    from rnnbench.leaderboard.publishing import LARGEST_PUBLISHED, publish

    check_records("--runs-dir", options.runs_dir)
    if options.hub is not None:
        return _publish_to_hub(options)
    if options.weights:
        from rnnbench.benchmark.run.old_weights import rewrite_old_weights

        rewrite_old_weights(options.runs_dir)
    report = publish(options.runs_dir, options.records_dir, options.replace, options.weights)
    for path in (*report.published, *report.replaced):
        print(f"published {path}")
    code = print_problems("not published", report)
    print(f"{len(report.published)} published, {len(report.replaced)} replaced, {len(report.identical)} already there")
    if options.weights:
        large = f", those of {len(report.large)} are larger than {LARGEST_PUBLISHED // 1000} kB" if report.large else ""
        print(f"weights of {len(report.weights)} networks published{large}")
    return code


def _publish_to_hub(options: argparse.Namespace) -> int:
    from rnnbench.benchmark.command.hub import publish_to_hub

    report = publish_to_hub(options.runs_dir, options.hub, options.replace)
    code = print_problems("not published", report)
    counts = f"{len(report.added)} published, {len(report.replaced)} replaced, {len(report.identical)} already there"
    print(f"{options.hub}: {counts}; weights of {len(report.weights)} networks")
    return code


VERB = Verb("publish", "copy finished records to the committed ones", _add_arguments, _run, writes_files=True)
