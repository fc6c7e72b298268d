"""``rnnbench submit --slurm``: what is missing and not queued, as arrays of bundles."""

from __future__ import annotations

import dataclasses
import json
import os
import shlex
import shutil
import sys
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING

from rnnbench.benchmark.errors import UserError
from rnnbench.benchmark.launchers.bundle import Bundle, Unit, jobs_of, pack, units_of
from rnnbench.benchmark.launchers.checks import Built, check_plan
from rnnbench.benchmark.launchers.choice import check_patterns, plan_of, print_findings, wanted_instances
from rnnbench.benchmark.launchers.one_at_a_time import one_at_a_time
from rnnbench.benchmark.launchers.plan import Plan, joined
from rnnbench.benchmark.launchers.slurm.commands import SlurmError, SlurmSilence, submit_array, tasks
from rnnbench.benchmark.launchers.slurm.script import Resources, as_duration, script_text
from rnnbench.benchmark.launchers.slurm.submissions import (
    ARRAYS,
    FOLDER,
    SCRIPT,
    Held,
    array_name,
    held_by,
    loaded,
    sent_bundles,
)
from rnnbench.benchmark.launchers.stale import Move, move_records, undone
from rnnbench.benchmark.launchers.time_left import Speeds
from rnnbench.benchmark.launchers.writable import check_writable
from rnnbench.leaderboard.files import write_atomically

if TYPE_CHECKING:
    from rnnbench.benchmark.config.options import RunOptions
    from rnnbench.benchmark.config.suite import Suite
    from rnnbench.benchmark.run.job import Job

#: Seconds that a bundle takes at most, unless the user or its only run says otherwise; and part of the wall clock.
_LONGEST, _SHARE = 1800.0, 0.5


@dataclasses.dataclass(frozen=True)
class Submission:
    """How to submit.

    Attributes:
        resources: what each task asks for.
        array_limit: tasks of an array at most.
        bundle_seconds: how long bundles of short runs take; None for half of the wall clock, or half an hour.
        only_print: whether to submit and write nothing.
        command: what was asked, in words.
    """

    resources: Resources
    array_limit: int
    bundle_seconds: float | None
    only_print: bool
    command: str


def submit(suites: Sequence[Suite], options: RunOptions, submission: Submission) -> int:
    """Submit what of suites is missing and not queued, and print the ids of the arrays.

    Returns:
        0 if all that is missing is queued now; 2 if something that the user can fix stood in the way; 3 if SLURM took
        a part of it only, or did not answer.

    Raises:
        UserError: a mistake, found before anything was submitted.
    """
    check_patterns(suites, options.only)
    resources = submission.resources
    # A task is not this machine: how many runs it does at a time follows from what it asks for.
    workers = options.workers or resources.gpus or resources.cpus
    options = dataclasses.replace(options, workers=1 if options.devices > 1 else workers)
    if submission.only_print:
        return _submit(suites, options, submission)
    for command in ("sbatch", "squeue"):
        if shutil.which(command) is None:
            raise UserError(f"{command} is not on PATH: submit where SLURM's commands are; --print only shows")
    if (place := options.runs_dir / FOLDER).is_file():
        raise UserError(f"{place} is a file, where submissions are to lie: move it away")
    check_writable(place, f"--runs-dir {options.runs_dir}")
    # What another sends is then in the queue.
    with one_at_a_time(options.runs_dir / FOLDER, "submit"):
        return _submit(suites, options, submission)


def _submit(suites: Sequence[Suite], options: RunOptions, submission: Submission) -> int:
    # The queue before the records: what ends in between has its records, and is not sent again.
    held = _held(options.runs_dir, submission.only_print)
    built = Built(options)
    plans = [plan_of(suite, options, built.members_that_fit) for suite in suites]
    for suite, plan in zip(suites, plans, strict=True):
        print_findings(plan)
        print(f"{suite.name} ({suite.budget}): {plan.counts}", flush=True)
    whole = joined(plans)
    check_plan(whole, built, None)
    instances = {suite.name: wanted_instances(suite, options) for suite in suites}
    units = list(_not_held(units_of(whole, instances), held))
    code = 2 if whole.problems else 0
    if not units:
        if not submission.only_print:
            move_records(options.runs_dir, whole.moves)
        queued = len(whole.jobs)
        print(f"nothing to submit: {f'{queued} runs are queued or running' if queued else 'nothing is missing'}")
        return code
    bundles = _bundles(units, plans, options, submission)
    return _send(bundles, options, submission, whole.moves) or code


def _held(runs_dir: Path, only_print: bool) -> Held:
    try:
        queue = tasks()
    except SlurmError as error:
        if not only_print:
            raise
        print(f"note: what is queued is shown as if it were not: {error}", file=sys.stderr)
        queue = []
    queued = (sent for sent in sent_bundles(runs_dir, queue) if sent.is_queued)
    return held_by(bundle for _, bundle in loaded(queued))


