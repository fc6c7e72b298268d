"""``rnnbench evaluate``: the scores of trained networks, computed again."""

import argparse
import json

from rnnbench.benchmark.command.arguments import add_data_dir
from rnnbench.benchmark.command.parsing import Parser, named_path, one_of, positive
from rnnbench.benchmark.command.streams import print_error
from rnnbench.benchmark.command.verb import Verb
from rnnbench.benchmark.errors import UserError

_SPLITS = ("val", "test")


def _add_arguments(parser: Parser) -> None:
    text = "record (.json), or the weights beside one (.safetensors)"
    parser.add_argument("records", nargs="+", type=named_path, metavar="RECORD", help=text)
    parser.add_argument("--split", type=one_of("split", _SPLITS), help=f"{' | '.join(_SPLITS)} (default: both)")
    text = "steps of a sequence, for tasks with this setting (default: those of training)"
    parser.add_argument("--length", type=positive, metavar="T", help=text)
    add_data_dir(parser)
    parser.add_argument("--json", action="store_true", help="as JSON")


def _run(options: argparse.Namespace) -> int:
    from rnnbench.benchmark.launchers.worker import set_up_torch
    from rnnbench.benchmark.run.rescore import rescore
    from rnnbench.benchmark.run.trained import find_trained

    set_up_torch()  # as in training, to the last bit
    splits = [options.split] if options.split else _SPLITS
    found, code = [], 0
    for path in options.records:
        try:
            trained = find_trained(path)
            display = {metric.name: metric.display for metric in trained.needed_record.metrics}
            rescored = rescore(trained, options.length, options.data_dir)
        except UserError as error:
            print_error(str(error))
            code = 2
            continue
        scores = {split: rescored.scores[split] for split in splits}
        found.append(
            {
                "record": str(path),
                "length": options.length,
                "scores": scores,
                "recorded": rescored.recorded,
                "edited": trained.edit or None,
            }
        )
        if not options.json:
            for split, by_metric in scores.items():
                shown = ", ".join(
                    display[name].sentence(value) if name in display and value is not None else f"{name} {value}"
                    for name, value in by_metric.items()
                )
                print(f"{path}: {split}: {shown}")
            remarks = [] if options.length else [rescored.remark]
            if trained.edit not in "".join(remarks):
                remarks.append(trained.edit)
            for remark in remarks:
                print(f"{path}: {remark}")
    if options.json:
        print(json.dumps(found, indent=1))
    return code


VERB = Verb("evaluate", "score trained networks again, also on sequences of another length", _add_arguments, _run)
