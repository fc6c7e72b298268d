"""What of a suite is still to be trained: finished records are skipped, interrupted runs go on. Imports no torch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from rnnbench.benchmark.config.experiment import Experiment
from rnnbench.benchmark.errors import UserError
from rnnbench.benchmark.run.job import JOB_FILE, Job, Member, load_job
from rnnbench.leaderboard.record import RecordError
from rnnbench.leaderboard.schema import Record
from rnnbench.leaderboard.store import read_placed, read_side_arrays

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
        notes: finished records that hold other measures of dynamics than are wanted now; they stay as they are.
    """

    jobs: tuple[Job, ...]
    finished: int
    wanted: int
    problems: tuple[str, ...]
    notes: tuple[str, ...] = ()


def largest_ensemble(experiment: Experiment) -> int:
    """Return ``LARGEST_ENSEMBLE``, whatever the size of the networks."""
    return LARGEST_ENSEMBLE


def make_plan(
    experiments: tuple[Experiment, ...],
    instances: tuple[int, ...],
    runs_dir: Path,
    largest: Callable[[Experiment], int] = largest_ensemble,
) -> Plan:
    """Compare what is wanted with the records and unfinished runs in ``runs_dir``.

    Args:
        experiments: what is wanted.
        instances: which instances of each.
        runs_dir: folder of records and runs.
        largest: members of a run at most, for experiments of which several are missing that no run has begun. A run
            that was begun keeps its members.
    """
    jobs: list[Job] = []
    problems: list[str] = []
    notes: list[str] = []
    finished = wanted = 0
    for experiment in experiments:
        # Instances outside, points inside: an ensemble that is cut keeps the points of an instance together.
        members = [Member(point.id, instance) for instance in instances for point in experiment.points()]
        missing = []
        unmeasured: dict[str, int] = {}
        for member in members:
            state, record = _state(Job(experiment, (member,), runs_dir).record_path(member), runs_dir)
            for name in _unmeasured(experiment, record):
                unmeasured[name] = unmeasured.get(name, 0) + 1
            if state == "missing":
                missing.append(member)
            elif state != "finished":
                problems.append(state)
            finished += state == "finished"
        wanted += len(members)
        jobs.extend(_jobs(experiment, missing, runs_dir, problems, largest))
        notes.extend(
            f"{experiment.name}: finished records without {name}, or with other settings of it: {count}. It is not "
            "taken afterwards: move the records away, or give another --runs-dir, to train and measure anew"
            for name, count in unmeasured.items()
        )
    return Plan(tuple(jobs), finished, wanted, tuple(problems), tuple(notes))


def _unmeasured(experiment: Experiment, record: Record | None) -> list[str]:
    """Return which of the wanted measures a finished record does not hold with the wanted settings."""
    if record is None:
        return []
    return [
        spec["measure"]
        for spec in experiment.measures
        if not any(one.settings == spec["settings"] for one in record.measures.get(spec["measure"], {}).values())
    ]


def _state(path: Path, runs_dir: Path) -> tuple[str, Record | None]:
    """Return ``finished``, ``missing`` (so an interrupted record counts), or what is wrong; and the finished record."""
    remedy = "it is left untouched: move it away to train this instance again"
    try:
        record = read_placed(runs_dir, path)
    except FileNotFoundError:
        return "missing", None
    except RecordError as error:
        return f"{error}; {remedy}", None
    if record.status == "interrupted":
        return "missing", None
    _, reason = read_side_arrays(path, record)
    return (f"{path}: {reason}; {remedy}", None) if reason else ("finished", record)


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
