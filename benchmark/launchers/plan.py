"""What of a suite is still to be trained: finished records are skipped, interrupted runs go on. Imports no torch."""

from __future__ import annotations

import dataclasses
import json
import os
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from rnnbench.benchmark.config.experiment import Experiment
from rnnbench.benchmark.config.versions import other_versions
from rnnbench.benchmark.errors import UserError
from rnnbench.benchmark.launchers.pilots import pilots_of, with_choice
from rnnbench.benchmark.launchers.stale import Move, Stale
from rnnbench.benchmark.run.job import CHECKPOINT, JOB_FILE, SOURCE_FILE, Job, Member, load_job
from rnnbench.benchmark.run.lease import is_leased
from rnnbench.benchmark.run.source import noted_source
from rnnbench.leaderboard.index.entries import Entry, entries
from rnnbench.leaderboard.record import read_record
from rnnbench.leaderboard.schema import Record, plain
from rnnbench.leaderboard.store import path_of, read_side_arrays

#: Members of one run at most: more share the work no better.
LARGEST_ENSEMBLE = 16


#: What is said of a record that cannot be read.
UNTOUCHED = "it is left untouched: move it away to train this instance again"


@dataclass(frozen=True)
class Plan:
    """The work that a command would do.

    Attributes:
        jobs: runs to train, in the order of the suite.
        finished: number of wanted records that are there.
        wanted: number of records wanted.
        problems: files that are damaged; what they stand for is neither trained nor overwritten.
        notes: what of the records is passed over, or holds other measures of dynamics than are wanted now.
        cells: finished and wanted records of each experiment, by its name.
        pilots: finished and wanted pilots of each experiment that has any, by its name.
        later: runs that wait for pilots, at the first point of their grid as long as none is chosen.
        restated: finished records that were trained at the chosen point, but by another choice, with today's; by path.
        records: the wanted records that are there of each experiment, by its name.
        moves: wanted records that other source of a user's own classes made, and the folders of such runs that were
            interrupted, with where they are kept when what they stand for is trained again; and those of today's source
            that are kept there, with their places.
        piloted: the records of its pilots likewise.
    """

    jobs: tuple[Job, ...]
    finished: int
    wanted: int
    problems: tuple[str, ...]
    notes: tuple[str, ...] = ()
    cells: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    pilots: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    later: tuple[Job, ...] = ()
    restated: Mapping[Path, Record] = field(default_factory=dict)
    records: Mapping[str, tuple[Record, ...]] = field(default_factory=dict)
    piloted: Mapping[str, tuple[Record, ...]] = field(default_factory=dict)
    moves: Mapping[Path, Move] = field(default_factory=dict)

    @property
    def runs(self) -> tuple[Job, ...]:
        """All runs that are left, those that wait for pilots too."""
        return *self.jobs, *self.later

    @property
    def counts(self) -> str:
        """How many of the wanted records and pilots are there, in words."""
        records = f"{self.finished} of {self.wanted} records are there"
        if not self.pilots:
            return records
        finished, wanted = (sum(counts) for counts in zip(*self.pilots.values(), strict=True))
        return f"{records}, {finished} of {wanted} pilots"


def joined(plans: Collection[Plan]) -> Plan:
    """Return the plans of several suites as one."""
    return Plan(
        tuple(job for plan in plans for job in plan.jobs),
        sum(plan.finished for plan in plans),
        sum(plan.wanted for plan in plans),
        tuple(problem for plan in plans for problem in plan.problems),
        later=tuple(job for plan in plans for job in plan.later),
        restated={path: record for plan in plans for path, record in plan.restated.items()},
        moves={path: move for plan in plans for path, move in plan.moves.items()},
    )


def largest_ensemble(experiment: Experiment) -> int:
    """Return ``LARGEST_ENSEMBLE``, whatever the size of the networks."""
    return LARGEST_ENSEMBLE


