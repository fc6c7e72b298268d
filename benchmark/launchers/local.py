"""Jobs on this machine: one process per core or per GPU, or one process tree per job over several devices."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import multiprocessing
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from types import FrameType
from typing import TYPE_CHECKING, Literal

from rnnbench.benchmark.errors import UserError, message_of
from rnnbench.benchmark.launchers.worker import PARENT, Outcome, start_worker, train_job
from rnnbench.benchmark.run.job import Job

if TYPE_CHECKING:
    from rnnbench.benchmark.run.train import TrainOptions

Tick = Callable[[], None]

_KILLED = "its process was killed, perhaps for want of memory; the same command goes on from its checkpoint"
_SECONDS_TO_END = 30.0
#: Variables by which torchrun, SLURM's wrappers and Lightning itself tell a process its place among others.
_OF_LAUNCHERS = {"LOCAL_RANK", "RANK", "GROUP_RANK", "NODE_RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT"}


def run_jobs(
    jobs: Sequence[Job], options: TrainOptions, workers: int | None, tick: Tick
) -> Iterator[tuple[Job, Outcome]]:
    """Train jobs and yield how each ended, in the order in which they end.

    Args:
        jobs: what to train.
        options: how.
        workers: processes at a time; None for one per core or per GPU.
        tick: called about once a second, to show progress.

    Raises:
        UserError: there are fewer GPUs than devices wanted.
    """
    signal.signal(signal.SIGTERM, _interrupt)
    gpus = _gpu_count() if options.accelerator in ("auto", "gpu", "cuda") else 0
    if options.devices > 1:
        if gpus and options.devices > gpus:
            remedy = "set CUDA_VISIBLE_DEVICES to nothing to share batches between processes on the CPU"
            raise UserError(f"--devices is {options.devices}: from 1 to {gpus} are allowed, the GPUs here; {remedy}")
        yield from _run_over_devices(jobs, options, tick)
        return
    count = min(len(jobs), workers or gpus or os.cpu_count() or 1)
    waiting = list(jobs)
    while waiting:
        try:
            for job, outcome in _run_in_pool(waiting, options, count, gpus, tick):
                waiting.remove(job)
                yield job, outcome
        except _LostWorkerError as error:
            # The pool does not say which job its process died of: all that were running are given up, the rest goes on.
            for job in error.jobs:
                waiting.remove(job)
                yield job, Outcome("refused", f"{job.name}: {_KILLED}")


class _LostWorkerError(Exception):
    def __init__(self, jobs: Sequence[Job]) -> None:
        super().__init__()
        self.jobs = jobs


def _run_in_pool(
    jobs: Sequence[Job], options: TrainOptions, count: int, gpus: int, tick: Tick
) -> Iterator[tuple[Job, Outcome]]:
    context = multiprocessing.get_context("spawn")
    devices = context.Queue() if gpus else None
    for worker in range(count if gpus else 0):
        assert devices is not None  # noqa: S101
        devices.put(worker % gpus)
    with ProcessPoolExecutor(count, context, start_worker, (devices,)) as pool:
        queue = list(jobs)
        running: dict[Future[Outcome], Job] = {}
        try:
            while queue or running:
                # No more than there are workers: a job in the pool's own queue could not be told from a running one.
                while queue and len(running) < count:
                    running[pool.submit(train_job, queue[0], options)] = queue[0]
                    queue.pop(0)
                done, _ = wait(running, timeout=1.0, return_when=FIRST_COMPLETED)
                tick()
                # First those that ended well: beside a lost process they would count as lost too.
                for future in sorted(done, key=lambda future: future.exception() is not None):
                    outcome = future.result()
                    yield running.pop(future), outcome
        except BrokenProcessPool as error:
            raise _LostWorkerError(list(running.values())) from error
        except BaseException:
            # Interrupted: the workers write what they have and end; their pool would wait for whole jobs.
            for process in multiprocessing.active_children():
                process.terminate()
            raise


def _run_over_devices(jobs: Sequence[Job], options: TrainOptions, tick: Tick) -> Iterator[tuple[Job, Outcome]]:
    """Train one job at a time, each in a process of its own, which Lightning's launcher executes once per device."""
    encoded = json.dumps(dataclasses.asdict(options), default=str)
    # What another launcher says of its processes is not about ours; Lightning then takes a free port.
    environment = {name: value for name, value in os.environ.items() if name not in _OF_LAUNCHERS}
    environment[PARENT] = str(os.getpid())
    for job in jobs:
        try:
            job.save()
        except OSError as error:
            yield job, Outcome("refused", f"{job.name}: {message_of(error)}")
            continue
        command = [
            sys.executable,
            "-m",
            "rnnbench.benchmark.launchers.worker",
            str(job.file),
            str(job.runs_dir),
            encoded,
        ]
        # A session of its own: Ctrl-C reaches this process only, which ends the whole tree in order.
        process = subprocess.Popen(  # noqa: S603
            command, env=environment, stderr=subprocess.PIPE, text=True, start_new_session=True
        )
        try:
            # All devices may have met the same.
            errors = "\n".join(dict.fromkeys(_wait_for(process, tick).strip().splitlines()))
        except BaseException:
            _interrupt_tree(process)
            raise
        if process.returncode == 0:
            # What went well may still have warned.
            print(errors, end="\n" if errors else "", file=sys.stderr)
            yield job, Outcome("trained")
        elif process.returncode < 0 and not errors:
            yield job, Outcome("refused", f"{job.name}: {_KILLED}")
        else:
            kind: Literal["refused", "failed"] = "refused" if process.returncode == 2 else "failed"
            yield job, Outcome(kind, errors or f"{job.name}: its process ended with exit code {process.returncode}")


def _wait_for(process: subprocess.Popen[str], tick: Tick) -> str:
    """Return what a process and its children wrote to their standard error, once all of them have ended."""
    while True:
        try:
            return process.communicate(timeout=1.0)[1]
        except subprocess.TimeoutExpired:
            tick()


def _interrupt_tree(process: subprocess.Popen[str]) -> None:
    """Let a run write what it has, then end whatever is left of its processes."""
    try:
        # Not SIGTERM: Lightning answers it with a collective operation, at which its processes may wait for ever.
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=_SECONDS_TO_END)
    except subprocess.TimeoutExpired:
        return
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)


def _gpu_count() -> int:
    import torch

    return torch.cuda.device_count()


def _interrupt(signum: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt
