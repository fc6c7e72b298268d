"""Jobs on this machine: one process per core or per GPU, or one job at a time over several devices."""

import dataclasses
import functools
import math
import os
import re
import socket
from collections.abc import Callable, Iterator, Sequence

from rnnbench.benchmark.config.options import TrainOptions
from rnnbench.benchmark.errors import UserError
from rnnbench.benchmark.launchers.machine import granted_cores
from rnnbench.benchmark.launchers.pool import Call, Environment, run_in_processes
from rnnbench.benchmark.launchers.worker import Outcome, train_job
from rnnbench.benchmark.run.job import Job

Tick = Callable[[], None]

#: What worker processes start with, unless the user has set it. One thread each: two processes are twice as fast as
#: one, two threads only a fifth faster. And memory that is kept (glibc only): what a step frees, the next one asks for
#: again, and mapping it again took a fifth of the time of a long sequence's step.
WORKER_ENVIRONMENT = {
    "OMP_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "MALLOC_TRIM_THRESHOLD_": str(8 * 2**30),
    "MALLOC_MMAP_THRESHOLD_": str(2**30),
}
#: Variables by which torchrun, SLURM, MPI and others tell a process its place among those that they started. They are
#: about the launcher, which is one of them, and not about the processes that it starts.
_OF_LAUNCHERS = re.compile(
    r"(LOCAL_|GROUP_|NODE_|ROLE_)?(RANK|WORLD_SIZE)|GROUP_WORLD_SIZE|MASTER_(ADDR|PORT)|STANDALONE_PORT"
    r"|SLURM_(PROCID|LOCALID|NODEID|GTIDS|STEP_.*|N?TASKS.*|NPROCS)|(TORCHELASTIC|PMI|PMIX|OMPI|JSM)_.*"
)


def run_jobs(
    jobs: Sequence[Job], options: TrainOptions, workers: int | None, tick: Tick, deadline: float = math.inf
) -> Iterator[tuple[Job, Outcome]]:
    """Return what trains jobs and yields how each ended, in the order in which they end.

    Args:
        jobs: what to train. To a deque more may be added whenever a job has ended.
        options: how.
        workers: processes at a time; None for one per core that this process may use, or per GPU.
        tick: called about once a second, to show progress.
        deadline: the monotonic time at which what is being trained is interrupted, and nothing more begun.

    Raises:
        UserError: there are fewer GPUs, or cores without any, than devices wanted.
        KeyboardInterrupt: the command was interrupted; what was being trained has been given time to end.
    """
    gpus = _gpu_count() if options.accelerator in ("auto", "gpu", "cuda") else 0
    most, what, remedy = gpus or os.cpu_count() or 1, "cores", ""
    if gpus:
        what, remedy = "GPUs", "; set CUDA_VISIBLE_DEVICES to nothing to share batches between processes on the CPU"
    if options.devices > most:
        raise UserError(f"--devices must be from 1 to {most}, the {what} here, got {options.devices}{remedy}")
    groups: list[Callable[[], list[Environment]]]
    if options.devices > 1:
        groups = [functools.partial(_sharing, options.devices)]
    else:
        cores = granted_cores()
        groups = [_alone] * min(max(len(jobs), cores), workers or gpus or cores)

    def call(job: Job, index: int) -> Call:
        device = index % gpus if gpus and options.devices == 1 else None
        return train_job, (job, dataclasses.replace(options, device_index=device, deadline=deadline))

    return run_in_processes(jobs, call, groups, tick, deadline)


def worker_environment() -> dict[str, str]:
    """Return the environment of a process that trains: this one's, without what is about this one alone."""
    kept = {name: value for name, value in os.environ.items() if not _OF_LAUNCHERS.fullmatch(name)}
    # A notebook names a backend that only the notebook has; torchmetrics imports matplotlib.
    return {**WORKER_ENVIRONMENT, **kept, "MPLBACKEND": "agg"}


def _alone() -> list[Environment]:
    return [worker_environment()]


def _sharing(devices: int) -> list[Environment]:
    """Return the environments of processes that share batches: each one's place, and where they find each other."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    place = {"NODE_RANK": "0", "WORLD_SIZE": str(devices), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    return [{**worker_environment(), **place, "LOCAL_RANK": str(rank)} for rank in range(devices)]


def _gpu_count() -> int:
    import torch

    return torch.cuda.device_count()
