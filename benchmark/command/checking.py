"""``rnnbench check``: everything that is wrong with suites, records, recurrences and tasks, found without training."""

import re
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from rnnbench.benchmark.command.streams import print_error
from rnnbench.benchmark.config.plausibility import not_to_merge
from rnnbench.benchmark.config.specs import registered
from rnnbench.benchmark.config.suite import load_suite, suite_budgets, suite_files
from rnnbench.benchmark.config.sweep import unswept_notes
from rnnbench.benchmark.errors import UserError, did_you_mean
from rnnbench.leaderboard.files import FileError
from rnnbench.leaderboard.merging import unlike_others
from rnnbench.leaderboard.plausibility import implausible
from rnnbench.leaderboard.record import read_record
from rnnbench.leaderboard.schema import Record
from rnnbench.leaderboard.senders import SENDERS, read_senders
from rnnbench.leaderboard.store import find_records, path_of, place_of, read_side_arrays
from rnnbench.leaderboard.weights_file import read_weights, weights_path


def check_all(things: Sequence[str], init_args: Mapping[str, Any]) -> int:
    """Check suites (names or files), records, folders of records and classes; print each one's verdict.

    ``init_args`` are constructor arguments of the classes. Returns 0 if all are good, otherwise 2.
    """
    problems = 0
    for thing in things:
        # What is wrong with a suite under each of its budgets is printed once.
        found = list(dict.fromkeys(_problems(thing, init_args)))
        for problem in found:
            print_error(problem)
        if not found:
            print(f"{thing}: good")
        problems += len(found)
    return 2 if problems else 0


def _problems(given: str, init_args: Mapping[str, Any]) -> Iterator[str]:
    path = Path(given)
    if path.is_dir():
        records, problems = find_records(path)
        yield from (f"{path}/{problem}" for problem in problems)
        for record in records:
            yield from _beside(path_of(path, record), record)
        yield from (f"{path}/{place}: {reason}" for place, reason in unlike_others(records))
        for reason, count in Counter(reason for record in records for reason in not_to_merge(record)).items():
            print(f"note: {path}: merge does not take {count} of its records: {reason}", file=sys.stderr)
        try:
            unknown = sorted(read_senders(path).keys() - set(map(place_of, records)))
            yield from (f"{path / SENDERS}: names {place}, where no record lies" for place in unknown)
        except FileError as error:
            yield str(error)
        if not records and not problems:
            yield f"{path}: holds no records (suites are checked by name, or each by its file)"
    elif path.suffix == ".json":
        try:
            record = read_record(path)
            yield from (f"{path}: {reason}" for reason in implausible(record))
            yield from _beside(path, record)
        except FileError as error:
            yield str(error)
        except FileNotFoundError:
            yield f"{path}: no such file"
    elif path.suffix in (".yaml", ".yml") or path.is_file() or given in suite_files():
        yield from _suite_problems(given)
    elif given in registered("recurrence") or given in registered("task") or re.fullmatch(r"\w+(\.\w+)+", given):
        from rnnbench.benchmark.command.check_class import class_problems

        yield from class_problems(given, init_args)
    else:
        hint = did_you_mean(given, [*suite_files(), *registered("task"), *registered("recurrence")])
        kinds = "a suite, a record (.json), a folder of records, nor a recurrence or task (module.Class)"
        yield f"{path}: neither {kinds}{hint and f'; {hint}'}"


def _beside(path: Path, record: Record) -> Iterator[str]:
    """Yield what is wrong with the files beside a record."""
    _, reason = read_side_arrays(path, record)
    if reason:
        yield f"{path}: {reason}"
    try:
        if weights_path(path).exists():
            read_weights(weights_path(path), record)
    except FileError as error:
        yield str(error)


def _suite_problems(given: str) -> Iterator[str]:
    """Yield what is wrong with a suite under any of its budgets."""
    try:
        budgets = suite_budgets(given)
    except UserError as error:
        yield str(error)
        return
    cells: dict[str, list[str]] = {}
    notes: dict[str, None] = {}
    for budget in budgets:
        try:
            experiments = load_suite(given, budget).experiments
        except UserError as error:
            yield str(error)
            continue
        notes |= dict.fromkeys(unswept_notes(experiments))
        from rnnbench.benchmark.config.construct import check_experiment

        for experiment in experiments:
            try:
                check_experiment(experiment)
            except UserError as error:
                reason = str(error).removeprefix(f"suite {experiment.suite}, {experiment.name}: ")
                cells.setdefault(reason, []).append(experiment.name)
    for note in notes:
        print(f"note: suite {Path(given).stem}, {note}", file=sys.stderr)
    for reason, found in cells.items():
        # The same cell under other budgets is no other cell.
        first, *others = dict.fromkeys(found)
        more = f" and {len(others)} more cell{'s' * (len(others) > 1)}" if others else ""
        yield f"suite {Path(given).stem}, {first}{more}: {reason}"
