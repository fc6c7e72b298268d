"""Doing a bundle: what of its jobs is not finished, by the worker processes of this machine."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable

from rnnbench.benchmark.launchers.bundle import Bundle, Unit
from rnnbench.benchmark.launchers.checks import Built
from rnnbench.benchmark.launchers.follow import after_pilots
from rnnbench.benchmark.launchers.local import run_jobs
from rnnbench.benchmark.launchers.plan import UNTOUCHED
from rnnbench.benchmark.launchers.worker import Outcome
from rnnbench.benchmark.run.job import Job
from rnnbench.leaderboard.files import FileError
from rnnbench.leaderboard.record import read_record


def is_whole(job: Job) -> bool:
    """Return whether every record of a job is there, and not that of an interrupted run."""
    try:
        return all(read_record(job.record_path(member)).status != "interrupted" for member in job.members)
    except (OSError, FileError):
        return False


def _damage(job: Job) -> str:
    """Return what is wrong with a record of a job that is damaged, which training left; empty if none is."""
    for path in map(job.record_path, job.members):
        try:
            read_record(path)
        except FileError as error:
            return f"{error}; {UNTOUCHED}"
    return ""


def run_bundle(bundle: Bundle, ended: Callable[[Job, Outcome], None], deadline: float = math.inf) -> None:
    """Train what is left of a bundle, and what follows its pilots.

    Args:
        bundle: what to train.
        ended: called whenever a job has ended, with how.
        deadline: the monotonic time at which what is being trained is interrupted, and nothing more begun.

    Raises:
        KeyboardInterrupt: SIGINT or SIGTERM came; what was being trained has been given time to end.
    """
    built = Built(bundle.options)

    def what_follows(unit: Unit) -> tuple[Job, ...]:
        if unit.follows is None:
            return ()
        plan = after_pilots(*unit.follows, bundle.options, built.members_that_fit)
        return plan.jobs if plan is not None else ()

    left = {unit: [job for job in unit.jobs if not is_whole(job)] for unit in bundle.units}
    units = {job: unit for unit, jobs in left.items() for job in jobs}
    waiting = deque(units)
    for unit in (unit for unit, jobs in left.items() if not jobs):
        waiting.extend(what_follows(unit))
    for job, outcome in run_jobs(waiting, bundle.options, bundle.options.workers, lambda: None, deadline):
        if outcome.kind == "trained" and (found := _damage(job)):
            outcome = Outcome("refused", found)
        ended(job, outcome)
        if outcome.kind == "trained" and job in units:
            waiting.extendleft(what_follows(units[job]))
