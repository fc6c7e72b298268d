"""Jobs on a Ray cluster: each is a task; what it writes comes back into the folder of runs of the command."""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import math
import sys
import time
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import ray
from ray.exceptions import RayError, RayTaskError, RuntimeEnvSetupError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from rnnbench.benchmark.config.options import RunOptions, TrainOptions
from rnnbench.benchmark.errors import UserError
from rnnbench.benchmark.interruption import noted_signals
from rnnbench.benchmark.launchers.bundle_run import is_whole
from rnnbench.benchmark.launchers.local import Tick
from rnnbench.benchmark.launchers.ray.cluster import connected, default_gpus, slots
from rnnbench.benchmark.launchers.ray.files import keep
from rnnbench.benchmark.launchers.ray.node import Board, Said, train_on_node
from rnnbench.benchmark.launchers.worker import Outcome
from rnnbench.benchmark.run.job import Job
from rnnbench.benchmark.run.lease import BusyError, Lease
from rnnbench.leaderboard.files import write_atomically
from rnnbench.leaderboard.text import printable

#: How often a job is begun again whose node or process was lost, as long as it gets no further.
_MOST_LOSSES = 5
_SECONDS_BETWEEN_LOOKS = 1.0
_SECONDS_TO_END = 30.0
#: A time limit is kept to 20 s, of which the report takes some.
_SECONDS_PAST_LIMIT = 12.0
#: Tasks that wait in the cluster for each that runs: a node is never idle, and one that joins finds work.
_TASKS_PER_SLOT = 2
#: Begun and asked again whenever it is lost, as where memory runs out.
_ALWAYS = {"max_restarts": -1, "max_task_retries": -1}


def run_jobs(
    jobs: Sequence[Job], options: RunOptions, workers: int | None, tick: Tick, deadline: float = math.inf
) -> Iterator[tuple[Job, Outcome]]:
    """Return what trains jobs on a Ray cluster and yields how each ended, as ``launchers.local`` on this machine.

    Args:
        jobs: what to train. To a deque more may be added whenever a job has ended.
        options: how, and on which cluster.
        workers: jobs at a time; None for as many as the nodes have room for.
        tick: called about once a second, to show progress.
        deadline: the monotonic time at which what is being trained is interrupted, and nothing more begun.

    Raises:
        UserError: there is no such cluster, or no node of it can do a job.
        KeyboardInterrupt: the command was interrupted; what was being trained has been given time to end.
    """
    waiting = jobs if isinstance(jobs, deque) else deque(jobs)
    with contextlib.ExitStack() as stack:
        stack.enter_context(connected(options.address))
        gpus = default_gpus() if options.gpus_per_job is None else options.gpus_per_job
        if not slots(gpus):
            raise UserError(f"no node of the Ray cluster has a core{f' and {gpus:g} GPUs' if gpus else ''} for a job")
        return _run(waiting, options, gpus, workers, tick, deadline, stack.pop_all())


def _run(
    waiting: deque[Job],
    options: RunOptions,
    gpus: float,
    workers: int | None,
    tick: Tick,
    deadline: float,
    connection: contextlib.ExitStack,
) -> Iterator[tuple[Job, Outcome]]:
    with connection, noted_signals() as noted:
        tasks = _Tasks(options, gpus)
        try:
            while (waiting or tasks) and not noted.is_set and time.monotonic() < deadline:
                while waiting and len(tasks) < (workers or _TASKS_PER_SLOT * slots(gpus)):
                    job = waiting.popleft()
                    if (outcome := tasks.begin(job)) is not None:
                        yield job, outcome
                yield from tasks.ended(min(_SECONDS_BETWEEN_LOOKS, max(0.0, deadline - time.monotonic())))
                tick()
            if noted.is_set:
                raise KeyboardInterrupt
        finally:
            tasks.end(_SECONDS_TO_END if time.monotonic() < deadline else _SECONDS_PAST_LIMIT)


@dataclass
class _Task:
    """A job that is at the cluster: its latest attempt, and how often one was lost since it last got further."""

    job: Job
    lease: Lease
    attempt: int
    losses: int = 0


