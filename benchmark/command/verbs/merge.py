"""``rnnbench merge``: records that others sent in."""

import argparse

from rnnbench.benchmark.command.arguments import RECORDS_DIR, check_folder, check_records, print_problems
from rnnbench.benchmark.command.parsing import Parser, named_path
from rnnbench.benchmark.command.verb import Verb
from rnnbench.benchmark.errors import UserError, shown

_LONGEST_SENDER = 100


def _add_arguments(parser: Parser) -> None:
    parser.add_argument("folder", type=named_path, metavar="FOLDER", help="what was sent, laid out as a folder of runs")
    parser.add_argument("--sender", required=True, metavar="NAME", help="who sent it, as the boards name it")
    parser.add_argument("--records-dir", type=named_path, default=RECORDS_DIR, metavar="DIR")
    text = "runs of your own of the same experiments: those that agree are listed as reproduced"
    parser.add_argument("--reproduced", type=named_path, metavar="DIR", help=text)


def _run(options: argparse.Namespace) -> int:
    from rnnbench.benchmark.config.plausibility import not_to_merge
    from rnnbench.leaderboard.merging import merge

    check_records("merge", options.folder)
    if options.reproduced:
        check_folder("--reproduced", options.reproduced)
    sender = options.sender.strip()
    if not sender or not sender.isprintable() or len(sender) > _LONGEST_SENDER:
        what = f"must be a printable name of 1 to {_LONGEST_SENDER} characters"
        raise UserError(f"--sender {what}, got {shown(options.sender)}")

    report = merge(options.folder, options.records_dir, sender, not_to_merge, options.reproduced)
    for path in report.merged:
        print(f"merged {path}")
    for path in report.reproduced:
        print(f"reproduced here {path}")
    code = print_problems("not merged", report)
    counts = f"{len(report.merged)} merged, {len(report.identical)} already there"
    print(counts + (f", {len(report.reproduced)} reproduced here" if options.reproduced else ""))
    return code


VERB = Verb(
    "merge", "check records of others and add them to the committed ones", _add_arguments, _run, writes_files=True
)
