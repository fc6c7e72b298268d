"""Publishing: from the folder that runs write into to the folder of records that is committed."""

from dataclasses import dataclass, field
from pathlib import Path

from rnnbench.leaderboard.files import LARGEST_SIDE_FILE, FileError, read_file, side_path, write_atomically
from rnnbench.leaderboard.record import read_record, write_record
from rnnbench.leaderboard.schema import Record
from rnnbench.leaderboard.senders import read_senders, write_senders
from rnnbench.leaderboard.store import Problem, Report, find_records, path_of, read_side_arrays
from rnnbench.leaderboard.weights_file import read_weights, weights_path

#: Largest file of weights that is published, in bytes.
LARGEST_PUBLISHED = 200_000

#: A record and the content of the file of arrays beside it; None where there is none, or none that can be read.
Pair = tuple[Record | None, bytes | None]


@dataclass
class PublishReport(Report):
    """What ``publish`` did, and what it did not publish; all paths are relative to the two folders."""

    published: list[Path] = field(default_factory=list)
    replaced: list[Path] = field(default_factory=list)
    identical: list[Path] = field(default_factory=list)
    weights: list[Path] = field(default_factory=list)
    large: list[Path] = field(default_factory=list)


def publish(runs_root: Path, records_root: Path, replace: bool = False, weights: bool = False) -> PublishReport:
    """Copy finished and diverged records, with the arrays beside them, to the folder of published ones.

    A published record of the same experiment and instance that differs, or whose arrays do, is overwritten if
    ``replace``, else it stays and the report has it among what is ``damaged``. Arrays that are missing or damaged are
    put back in any case. With ``weights``, those of at most ``LARGEST_PUBLISHED`` bytes are copied too.

    Raises:
        FileError: the list of those who sent records in is damaged.
        OSError: the disk is full or the folder unwritable; what is published already is untouched.
    """
    records, problems = find_records(runs_root)
    report = PublishReport(problems=problems)
    for record in records:
        source, target = path_of(runs_root, record), path_of(records_root, record)
        place = target.relative_to(records_root)
        if record.status == "interrupted":
            report.problems.append(Problem(place, "interrupted: run it again to finish it", damaged=False))
            continue
        ours, reason = with_arrays(source, record)
        if reason:
            report.problems.append(Problem(place, reason))
            continue
        theirs = published_pair(target)
        if theirs == ours:
            report.identical.append(place)
        elif not target.exists():
            put_pair(target, *ours)
            report.published.append(place)
        elif replace or (theirs[0] == record and read_side_arrays(target, record)[1]):
            put_pair(target, *ours)
            report.replaced.append(place)
        else:
            report.problems.append(Problem(place, "the published record differs and was kept: --replace overwrites it"))
            continue
        if weights and weights_path(source).exists():
            _publish_weights(record, weights_path(source), weights_path(target), records_root, report)
    # What is ours now was sent in by nobody.
    ours_now = {place.as_posix() for place in (*report.published, *report.replaced)}
    write_senders(records_root, {at: sent for at, sent in read_senders(records_root).items() if at not in ours_now})
    return report


def _publish_weights(record: Record, source: Path, target: Path, root: Path, report: PublishReport) -> None:
    place = target.relative_to(root)
    if source.stat().st_size > LARGEST_PUBLISHED:
        report.large.append(place)
        return
    try:
        content = read_weights(source, record)[1]
    except FileError as error:
        report.problems.append(Problem(place, error.reason))
        return
    if _content(target) != content:
        write_atomically(target, content)
        report.weights.append(place)


def with_arrays(source: Path, record: Record) -> tuple[tuple[Record, bytes | None], str]:
    """Return a record with the content of the file of arrays beside it, and what is wrong with that file, if anything.

    The content is None where the record names no arrays.
    """
    arrays, reason = read_side_arrays(source, record)
    return (record, _content(side_path(source)) if arrays else None), reason


def published_pair(target: Path) -> Pair:
    """Return the record that lies at a place and the content beside it; None for what is missing or damaged."""
    try:
        return read_record(target), _content(side_path(target))
    except (FileError, FileNotFoundError):
        return None, None


def _content(path: Path) -> bytes | None:
    try:
        return read_file(path, LARGEST_SIDE_FILE)
    except (FileError, FileNotFoundError):
        return None


def put_pair(target: Path, record: Record, content: bytes | None) -> None:
    """Write a record, and the content of the file beside it if there is any."""
    arrays = side_path(target)
    # The record last: what it names is there when it is.
    if content is not None:
        write_atomically(arrays, content)
    write_record(target, record)
    if content is None:
        arrays.unlink(missing_ok=True)
    try:
        read_weights(weights_path(target), record)
    except FileError:
        weights_path(target).unlink()
    except FileNotFoundError:
        pass  # most have none
