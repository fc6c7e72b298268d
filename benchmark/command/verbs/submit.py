"""``rnnbench submit``: sending what is missing of suites to a cluster."""

import argparse
import shlex
import sys
from pathlib import Path

from rnnbench.benchmark.command.arguments import add_suites, add_training, check_loggers, suites_and_options
from rnnbench.benchmark.command.parsing import Parser, duration, named_path, positive
from rnnbench.benchmark.command.verb import Verb
from rnnbench.benchmark.errors import UserError
from rnnbench.benchmark.interruption import GOES_ON

_SHORTEST = 60
#: Seconds below which SLURM's warning may come before a task has trained.
_SHORT = 180
_LARGEST_SETUP = 100_000


def _add_arguments(parser: Parser) -> None:
    add_suites(parser)
    parser.add_argument("--slurm", action="store_true", help="submit to SLURM, as arrays of bundles of runs")
    for option, text in (
        ("partition", "SLURM's partition"),
        ("account", "SLURM's account"),
        ("gres", "generic resources of a task, such as gpu:1"),
    ):
        parser.add_argument(f"--{option}", type=_word, metavar="WORD", help=text)
    parser.add_argument("--cpus", type=positive, default=1, metavar="N", help="cores of a task (default: 1)")
    text = "wall clock of a task (default: 2h); what is left then goes on in another"
    parser.add_argument("--time", type=duration, default=7200.0, metavar="TIME", help=text)
    text = "how long bundles of short runs take (default: half of --time, 30m at most)"
    parser.add_argument("--bundle", type=duration, metavar="TIME", help=text)
    text = "tasks of an array at most; more make several arrays (default: 200)"
    parser.add_argument("--array-limit", type=positive, default=200, metavar="N", help=text)
    text = "file of #SBATCH and shell lines, such as module load, for the script"
    parser.add_argument("--setup", type=named_path, metavar="FILE", help=text)
    add_training(parser)
    parser.add_argument("--print", action="store_true", help="show the script, and write and submit nothing")


def _word(text: str) -> str:
    from rnnbench.benchmark.launchers.slurm.script import WORD

    if not WORD.fullmatch(text):
        raise argparse.ArgumentTypeError(f"must be a word as SLURM takes it, such as gpu:1, got '{text}'")
    return text


def _run(options: argparse.Namespace) -> int:
    from rnnbench.benchmark.launchers.slurm.script import Resources, as_duration
    from rnnbench.benchmark.launchers.slurm.submit import Submission, submit

    check_loggers(options)
    if not options.slurm:
        raise UserError("submit needs --slurm, the one kind of cluster that it submits to")
    if options.time < _SHORTEST:
        raise UserError(f"--time must be at least 1m, got {options.time:.0f}s")
    if options.time < _SHORT:
        late = "SLURM's warning comes up to two minutes before a task's end, which may leave no time to train"
        print(f"note: --time {as_duration(options.time)}: {late}", file=sys.stderr)
    setup = _read_setup(options.setup) if options.setup else ""
    resources = Resources(options.time, options.cpus, options.partition, options.account, options.gres, setup)
    # Line feeds of an argument would end the comment that shows it.
    command = shlex.join(["rnnbench", *(" ".join(word.split()) for word in sys.argv[1:])])
    submission = Submission(resources, options.array_limit, options.bundle, options.print, command)
    try:
        return submit(*suites_and_options(options, options.suite), submission)
    except KeyboardInterrupt:
        raise KeyboardInterrupt(GOES_ON) from None


def _read_setup(path: Path) -> str:
    from rnnbench.benchmark.launchers.slurm.setup import mistakes

    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise UserError(f"--setup {path}: must be a file of text in UTF-8") from error
    except OSError as error:
        raise UserError(f"--setup {path}: {error.strerror or error}") from error
    if len(text) > _LARGEST_SETUP:
        raise UserError(f"--setup {path}: must have at most {_LARGEST_SETUP:,} characters, got {len(text):,}")
    if found := "; ".join(mistakes(text)):
        raise UserError(f"--setup {path}: {found}")
    return text


VERB = Verb("submit", "send what is missing of suites to a SLURM cluster", _add_arguments, _run, writes_files=True)
