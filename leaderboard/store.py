"""Folders of records: where a record lies, what a folder holds, and publishing from one folder to another."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from pathlib import Path

from rnnbench.leaderboard.files import write_atomically
from rnnbench.leaderboard.record import Record, RecordError, read_record, write_record
from rnnbench.leaderboard.side_file import Arrays, SideFileError, read_arrays, side_path


@dataclass(frozen=True)
class Problem:
    """Something that could not be placed: its path relative to the folder that was read, and why."""

    path: Path
    reason: str


@dataclass
class PublishReport:
    """What ``publish`` did; all paths are relative to the two folders.

    Attributes:
        problems: what was not published, and why.
        damaged: those of them that are no record, or whose file of arrays is missing or cannot be read.
    """

    published: list[Path] = field(default_factory=list)
    replaced: list[Path] = field(default_factory=list)
    identical: list[Path] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    damaged: list[Problem] = field(default_factory=list)


def safe_name(name: str) -> str:
    """Return a name that is safe as a folder's or a file's.

    >>> safe_name("Elman_res+clip"), safe_name("../S4 (d=4)")
    ('Elman_res+clip', '_._S4__d=4_')
    """
    kept = re.sub(r"[^A-Za-z0-9_.+=-]", "_", name)
    return re.sub(r"^\.|^$", "_", kept)


def record_path(
    root: Path, *, suite: str, budget: str, task: str, network: str, experiment_id: str, instance: int
) -> Path:
    """Return where the record of an instance lies: one place, so that no instance has two records."""
    folder = root.joinpath(*(safe_name(name) for name in (suite, budget, task, network)))
    return folder / f"{experiment_id}-{instance}.json"


def path_of(root: Path, record: Record) -> Path:
    """Return where a given record lies under ``root``."""
    return record_path(
        root,
        suite=record.suite,
        budget=record.budget,
        task=record.task,
        network=record.network,
        experiment_id=record.experiment_id,
        instance=record.instance,
    )


def scan(root: Path) -> tuple[list[Record], list[Problem]]:
    """Read every record under a folder, in the order of their paths; hidden files and folders are passed over.

    Returns:
        The records, and the JSON files that are none or do not lie where they belong. A missing folder holds nothing.
    """
    records: list[Record] = []
    problems: list[Problem] = []
    for path in sorted(_json_files(root), key=lambda path: path.relative_to(root).parts):
        place = path.relative_to(root)
        try:
            record = read_record(path)
        except RecordError as error:
            problems.append(Problem(place, error.reason))
            continue
        except OSError as error:
            problems.append(Problem(place, f"cannot be read: {error.strerror}"))
            continue
        expected = path_of(root, record).relative_to(root)
        if place == expected:
            records.append(record)
        else:
            problems.append(Problem(place, f"does not lie where it belongs, at {expected.as_posix()}"))
    return records, problems


def read_records(root: Path | str) -> list[Record]:
    """Return every record under a folder, in the order of their paths.

    Raises:
        RecordError: a JSON file is not a record, or does not lie where it belongs (``scan`` reads the others all the
            same).

    >>> read_records("no/such/folder")
    []
    """
    records, problems = scan(Path(root))
    for problem in problems:
        raise RecordError(Path(root) / problem.path, problem.reason)
    return records


def _json_files(root: Path) -> list[Path]:
    found: list[Path] = []
    for folder, subfolders, names in os.walk(root):
        subfolders[:] = [name for name in subfolders if not name.startswith(".")]
        found += [Path(folder, name) for name in names if name.endswith(".json") and not name.startswith(".")]
    return found


def beside(path: Path, record: Record) -> tuple[Arrays, str]:
    """Read the arrays that a record names from the file beside it.

    Returns:
        The arrays, and what is wrong with the file: empty if nothing is, or if the record names none.
    """
    named = {name for by_moment in record.measures.values() for one in by_moment.values() for name in one.arrays}
    if not named:
        return {}, ""
    file = side_path(path)
    try:
        arrays = read_arrays(file)
    except FileNotFoundError:
        return {}, f"the file of arrays beside it, {file.name}, is missing"
    except SideFileError as error:
        return {}, f"{file.name} beside it {error.reason}"
    except OSError as error:
        return {}, f"{file.name} beside it cannot be read: {error.strerror}"
    missing = sorted(named - arrays.keys())
    return ({}, f"{file.name} beside it lacks {', '.join(missing)}") if missing else (arrays, "")


def publish(runs_root: Path, records_root: Path, replace: bool = False) -> PublishReport:
    """Copy finished and diverged records, with the arrays beside them, to the folder of published ones.

    Args:
        runs_root: the folder that runs write into.
        records_root: the folder that is committed.
        replace: overwrite a published record of the same experiment and instance that differs, or whose arrays do;
            otherwise it stays and the report says so. Arrays that are missing or damaged are put back in any case.

    Raises:
        OSError: the disk is full or the folder unwritable; what is published already is untouched.
    """
    records, problems = scan(runs_root)
    report = PublishReport(problems=list(problems), damaged=problems)
    for record in records:
        source, target = path_of(runs_root, record), path_of(records_root, record)
        place = target.relative_to(records_root)
        if record.status == "interrupted":
            report.problems.append(Problem(place, "interrupted: run it again to finish it"))
            continue
        arrays, reason = beside(source, record)
        if reason:
            report.problems.append(Problem(place, reason))
            report.damaged.append(Problem(place, reason))
            continue
        content = side_path(source).read_bytes() if arrays else None
        if not target.exists():
            _put(target, record, content)
            report.published.append(place)
        elif _holds(target, record, content):
            report.identical.append(place)
        elif replace or _lost_its_arrays(target, record):
            _put(target, record, content)
            report.replaced.append(place)
        else:
            report.problems.append(Problem(place, "the published record differs and was kept"))
    return report


def _lost_its_arrays(target: Path, record: Record) -> bool:
    """Return whether the very record lies there, without the whole of its arrays."""
    try:
        return read_record(target) == record and bool(beside(target, record)[1])
    except RecordError:
        return False


def _put(target: Path, record: Record, content: bytes | None) -> None:
    arrays = side_path(target)
    # The record last: what it names is there when it is.
    if content is not None:
        write_atomically(arrays, content)
    write_record(target, record)
    if content is None:
        arrays.unlink(missing_ok=True)


def _holds(path: Path, record: Record, content: bytes | None) -> bool:
    arrays = side_path(path)
    try:
        return read_record(path) == record and (arrays.read_bytes() if arrays.exists() else None) == content
    except RecordError:
        return False
