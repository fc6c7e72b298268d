"""What of a suite is still to be trained: finished records are skipped, interrupted runs go on. Imports no torch."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from rnnbench.benchmark.config.experiment import Experiment
from rnnbench.benchmark.config.versions import other_versions
from rnnbench.benchmark.errors import UserError
from rnnbench.benchmark.run.job import JOB_FILE, Job, Member, load_job
from rnnbench.leaderboard.schema import Record
from rnnbench.leaderboard.store import find_records, path_of, read_side_arrays

#: Members of one run at most: more share the work no better.
LARGEST_ENSEMBLE = 16


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
    """

    jobs: tuple[Job, ...]
    finished: int
    wanted: int
    problems: tuple[str, ...]
    notes: tuple[str, ...] = ()
    cells: Mapping[str, tuple[int, int]] = field(default_factory=dict)


def largest_ensemble(experiment: Experiment) -> int:
    """Return ``LARGEST_ENSEMBLE``, whatever the size of the networks."""
    return LARGEST_ENSEMBLE


def make_plan(
    experiments: tuple[Experiment, ...],
    instances: tuple[int, ...],
    runs_dir: Path,
    largest: Callable[[Experiment], int] = largest_ensemble,
    suite: tuple[Experiment, ...] = (),
) -> Plan:
    """Compare what is wanted with the records and unfinished runs in ``runs_dir``.

    Args:
        experiments: what is wanted.
        instances: which instances of each.
        runs_dir: folder of records and runs.
        largest: members of a run at most, for experiments of which several are missing that no run has begun. A run
            that was begun keeps its members.
        suite: all experiments of the suite, those wanted if empty: records of none of them are passed over.
    """
    found = _Found(suite or experiments, runs_dir)
    jobs: list[Job] = []
    problems: list[str] = []
    unmeasured: list[str] = []
    cells: dict[str, tuple[int, int]] = {}
    for experiment in experiments:
        # Instances outside, points inside: an ensemble that is cut keeps the points of an instance together.
        members = [Member(point.id, instance) for instance in instances for point in experiment.points()]
        missing, records = [], []
        for member in members:
            state = found.state(Job(experiment, (member,), runs_dir).record_path(member))
            if state is None:
                missing.append(member)
            elif isinstance(state, str):
                problems.append(state)
            else:
                records.append(state)
        cells[experiment.name] = len(records), len(members)
        jobs.extend(_jobs(experiment, missing, runs_dir, problems, largest))
        unmeasured.extend(_unmeasured(experiment, records))
    finished, wanted = (sum(counts) for counts in zip(*cells.values(), strict=True)) if cells else (0, 0)
    return Plan(tuple(jobs), finished, wanted, tuple(problems), (*unmeasured, *found.passed_over()), cells)


class _Found:
    """What lies under the folders of a suite's budgets: the records that ``publish`` and ``leaderboard`` see too."""

    def __init__(self, suite: tuple[Experiment, ...], runs_dir: Path) -> None:
        self._suite, self._runs_dir = suite, runs_dir
        self._records: dict[Path, Record] = {}
        self._reasons: dict[Path, str] = {}
        cells = [Job(e, (Member(e.points()[0].id, 0),), runs_dir).folder.parent for e in suite]
        for folder in dict.fromkeys(cell.parents[1].relative_to(runs_dir) for cell in cells):
            records, problems = find_records(runs_dir, folder)
            self._records |= {path_of(runs_dir, record): record for record in records}
            self._reasons |= {runs_dir / problem.path: problem.reason for problem in problems}

    def state(self, path: Path) -> Record | str | None:
        """Return a finished record, what is wrong with it, or None if it is missing or that of an interrupted run."""
        record, reason = self._records.get(path), self._reasons.pop(path, "")
        if record is not None:
            if record.status == "interrupted":
                return None
            reason = read_side_arrays(path, record)[1]
        elif not reason and path.is_dir():
            reason = "is a folder"
        problem = f"{path}: {reason}; it is left untouched: move it away to train this instance again"
        return problem if reason else record

    def passed_over(self) -> list[str]:
        """Return what is not among the suite's records: of another version of it, or no record in its place."""
        others = [f"passed over: {version}" for version in other_versions(self._suite, self._records.values())]
        return [*others, *(f"passed over: {path}: {reason}" for path, reason in self._reasons.items())]


def _unmeasured(experiment: Experiment, records: list[Record]) -> Iterator[str]:
    """Yield a note for each of the wanted measures that finished records do not hold with the wanted settings."""
    for spec in experiment.measures:
        name = spec["measure"]
        held = [any(one.settings == spec["settings"] for one in r.measures.get(name, {}).values()) for r in records]
        if not all(held):
            yield (
                f"{experiment.name}: finished records without {name}, or with other settings of it: "
                f"{held.count(False)}. It is not taken afterwards: move the records away, or give another --runs-dir, "
                "to train and measure again"
            )


def _jobs(
    experiment: Experiment,
    missing: list[Member],
    runs_dir: Path,
    problems: list[str],
    largest: Callable[[Experiment], int],
) -> list[Job]:
    if not missing:
        return []
    jobs = []
    unfinished, damaged = _unfinished(Job(experiment, (missing[0],), runs_dir))
    problems.extend(damaged.values())
    for job in unfinished:
        if set(job.members) & set(missing):
            jobs.append(job)
            missing = [member for member in missing if member not in job.members]
    # To ask may take building the network: not where nothing depends on it.
    size = largest(experiment) if len(missing) > 1 else 1
    chunks = (tuple(missing[i : i + size]) for i in range(0, len(missing), size))
    new = (Job(experiment, chunk, runs_dir) for chunk in chunks)
    # Beside a description that is damaged may lie a checkpoint worth keeping.
    return [*jobs, *(job for job in new if job.file not in damaged)]


def _unfinished(any_job: Job) -> tuple[list[Job], dict[Path, str]]:
    """Return the runs of a cell that left a checkpoint of the same experiment, and what is wrong with which files."""
    found, damaged = [], {}
    points = {point.id for point in any_job.experiment.points()}
    for path in sorted(any_job.folder.parent.glob(f"run-*/{JOB_FILE}")):
        try:
            job = load_job(path, any_job.runs_dir)
        except UserError as error:
            damaged[path] = str(error)
            continue
        if job.checkpoint.exists() and {member.experiment_id for member in job.members} <= points:
            found.append(Job(any_job.experiment, job.members, any_job.runs_dir))
    return found, damaged