def make_plan(
    experiments: tuple[Experiment, ...],
    instances: tuple[int, ...],
    runs_dir: Path,
    largest: Callable[[Experiment], int] = largest_ensemble,
    suite: tuple[Experiment, ...] = (),
    any_source: bool = False,
) -> Plan:
    """Compare what is wanted with the records and unfinished runs in ``runs_dir``.

    Args:
        experiments: what is wanted.
        instances: which instances of each.
        runs_dir: folder of records and runs.
        largest: members of a run at most, for experiments of which several are missing that no run has begun. A run
            that was begun keeps its members.
        suite: all experiments of the suite, those wanted if empty: records of none of them are passed over.
        any_source: whether records that other source of a user's own classes made count as the wanted ones.
    """
    everything, names = suite or experiments, {experiment.name for experiment in experiments}
    short = {e.name: pilots_of(e) for e in everything if e.pilot is not None}
    stale = Stale(runs_dir, any_source)
    found = _Found(tuple(short.values()), runs_dir, stale)
    tries = {e.name: _look(short[e.name], range(e.pilot.instances), found, runs_dir) for e in everything if e.pilot}
    ready = tuple(
        with_choice(e, tries[e.name].records) if e.name in tries and tries[e.name].is_whole else e for e in everything
    )
    found = _Found(ready, runs_dir, stale)
    jobs: list[Job] = []
    later: list[Job] = []
    problems: list[str] = []
    cells: dict[str, tuple[int, int]] = {}
    records: dict[str, tuple[Record, ...]] = {}
    restated: dict[Path, Record] = {}
    for experiment in (e for e in ready if e.name in names):
        if experiment.pilot and not experiment.tried:
            tried = tries[experiment.name]
            problems.extend(tried.problems)
            jobs.extend(_jobs(short[experiment.name], tried.missing, stale, problems, largest))
            experiment = dataclasses.replace(experiment, chosen=experiment.points()[0].values)
            members = [Member(experiment.points()[0].id, instance) for instance in instances]
            cells[experiment.name] = 0, len(members)
            later.extend(_new_jobs(experiment, members, runs_dir, largest))
            continue
        of_cell = _look(experiment, instances, found, runs_dir)
        problems.extend(of_cell.problems)
        cells[experiment.name] = len(of_cell.records), of_cell.wanted
        records[experiment.name] = tuple(of_cell.records)
        jobs.extend(_jobs(experiment, of_cell.missing, stale, problems, largest))
        restated |= _restated(experiment, of_cell.records, runs_dir)
    finished, wanted = (sum(counts) for counts in zip(*cells.values(), strict=True)) if cells else (0, 0)
    notes = (*stale.notes(), *_unmeasured(ready, records), *found.passed_over(restated))
    pilots = {name: (len(tries[name].records), tries[name].wanted) for name in names if name in tries}
    piloted = {name: tuple(tries[name].records) for name in pilots}
    return Plan(
        tuple(jobs), finished, wanted, tuple(problems), notes, cells, pilots, tuple(later), restated, records, piloted,
        stale.moves,
    )  # fmt: skip


class _Looked(NamedTuple):
    """What is there of the members of an experiment: records, what is missing, and what stands in the way."""

    records: list[Record]
    missing: list[Member]
    problems: list[str]

    @property
    def wanted(self) -> int:
        return len(self.records) + len(self.missing) + len(self.problems)

    @property
    def is_whole(self) -> bool:
        return not self.missing and not self.problems


def _look(experiment: Experiment, instances: Iterable[int], found: _Found, runs_dir: Path) -> _Looked:
    looked = _Looked([], [], [])
    # Instances outside, points inside: an ensemble that is cut keeps the points of an instance together.
    members = [Member(point.id, instance) for instance in instances for point in experiment.points()]
    cell = Job(experiment, tuple(members), runs_dir)
    for member in members:
        state = found.state(cell.record_path(member))
        if state is None:
            looked.missing.append(member)
        elif isinstance(state, str):
            looked.problems.append(state)
        else:
            looked.records.append(state)
    return looked


def _restated(experiment: Experiment, records: list[Record], runs_dir: Path) -> dict[Path, Record]:
    """Return the records that another choice led to, as today's choice has them: what was trained is the same."""
    grid, points = plain(experiment.grid), {point.id: point.values for point in experiment.points()}
    others = [record for record in records if (record.grid, record.pilot) != (grid, experiment.tried)]
    today = {"family_id": experiment.family_id, "grid": grid, "pilot": experiment.tried}
    return {
        path: read_record(path).model_copy(update={**today, "point": points[record.experiment_id]})
        for path, record in ((path_of(runs_dir, record), record) for record in others)
    }


class _Found:
    """What lies under the folders of a suite's budgets: the records that ``publish`` and ``leaderboard`` see too."""

    def __init__(self, suite: tuple[Experiment, ...], runs_dir: Path, stale: Stale) -> None:
        self._suite, self._stale = suite, stale
        # By the path as text.
        self._entries: dict[str, Entry] = {}
        self._reasons: dict[Path, str] = {}
        # Of the folder of a suite's budget no point is asked for.
        folders = {(e.is_pilot, e.suite, e.budget): Job(e, (Member("0", 0),), runs_dir) for e in suite}.values()
        for root, place in dict.fromkeys((job.root, job.record_path(job.members[0])) for job in folders):
            folder = place.parents[2].relative_to(root)
            found, problems = entries(root, folder)
            self._entries |= {os.path.join(root, entry.place): entry for entry in found}
            self._reasons |= {root / problem.path: problem.reason for problem in problems}

    def state(self, path: Path) -> Record | str | None:
        """Return a finished record, perhaps one to be taken back, what is wrong with it, or None if it is missing."""
        entry, reason = self._entries.get(str(path)), self._reasons.pop(path, "")
        record = None
        if entry is not None:
            record = entry.record()
            if self._stale.holds(path, record):
                return self._stale.returned(path)
            if record.status == "interrupted":
                return None
            reason = read_side_arrays(path, record)[1]
        elif not reason:
            if not path.is_dir():
                return self._stale.returned(path)
            reason = "is a folder"
        return f"{path}: {reason}; {UNTOUCHED}" if reason else record

    def passed_over(self, restated: Collection[Path]) -> list[str]:
        """Return what is not among the suite's records: of another version of it, or no record in its place."""
        chosen = set(map(str, restated))
        # What tells versions apart is shared.
        seen: dict[object, Record] = {}
        records = [
            seen[entry.shared] if entry.shared in seen else seen.setdefault(entry.shared, entry.record())
            for path, entry in self._entries.items()
            if path not in chosen
        ]
        others = [f"passed over: {version}" for version in other_versions(self._suite, records)]
        return [*others, *(f"passed over: {path}: {reason}" for path, reason in self._reasons.items())]


