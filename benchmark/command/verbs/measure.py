"""``rnnbench measure``: measures of dynamics of trained networks, taken afterwards."""

import argparse

from rnnbench.benchmark.command.arguments import add_data_dir, add_list
from rnnbench.benchmark.command.parsing import Parser, named_path, one_of, yaml_value
from rnnbench.benchmark.command.streams import print_error
from rnnbench.benchmark.command.verb import Verb
from rnnbench.benchmark.errors import UserError

_MOMENTS = ("best", "start", "end")


def _add_arguments(parser: Parser) -> None:
    text = "record (.json), to which the measures are added"
    parser.add_argument("records", nargs="+", type=named_path, metavar="RECORD", help=text)
    text = "name, or as in a suite '{lyapunov: {samples: 4}}' (see list measures)"
    add_list(parser, "--measure", "MEASURE", text, type=yaml_value)
    text = f"{' | '.join(_MOMENTS)}: with the weights of the best step (default), before training, or after it"
    parser.add_argument("--at", type=one_of("moment", _MOMENTS), default="best", help=text)
    parser.add_argument("--replace", action="store_true", help="take again what was taken afterwards before")
    add_data_dir(parser)


def _run(options: argparse.Namespace) -> int:
    from rnnbench.benchmark.measures import MEASURES, resolve_measures

    try:
        specs = resolve_measures(options.measure)
    except ValueError as error:
        raise UserError(f"--measure: {error}") from error
    if not specs:
        raise UserError(f"--measure must name at least 1 measure of {', '.join(MEASURES)}, got none")
    from rnnbench.benchmark.launchers.worker import set_up_torch
    from rnnbench.benchmark.run.remeasure import measure_afterwards

    set_up_torch()  # as in training, to the last bit
    code = 0
    for path in options.records:
        for spec in specs:
            try:
                measure, remark = measure_afterwards(path, spec, options.at, options.replace, options.data_dir)
            except UserError as error:
                print_error(str(error))
                code = 2
                continue
            shown = {
                key: f"{value:.6g}" if isinstance(value, float) else value for key, value in measure.summary.items()
            }
            numbers = ", ".join(f"{key} {value}" for key, value in shown.items())
            print(f"{path}: {spec['measure']} at {options.at}: {numbers}{f' ({remark})' if remark else ''}")
    return code


VERB = Verb(
    "measure",
    "take measures of dynamics of trained networks, and add them to their records",
    _add_arguments,
    _run,
    writes_files=True,
)
