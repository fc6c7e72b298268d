"""The command line. Torch is imported only by the verbs that need it."""

from __future__ import annotations

import argparse
import dataclasses
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rnnbench import __version__
from rnnbench.benchmark.command.parsing import Parser, duration, instances, mapping, one_of, positive, segment
from rnnbench.benchmark.command.streams import output_problem, prepare_streams, print_error
from rnnbench.benchmark.config.options import BUDGETS, SCANS, WANDB_MODES, RunOptions
from rnnbench.benchmark.errors import UserError, message_of, nearest
from rnnbench.benchmark.interruption import EXIT_CODE, MESSAGE
from rnnbench.benchmark.speed import REPORTS

if TYPE_CHECKING:
    from rnnbench.benchmark.config.suite import Suite
    from rnnbench.leaderboard.store import Report

RUNS_DIR = Path("runs")
RECORDS_DIR = Path("leaderboard/records")
_RECORDS_HELP = f"folder of records (default: {RECORDS_DIR}, or the published ones that came with rnnbench)"
# The other commands do nothing but print.
_WRITES_FILES = ("run", "publish", "leaderboard", "figures", "fit")
_SECTIONS = ("tasks", "recurrences", "measures", "suites")
PAPERS = ("lizaire2026", "lizaire2024", "dubinin2024", "miller2019", "pascanu2014")
_LIGHTNING = {
    "fit": "train one network with any Trainer option (LightningCLI; see fit --help)",
    "validate": "evaluate a checkpoint on the validation split (LightningCLI)",
    "test": "evaluate a checkpoint on the test split (LightningCLI)",
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; return 0, 2 for a mistake of the user's or output that cannot be written, 130 if interrupted."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    code, message = 0, ""
    try:
        prepare_streams(needs_output=not given or given[0] not in _WRITES_FILES)
        code = _run_command(given)
    except UserError as error:
        message = str(error)
    except OSError as error:
        # A full disk or a folder that cannot be written: files are replaced as a whole, so none is damaged.
        message = message_of(error)
    except KeyboardInterrupt:
        print(MESSAGE, file=sys.stderr)
        code = EXIT_CODE
    except SystemExit as end:  # --help and --version
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    # Where standard output is at fault, that is the reason of an OSError too.
    message = output_problem() or message
    if message:
        print_error(message)
    return 2 if message else code


def _run_command(given: list[str]) -> int:
    if given and given[0] in _LIGHTNING:
        from rnnbench.benchmark.command import lightning_cli

        return lightning_cli.main(given)
    parser, commands = _build_parsers()
    word = next((word for word in given if not word.startswith("-")), None)
    if word is None and not {"-h", "--help", "--version"} & set(given):
        unknown = f"unknown option '{given[0]}'" if given else "a command is missing"
        raise UserError(f"{unknown}: {nearest(given[0] if given else '', [*commands, *_LIGHTNING, *parser.options])}")
    if word is not None and word not in commands:
        raise UserError(f"unknown command '{word}': {nearest(word, [*commands, *_LIGHTNING])}")
    options, unknown_words = parser.parse_known_args(given)
    for unknown_word in sorted(unknown_words, key=lambda word: not word.startswith("-")):
        what = "option" if unknown_word.startswith("-") else "argument"
        hint = nearest(unknown_word.split("=")[0], commands[str(word)].options)
        raise UserError(f"{word}: unknown {what} '{unknown_word}': {hint}")
    handler: Callable[[argparse.Namespace], int] = options.handler
    return handler(options)


def _build_parsers() -> tuple[Parser, dict[str, Parser]]:
    parser = Parser(prog="rnnbench", description="Trains recurrent networks on tasks of memory and expressivity.")
    parser.add_argument("--version", action="version", version=f"rnnbench {__version__}")
    verbs = parser.add_subparsers(metavar="COMMAND", title="commands")
    commands: dict[str, Parser] = {}

    def add(name: str, handler: Callable[[argparse.Namespace], int], text: str) -> Parser:
        commands[name] = verbs.add_parser(name, help=text, description=text[0].upper() + text[1:] + ".")
        commands[name].set_defaults(handler=handler)
        return commands[name]

    verb = add("list", _list, "list tasks, recurrences with presets, measures of dynamics, and suites")
    verb.add_argument("section", nargs="?", type=one_of("section", _SECTIONS), help=" | ".join(_SECTIONS))
    verb.add_argument("--json", action="store_true", help="as JSON")

    verb = add("check", _check, "validate suites, records, and recurrences or tasks by the contracts that all keep")
    text = "SUITE, file.yaml, record.json, a folder of records, or module.Class"
    verb.add_argument("things", nargs="+", metavar="THING", help=text)
    text = "constructor arguments, '{hidden_size: 8}'"
    verb.add_argument("--init-args", type=mapping, default={}, metavar="YAML", help=text)

    verb = add("run", _run, "train what is missing of suites; running again goes on")
    _add_suite(verb, nargs="+")
    text = "end in order after 90s, 30m, 2h or 1h30m; exit code 3 if something is left"
    verb.add_argument("--time-limit", type=duration, metavar="TIME", help=text)
    verb.add_argument("--workers", type=positive, metavar="N", help="processes (default: one per core or per GPU)")
    verb.add_argument("--devices", type=positive, default=1, metavar="N", help="devices that share one run's batches")
    verb.add_argument("--data-dir", type=Path, metavar="DIR", help="folder of the real data sets (or RNNBENCH_DATA)")
    verb.add_argument("--wandb", type=one_of("mode", WANDB_MODES), default="off", help=" | ".join(WANDB_MODES))
    verb.add_argument("--scan", type=one_of("scan", SCANS), default="auto", help=" | ".join(SCANS))
    text = "keep the activations of K steps at a time (auto: the root of their number): less memory, more time"
    verb.add_argument("--checkpoint-every", type=segment, metavar="K|auto", help=text)
    verb.add_argument("--dry-run", action="store_true", help="print the plan and train nothing")

    verb = add("status", _status, "show what of a suite is finished")
    _add_suite(verb)

    verb = add("publish", _publish, "copy finished records to the committed ones")
    verb.add_argument("--runs-dir", type=Path, default=RUNS_DIR, metavar="DIR")
    verb.add_argument("--records-dir", type=Path, default=RECORDS_DIR, metavar="DIR")
    verb.add_argument("--replace", action="store_true", help="overwrite published records that differ")

    verb = add("leaderboard", _leaderboard, "write the leaderboard from records")
    verb.add_argument("--records-dir", type=Path, metavar="DIR", help=_RECORDS_HELP)
    verb.add_argument("--output", type=Path, default=Path("leaderboard/LEADERBOARD.md"), metavar="PATH")

    verb = add("claims", _claims, "decide the papers' statements from records alone")
    verb.add_argument("--records-dir", type=Path, metavar="DIR", help=_RECORDS_HELP)
    _add_list(verb, "--paper", "KEY", " | ".join(PAPERS), type=one_of("paper", PAPERS))
    verb.add_argument("--every", action="store_true", help="every comparison on a line of its own")
    verb.add_argument("--json", action="store_true", help="as JSON")

    verb = add("speed", _speed, "time ways to do the same work side by side, once their results agree")
    reports = (*REPORTS, "all")
    verb.add_argument("report", nargs="?", type=one_of("report", reports), default="all", help=" | ".join(reports))
    verb.add_argument("--repeats", type=positive, metavar="N", help="counted runs of each (default: 5; quick: 1)")
    verb.add_argument("--quick", action="store_true", help="small cases, too small to judge by")
    verb.add_argument("--full", action="store_true", help="the whole work, where a report takes a sample of it")
    verb.add_argument("--json", type=Path, metavar="FILE", help="also write all samples as JSON")
    text = "also write a file of JSON for each report, and a figure of all there"
    verb.add_argument("--output", type=Path, metavar="DIR", help=text)

    verb = add("figures", _figures, "draw the dynamics that records hold")
    verb.add_argument("--records-dir", type=Path, metavar="DIR", help=_RECORDS_HELP)
    verb.add_argument("--output", type=Path, default=Path("leaderboard/figures/dynamics"), metavar="DIR")
    _add_list(verb, "--suite", "NAME", "which suites (default: all)")

    for name, text in _LIGHTNING.items():
        verbs.add_parser(name, help=text, add_help=False)
    return parser, commands


def _add_suite(verb: Parser, nargs: str | None = None) -> None:
    verb.add_argument("suite", metavar="SUITE", nargs=nargs, help="name of a suite (see list suites) or a YAML file")
    verb.add_argument("--budget", type=one_of("budget", BUDGETS), default="cpu", help=" | ".join(BUDGETS))
    _add_list(verb, "--only", "PATTERN", "task, network or task/network, with * and ? as wildcards")
    verb.add_argument("--instances", type=instances, metavar="0-4|0,2", help="which instances (default: the suite's)")
    text = "where records are (default: runs)"
    verb.add_argument("--runs-dir", type=Path, default=RUNS_DIR, metavar="DIR", help=text)


def _add_list(verb: Parser, option: str, metavar: str, text: str, **settings: Any) -> None:
    verb.add_argument(option, nargs="+", action="extend", default=[], metavar=metavar, help=text, **settings)


def _list(options: argparse.Namespace) -> int:
    from rnnbench.benchmark.command.listing import render

    print(render([options.section] if options.section else list(_SECTIONS), options.json))
    return 0


def _check(options: argparse.Namespace) -> int:
    from rnnbench.benchmark.command.checking import check_all

    return check_all(options.things, options.init_args)


def _run(options: argparse.Namespace) -> int:
    from rnnbench.benchmark.launchers.suite_run import run_suites

    if options.scan in ("native", "triton"):
        _check_scan(options.scan)
    return run_suites(*_suites_and_options(options, options.suite))


def _check_scan(scan: str) -> None:
    """Refuse a backend that depends on the machine where it cannot run."""
    import torch

    from rnnbench.lit_models.scan.native.availability import why_no_native
    from rnnbench.lit_models.scan.triton.availability import why_no_triton

    reason = why_no_native() if scan == "native" else why_no_triton(torch.cuda.is_available())
    if reason is not None:
        raise UserError(f"--scan {scan}: {reason}; --scan auto takes what suits the device")


def _status(options: argparse.Namespace) -> int:
    from rnnbench.benchmark.launchers.suite_run import suite_status

    suites, chosen = _suites_and_options(options, [options.suite])
    return suite_status(suites[0], chosen)


def _suites_and_options(options: argparse.Namespace, names: Sequence[str]) -> tuple[list[Suite], RunOptions]:
    from rnnbench.benchmark.config.suite import load_suite

    suites = [load_suite(name, options.budget) for name in names]
    if options.runs_dir.exists():
        _check_folder("--runs-dir", options.runs_dir)
    given = {field.name for field in dataclasses.fields(RunOptions)} & vars(options).keys() - {"only"}
    return suites, RunOptions(**{name: getattr(options, name) for name in given}, only=tuple(options.only))


def _check_folder(option: str, path: Path) -> None:
    if not path.is_dir():
        raise UserError(f"{option} {path}: {'is a file; a folder is needed' if path.exists() else 'no such folder'}")


def _records_dir(options: argparse.Namespace) -> Path:
    from rnnbench.leaderboard.store import shipped_records

    folder: Path = options.records_dir or (RECORDS_DIR if RECORDS_DIR.is_dir() else shipped_records())
    _check_folder("--records-dir", folder)
    return folder


def _publish(options: argparse.Namespace) -> int:
    from rnnbench.leaderboard.publishing import publish

    _check_folder("--runs-dir", options.runs_dir)
    report = publish(options.runs_dir, options.records_dir, options.replace)
    for path in (*report.published, *report.replaced):
        print(f"published {path}")
    code = _print_problems("not published", report)
    print(f"{len(report.published)} published, {len(report.replaced)} replaced, {len(report.identical)} already there")
    return code


def _print_problems(what: str, report: Report) -> int:
    for problem in report.problems:
        print(f"{what}: {problem}", file=sys.stderr)
    # What is merely interrupted is no mistake; a file that is damaged or lies at the wrong place is.
    return 2 if report.damaged else 0


def _leaderboard(options: argparse.Namespace) -> int:
    from rnnbench.benchmark.config.plans import shipped_plans
    from rnnbench.leaderboard.board_page import PAGE, write_leaderboard

    folder: Path = options.output
    if folder.suffix == ".md":
        if folder.name != PAGE:
            raise UserError(f"--output {folder}: must be a folder, or a path that ends in {PAGE}")
        folder = folder.parent
    report = write_leaderboard(_records_dir(options), folder, shipped_plans())
    code = _print_problems("not placed", report)
    print(f"{report.page.resolve()}: {report.tables} tables and {report.figures} figures from {report.records} records")
    return code


def _claims(options: argparse.Namespace) -> int:
    from rnnbench.benchmark.config.plans import shipped_plans
    from rnnbench.leaderboard.claims.claim import load_claims
    from rnnbench.leaderboard.claims.decide import decide_all
    from rnnbench.leaderboard.claims.report import as_json, as_terminal

    claims = [claim for claim in load_claims() if not options.paper or claim.paper in options.paper]
    decisions, problems = decide_all(claims, _records_dir(options), shipped_plans())
    for problem in problems:
        print(f"not read: {problem}", file=sys.stderr)
    print(as_json(decisions) if options.json else as_terminal(decisions, options.every), end="")
    return 2 if problems else 0


def _speed(options: argparse.Namespace) -> int:
    from rnnbench.benchmark.speed.command import report_speed

    return report_speed(options.report, options.repeats, options.quick, options.json, options.output, options.full)


def _figures(options: argparse.Namespace) -> int:
    from rnnbench.leaderboard.drawing.dynamics_figures import write_figures
    from rnnbench.leaderboard.store import find_records
    from rnnbench.leaderboard.text import printable

    records_dir = _records_dir(options)
    if options.output.exists():
        _check_folder("--output", options.output)
    known = {record.suite for record in find_records(records_dir)[0]}
    for suite in options.suite:
        if suite not in known:
            raise UserError(f"--suite {suite}: no record in {records_dir} is of it: {nearest(suite, known)}")
    report = write_figures(records_dir, options.output, options.suite)
    for path in report.written:
        print(path)
    for line in report.failed:
        print(f"failed: {printable(line)}", file=sys.stderr)
    code = _print_problems("not drawn", report)
    if not report.measured:
        remedy = "run a suite that names some under 'measures:', such as dynamics"
        print(f"no record in {records_dir} holds measures of dynamics: {remedy}")
    return code