def _unmeasured(experiments: Iterable[Experiment], records: Mapping[str, Collection[Record]]) -> Iterator[str]:
    """Yield a note for each measure that finished records do not hold with the wanted settings."""
    lacking: dict[str, dict[str, int]] = defaultdict(dict)
    for experiment in experiments:
        for spec in experiment.measures:
            of_cell = records.get(experiment.name, ())
            taken = (record.measures.get(spec["measure"], {}).values() for record in of_cell)
            count = sum(all(one.settings != spec["settings"] for one in moments) for moments in taken)
            if count:
                lacking[spec["measure"]][experiment.name] = count
    for name, cells in lacking.items():
        others = f" and {len(cells) - 1} more cell{'s' * (len(cells) > 2)}" if len(cells) > 1 else ""
        yield (
            f"{next(iter(cells))}{others}: finished records without {name}, or with other settings of it: "
            f"{sum(cells.values())}. 'rnnbench measure' takes it afterwards (docs/networks.md); to train and measure "
            "again, move the records away or give another --runs-dir"
        )


def _jobs(
    experiment: Experiment,
    missing: list[Member],
    stale: Stale,
    problems: list[str],
    largest: Callable[[Experiment], int],
) -> list[Job]:
    if not missing:
        return []
    jobs = []
    runs_dir = stale.runs_dir
    cell = Job(experiment, (missing[0],), runs_dir)
    unfinished, damaged = _unfinished(cell, [cell.folder.parent, *stale.resumed(cell.folder.parent)])
    problems.extend(damaged.values())
    for folder, job in unfinished:
        if folder == job.folder and stale.holds_run(job):
            continue
        if set(job.members) & set(missing):
            if folder != job.folder:
                stale.take_back(folder, job.folder)
            jobs.append(job)
            missing = [member for member in missing if member not in job.members]
    # Beside a description that is damaged may lie a checkpoint worth keeping.
    return [*jobs, *(job for job in _new_jobs(experiment, missing, runs_dir, largest) if job.file not in damaged)]


def _new_jobs(
    experiment: Experiment, members: list[Member], runs_dir: Path, largest: Callable[[Experiment], int]
) -> list[Job]:
    """Return the runs of members, together as many as fit of those that one optimiser can train."""
    recipes = {point.id: json.dumps(point.config["training"] | {"learning_rate": 0}) for point in experiment.points()}
    # To ask may take building the network: not where nothing depends on it.
    size = largest(experiment) if len(members) > 1 else 1
    jobs = []
    groups: dict[str, list[Member]] = {recipe: [] for recipe in recipes.values()}
    for member in members:
        groups[recipes[member.experiment_id]].append(member)
    for together in groups.values():
        chunks = (tuple(together[i : i + size]) for i in range(0, len(together), size))
        jobs += [Job(experiment, chunk, runs_dir) for chunk in chunks]
    return jobs


def _unfinished(any_job: Job, places: Iterable[Path]) -> tuple[list[tuple[Path, Job]], dict[Path, str]]:
    """Return the runs of a cell that are being trained or left a checkpoint, and what is wrong with which files.

    The runs come with the folders that they lie in, below one of several places.
    """
    found, damaged = [], {}
    points = {point.id for point in any_job.experiment.points()}
    for path in (path for place in places for path in sorted(place.glob(f"run-*/{JOB_FILE}"))):
        try:
            job = load_job(path, any_job.runs_dir)
            if path.with_name(CHECKPOINT).exists():
                # Damaged, it could not say by which source that was trained.
                noted_source(path.with_name(SOURCE_FILE))
        except UserError as error:
            damaged[path] = str(error)
            continue
        if (path.with_name(CHECKPOINT).exists() or is_leased(path.parent)) and {
            member.experiment_id for member in job.members
        } <= points:
            found.append((path.parent, Job(any_job.experiment, job.members, any_job.runs_dir)))
    return found, damaged