class _Tasks:
    """The jobs that are at the cluster, each with its lease in the folder of runs."""

    def __init__(self, options: RunOptions, gpus: float) -> None:
        given = {field.name: getattr(options, field.name) for field in dataclasses.fields(TrainOptions)}
        data_dir = options.data_dir and options.data_dir.absolute()
        where = {"device_index": 0} if gpus else {"accelerator": "cpu"}
        self._options = TrainOptions(**{**given, "data_dir": data_dir, **where})
        here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
        self._board = ray.remote(Board).options(num_cpus=0, scheduling_strategy=here, **_ALWAYS).remote()
        # A job that is lost is sent again from here, with its latest checkpoint.
        self._train = ray.remote(train_on_node).options(num_cpus=1, num_gpus=gpus, max_retries=0)
        self._attempts = itertools.count()
        self._tasks: dict[Any, _Task] = {}

    def __len__(self) -> int:
        return len(self._tasks)

    def begin(self, job: Job) -> Outcome | None:
        """Send a job to the cluster; return how it ended if another command trains or has trained it."""
        job.folder.mkdir(parents=True, exist_ok=True)
        lease = Lease(job.folder)
        try:
            lease.__enter__()
        except BusyError as error:
            return Outcome("left", str(error))
        if is_whole(job):
            lease.__exit__()
            return Outcome("trained")
        job.begin()
        self._send(_Task(job, lease, 0))
        return None

    def _send(self, task: _Task) -> None:
        task.attempt = next(self._attempts)
        path = task.job.checkpoint
        checkpoint = path.read_bytes() if path.exists() else None
        self._tasks[self._train.remote(task.job, self._options, checkpoint, self._board, task.attempt)] = task

    def ended(self, seconds: float) -> Iterator[tuple[Job, Outcome]]:
        """Write what the tasks say, and yield what has ended or ends within some seconds."""
        if not self._tasks:
            return
        ray.wait(list(self._tasks), timeout=seconds)
        self._write_reports()
        for reference in ray.wait(list(self._tasks), num_returns=len(self._tasks), timeout=0)[0]:
            task = self._tasks.pop(reference)
            try:
                outcome = self._outcome(task, reference)
            except RayError as error:
                task.losses += 1
                if task.losses <= _MOST_LOSSES:
                    self._send(task)
                    continue
                reason = f"its node or process was lost {task.losses} times ({type(error).__name__})"
                outcome = Outcome("left", f"{reason}; the same command goes on from its checkpoint")
            task.lease.__exit__()
            yield task.job, outcome

    def _outcome(self, task: _Task, reference: Any) -> Outcome:
        """Return how a task ended, with what it wrote in its place; a ``RayError`` if it was lost."""
        try:
            outcome, (files, printed) = ray.get(reference)
        except RuntimeEnvSetupError as error:
            return Outcome("refused", f"the code cannot be set up on a node: {error}")
        except RayTaskError as error:
            return Outcome("failed", f"{type(error.cause).__name__}: {error.cause}")
        _print(printed)
        try:
            task.lease.confirm()
            keep(task.job, files, outcome.kind == "trained")
        except BusyError as error:
            return Outcome("left", str(error))
        except OSError as error:
            return Outcome("refused", f"what it wrote cannot be kept: {error.strerror or error}: {error.filename}")
        return Outcome(**vars(outcome))

    def _write_reports(self) -> None:
        by_attempt = {task.attempt: task for task in self._tasks.values()}
        try:
            said: dict[int, Said] = ray.get(self._board.take.remote())
        except RayError as error:
            reason = printable(str(error).partition("\n")[0], most=200)
            raise UserError(f"Ray's cluster is lost ({reason}); on one that runs, the command goes on") from error
        for attempt, (files, printed) in said.items():
            # Of an attempt that counts as lost nothing is taken any more.
            if (task := by_attempt.get(attempt)) is None:
                continue
            _print(printed)
            for name, content in files.items():
                path = task.job.runs_dir / name
                if path == task.job.checkpoint:
                    task.losses = 0
                # Another command that took over, or a full disk, is said when the task has ended.
                with contextlib.suppress(BusyError, OSError):
                    task.lease.confirm()
                    write_atomically(path, content)

    def end(self, seconds: float) -> None:
        """Have all tasks end in order, and wait some seconds for what they wrote."""
        if self._tasks:
            self._board.end.remote()
        deadline = time.monotonic() + seconds
        running = list(self._tasks)
        while running and (left := deadline - time.monotonic()) > 0:
            ready, running = ray.wait(running, timeout=left)
            for reference in ready:
                # What one lost task wrote comes with the next command; what the others wrote is still kept.
                with contextlib.suppress(RayError):
                    self._outcome(self._tasks[reference], reference)
        for reference, task in self._tasks.items():
            ray.cancel(reference, force=True)
            task.lease.__exit__()


def _print(printed: str) -> None:
    """Print what a task did, as a worker of this machine does itself."""
    if printed:
        print(printed, end="", file=sys.stderr, flush=True)