def _not_held(units: Iterable[Unit], held: Held) -> Iterator[Unit]:
    """Yield what of units no queued bundle holds."""
    for unit in units:
        jobs = []
        for job in unit.jobs:
            members = tuple(member for member in job.members if not held.holds(job, member))
            if members:
                jobs.append(job if members == job.members else dataclasses.replace(job, members=members))
        if jobs:
            yield dataclasses.replace(unit, jobs=tuple(jobs))


def _bundles(
    units: Sequence[Unit], plans: Sequence[Plan], options: RunOptions, submission: Submission
) -> list[tuple[Bundle, float]]:
    """Return bundles and the seconds that each is estimated to take one worker."""
    resources, workers = submission.resources, options.workers or 1
    target = submission.bundle_seconds or min(_LONGEST, _SHARE * resources.time)
    kept = (records for plan in plans for known in (plan.records, plan.piloted) for records in known.values())
    speeds = Speeds((record for records in kept for record in records), options.runs_dir)
    by_cell = {(job.experiment.suite, job.experiment.name): plan for plan in plans for job in plan.runs}
    waiting: dict[tuple[str, str], list[Job]] = defaultdict(list)
    for job in (job for plan in plans for job in plan.later):
        waiting[job.experiment.suite, job.experiment.name].append(job)

    def seconds(unit: Unit) -> float:
        cell = unit.jobs[0].experiment.suite, unit.jobs[0].experiment.name
        later = waiting[cell] if unit.follows else []
        found = [speeds.seconds(job, by_cell[cell]) for job in (*unit.jobs, *later)]
        # Of what nothing is known, one fills a bundle.
        return sum(target if each is None else each / options.devices for each in found)

    durations: Mapping[Unit, float] = {unit: seconds(unit) for unit in units}
    kept_options = dataclasses.replace(options, time_limit=None)
    return [
        (Bundle(tuple(packed), kept_options), sum(durations[unit] for unit in packed) / workers)
        for packed in pack(durations, target, workers)
    ]


def _send(
    bundles: list[tuple[Bundle, float]], options: RunOptions, submission: Submission, moves: Mapping[Path, Move]
) -> int:
    now = datetime.now(timezone.utc)
    folder = (options.runs_dir / FOLDER / f"{now:%Y%m%d-%H%M%S}-{os.urandom(3).hex()}").absolute()
    script = script_text(submission.command, submission.resources, folder)
    limit = submission.array_limit
    arrays = {first: min(limit, len(bundles) - first) for first in range(0, len(bundles), limit)}
    runs = sum(len(jobs_of(bundle.units)) for bundle, _ in bundles)
    longest, wall = max(seconds for _, seconds in bundles), submission.resources.time
    further = f", more than the {as_duration(wall)} of a task: the rest goes on in further ones" * (longest > wall)
    total = (
        f"{runs} run{'s' * (runs > 1)} in {len(bundles)} bundle{'s' * (len(bundles) > 1)} "
        f"of {as_duration(longest)} at most (estimated){further}"
    )
    words = {first: _sbatch_words(folder, first, count) for first, count in arrays.items()}
    if submission.only_print:
        print(f"{script}\n# {total}\n" + "\n".join(f"# {shlex.join(['sbatch', *each])}" for each in words.values()))
        return 0
    for number, (bundle, _) in enumerate(bundles):
        bundle.save(folder / f"{number}.json")
    write_atomically(folder / SCRIPT, script.encode())
    # Before a task can begin, which would take records of other source for the wanted ones.
    move_records(options.runs_dir, moves)
    ids: dict[int, str] = {}
    for first, count in arrays.items():
        try:
            ids[first] = submit_array(words[first])
        except SlurmSilence as error:
            # Its bundles stay: if the array is queued all the same, its tasks need them.
            print(f"error: {error}; look into squeue, then submit again what is left", file=sys.stderr)
            return 3
        except SlurmError as error:
            if not ids:
                shutil.rmtree(folder)
                move_records(options.runs_dir, undone(moves))
                raise UserError(f"nothing was submitted: {error}") from error
            print(f"error: {error}; {len(bundles) - first} bundles are left: submit again later", file=sys.stderr)
            return 3
        write_atomically(folder / ARRAYS, json.dumps(ids).encode())
        print(f"submitted {ids[first]}: {count} task{'s' * (count > 1)}", flush=True)
    print(f"{total}; script, bundles and logs are in {options.runs_dir / FOLDER / folder.name}")
    return 0


def _sbatch_words(folder: Path, first: int, count: int) -> list[str]:
    # A percent sign in a path would be one of SLURM's replacements.
    log = f"{str(folder).replace('%', '%%')}/%A_%a.log"
    name, array = f"--job-name={array_name(folder, first)}", f"--array=0-{count - 1}"
    return [name, array, f"--chdir={Path.cwd()}", f"--output={log}", str(folder / SCRIPT), str(first)]
