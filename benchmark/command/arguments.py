"""Arguments that several verbs share, and what they mean."""

from __future__ import annotations

import argparse
import dataclasses
import sys
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rnnbench.benchmark.command.parsing import Parser, instances, named_path, one_of, positive, segment
from rnnbench.benchmark.config.options import BUDGETS, LOGGERS, SCANS, WANDB_MODES, RunOptions
from rnnbench.benchmark.errors import UserError

if TYPE_CHECKING:
    from rnnbench.benchmark.config.suite import Suite
    from rnnbench.leaderboard.store import Report

RUNS_DIR = Path("runs")
RECORDS_DIR = Path("leaderboard/records")


def add_list(parser: Parser, option: str, metavar: str, text: str, **settings: Any) -> None:
    """Add an option that takes several words, and may be given several times."""
    parser.add_argument(option, nargs="+", action="extend", default=[], metavar=metavar, help=text, **settings)


def add_suites(parser: Parser, nargs: str = "+", budget: str | None = "cpu") -> None:
    """Add what chooses suites, and what of them; ``budget`` is the one where none is given."""
    text = "name of a suite (see list suites) or a YAML file"
    parser.add_argument("suite", metavar="SUITE", nargs=nargs, help=text)
    parser.add_argument("--budget", type=one_of("budget", BUDGETS), default=budget, help=" | ".join(BUDGETS))
    add_list(parser, "--only", "PATTERN", "task, network or task/network, with * and ? as wildcards")
    parser.add_argument("--instances", type=instances, metavar="0-4|0,2", help="which instances (default: the suite's)")
    text = "take records as they are that other source of your own classes made"
    parser.add_argument("--any-source", action="store_true", help=text)
    text = "where records are (default: runs)"
    parser.add_argument("--runs-dir", type=named_path, default=RUNS_DIR, metavar="DIR", help=text)


def suites_and_options(options: argparse.Namespace, names: Sequence[str]) -> tuple[list[Suite], RunOptions]:
    """Return the suites of some names or files, and all options of a run that were given.

    Raises:
        UserError: a suite is unknown or wrong, or the folder of runs is a file.
    """
    from rnnbench.benchmark.config.suite import load_suite

    suites = [load_suite(name, options.budget) for name in names]
    if options.runs_dir.exists():
        check_folder("--runs-dir", options.runs_dir)
    given = {field.name for field in dataclasses.fields(RunOptions)} & vars(options).keys() - {"only"}
    return suites, RunOptions(**{name: getattr(options, name) for name in given}, only=tuple(options.only))


def add_training(parser: Parser) -> None:
    """Add what says how runs are trained, and how many at a time."""
    text = "runs at a time (default: one per core or per GPU)"
    parser.add_argument("--workers", type=positive, metavar="N", help=text)
    parser.add_argument("--devices", type=positive, default=1, metavar="N", help="devices that share one run's batches")
    add_data_dir(parser)
    parser.add_argument("--wandb", type=one_of("mode", WANDB_MODES), default="off", help=" | ".join(WANDB_MODES))
    text = f"{' | '.join(LOGGERS)}: also write learning curves below runs/csv or runs/tensorboard"
    add_list(parser, "--logger", "NAME", text, type=one_of("logger", LOGGERS), dest="loggers")
    parser.add_argument("--scan", type=one_of("scan", SCANS), default="auto", help=" | ".join(SCANS))
    text = "keep the activations of K steps at a time (auto: the root of their number): less memory, more time"
    parser.add_argument("--checkpoint-every", type=segment, metavar="K|auto", help=text)


def check_loggers(options: argparse.Namespace) -> None:
    """Take each logger once, and see that it is installed.

    Raises:
        UserError: one is not.
    """
    options.loggers = tuple(dict.fromkeys(options.loggers))
    if "tensorboard" in options.loggers and not find_spec("tensorboard") and not find_spec("tensorboardX"):
        raise UserError("--logger tensorboard: it is not installed: pip install 'rnnbench[tensorboard]'")


def check_folder(option: str, path: Path) -> None:
    """See that an option names a folder.

    Raises:
        UserError: it does not.
    """
    if not path.is_dir():
        raise UserError(f"{option} {path}: {'is a file; a folder is needed' if path.exists() else 'no such folder'}")


def add_records_dir(parser: Parser) -> None:
    """Add the folder of records that a verb reads."""
    text = f"folder of records (default: {RECORDS_DIR}, or the published ones that came with rnnbench)"
    parser.add_argument("--records-dir", type=named_path, metavar="DIR", help=text)


def add_data_dir(parser: Parser) -> None:
    """Add the option that says where real data lie."""
    text = "folder of the real data sets (or RNNBENCH_DATA)"
    parser.add_argument("--data-dir", type=named_path, metavar="DIR", help=text)


def records_dir(options: argparse.Namespace) -> Path:
    """Return the folder of records that was given, or else the published ones.

    Raises:
        UserError: it is not a folder, or holds no records.
    """
    from rnnbench.leaderboard.store import shipped_records

    folder: Path = options.records_dir or (RECORDS_DIR if RECORDS_DIR.is_dir() else shipped_records())
    check_records("--records-dir", folder)
    return folder


def check_records(name: str, folder: Path) -> None:
    """Raise a ``UserError`` unless what was given under a name is a folder that holds records."""
    from rnnbench.leaderboard.store import is_empty

    check_folder(name, folder)
    if is_empty(folder):
        raise UserError(f"{name} {folder} holds no records: a run writes them to {RUNS_DIR}, or its --runs-dir")


def are_published(folder: Path) -> bool:
    """Return whether a folder of records is that of the published ones."""
    from rnnbench.leaderboard.store import shipped_records

    return folder.resolve() in (RECORDS_DIR.resolve(), shipped_records().resolve())


def print_problems(what: str, report: Report, folder: Path | None = None) -> int:
    """Print what could not be placed of records; return 2 if any is damaged or lies at the wrong place, else 0.

    Of published records, those of ``folder``, the page that was written lists what is merely superseded.
    """
    for problem in report.damaged if folder and are_published(folder) else report.problems:
        print(f"{what}: {problem}", file=sys.stderr)
    # What is merely interrupted is no mistake.
    return 2 if report.damaged else 0
