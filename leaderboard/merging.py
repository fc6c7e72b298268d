"""Merging records of others: checked, copied beside ours, and listed with who sent them."""

import dataclasses
import math
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from rnnbench.leaderboard.own_source import compared_source
from rnnbench.leaderboard.publishing import published_pair, put_pair, with_arrays
from rnnbench.leaderboard.schema import OwnCode, Record
from rnnbench.leaderboard.senders import REPRODUCED, Sent, read_senders, write_senders
from rnnbench.leaderboard.statistics import statistic
from rnnbench.leaderboard.store import Problem, Report, find_records, path_of, place_of

#: How far two means may lie apart: in deviations over their instances, and as a share of chance to best.
DEVIATIONS, SHARE = 2.0, 0.01


@dataclass
class MergeReport(Report):
    """What ``merge`` took over and found reproduced, relative to the folder of records, and what it did not."""

    merged: list[Path] = field(default_factory=list)
    identical: list[Path] = field(default_factory=list)
    reproduced: list[Path] = field(default_factory=list)


def merge(
    folder: Path,
    records_root: Path,
    sender: str,
    refused: Callable[[Record], Iterable[str]],
    runs_root: Path | None = None,
) -> MergeReport:
    """Copy records that somebody sent in, with the arrays beside them, and list them with their sender.

    Records that are there already stay as they are. With runs of our own, those whose experiments these reproduce are
    listed as such.

    Args:
        folder: what was sent, laid out as a folder of runs.
        records_root: the folder of published records.
        sender: who sent it.
        refused: returns what is wrong with a record; any reason keeps it out.
        runs_root: runs of our own, of some instances of the same experiments.

    Raises:
        FileError: the list of senders is damaged.
        OSError: the disk is full or the folder unwritable; what is there already is untouched.
    """
    records, problems = find_records(folder)
    report = MergeReport(problems=problems)
    senders = read_senders(records_root)
    taken: list[Record] = []
    unlike = dict(unlike_others(records))
    for record in records:
        source, target = path_of(folder, record), path_of(records_root, record)
        place = target.relative_to(records_root)
        pair, reason = with_arrays(source, record)
        other = unlike.get(place.as_posix(), "")
        if reasons := [*filter(None, (reason, other)), *refused(record)]:
            report.problems.append(Problem(place, "; ".join(reasons)))
            continue
        theirs = published_pair(target)
        if theirs != pair and target.exists():
            report.problems.append(Problem(place, "another record of this instance is there and was kept"))
            continue
        if theirs == pair:
            report.identical.append(place)
        else:
            put_pair(target, *pair)
            report.merged.append(place)
            senders[place.as_posix()] = Sent(sender)
        taken.append(record)
    if runs_root:
        _mark_reproduced(taken, runs_root, senders, report)
    write_senders(records_root, senders)
    return report


def unlike_others(records: Iterable[Record]) -> Iterator[tuple[str, str]]:
    """Yield the places of records that differ in what instances of an experiment share, and in what they do.

    Which of the two is right, only the network, the task and its data would tell.
    """
    first: dict[tuple[object, ...], Record] = {}
    for record in records:
        own = tuple((one.module, one.source) for one in record.own_code)
        other = first.setdefault((record.cell, record.experiment_id, own), record)
        for name in ("parameters", "state_size", "metrics", "data_fingerprint"):
            if getattr(record, name) != getattr(other, name):
                yield place_of(record), f"{name} must be as in {place_of(other)}, of the same experiment"


def _mark_reproduced(taken: Sequence[Record], runs_root: Path, senders: dict[str, Sent], report: MergeReport) -> None:
    found, problems = find_records(runs_root)
    report.problems += problems
    source = compared_source(one for record in (*found, *taken) for one in record.own_code)
    ours, theirs = (_by_experiment(records, source) for records in (found, taken))
    for key, group in theirs.items():
        listed = [place for record in group if (place := place_of(record)) in senders]
        if not listed:
            continue
        if reason := difference(group, ours.get(key, [])):
            report.problems.append(
                Problem(Path(listed[0]).parent, f"{group[0].experiment_id} is not reproduced: {reason}", damaged=False)
            )
            continue
        for place in listed:
            senders[place] = dataclasses.replace(senders[place], tier=REPRODUCED)
        report.reproduced += map(Path, listed)


def _by_experiment(
    records: Iterable[Record], source: Callable[[OwnCode], tuple[str, str]]
) -> dict[tuple[Hashable, ...], list[Record]]:
    groups: dict[tuple[Hashable, ...], list[Record]] = defaultdict(list)
    for record in records:
        if record.status != "interrupted":
            key = *record.cell, record.experiment_id, *map(source, record.own_code)
            groups[key].append(record)
    return groups


def difference(theirs: Sequence[Record], ours: Sequence[Record]) -> str:
    """Return why our instances of an experiment do not reproduce theirs; empty if they do.

    The mean scores must lie within two standard deviations of their instances of each other, or within one hundredth of
    the way from chance to the best value. Where no instance of theirs diverged, none of ours may.
    """
    metric = theirs[0].ranked
    if not ours:
        return "none of its instances was run here"
    if any(r.status == "diverged" for r in ours) and not any(r.status == "diverged" for r in theirs):
        return "it diverges here"
    mean, mine = (statistic(r.scores.test.get(metric.name) for r in group) for group in (theirs, ours))
    if mean is None or mine is None:
        return "" if mean is mine else "only one side has scores"
    allowed = max(DEVIATIONS * (mean.sd or 0.0), SHARE * abs(metric.best - metric.chance))
    if math.isclose(mean.mean, mine.mean, abs_tol=allowed):
        return ""
    return f"{metric.name} must be within {allowed:.3g} of the reported {mean.mean:.6g}, got {mine.mean:.6g} here"
