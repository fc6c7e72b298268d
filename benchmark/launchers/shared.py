"""Jobs whose batches are shared by processes that torchrun or srun started, one for each device, on any machines.

The first process plans and says what to train; all train it together. One that fails ends, and with it the others,
which would wait for it for ever.
"""

from __future__ import annotations

import math
import os
from collections import deque
from collections.abc import Iterator, Sequence

from rnnbench.benchmark.config.options import TrainOptions
from rnnbench.benchmark.errors import UserError
from rnnbench.benchmark.launchers.local import Tick
from rnnbench.benchmark.launchers.worker import Outcome, exit_code, train_job
from rnnbench.benchmark.run.job import Job


def is_shared(devices: int) -> bool:
    """Return whether this process is one of several that share each run; their places are in the environment then.

    Raises:
        UserError: their number is not that of the devices.
    """
    torchrun, srun = os.environ.get("TORCHELASTIC_RUN_ID"), int(os.environ.get("SLURM_STEP_NUM_TASKS", 1))
    # Tasks of srun may each be a launcher of its own, which share what is to be trained.
    if devices == 1 and not torchrun:
        return False
    world = int(os.environ["WORLD_SIZE"]) if torchrun else srun
    if world == 1:
        return False
    if world != devices:
        name = "torchrun" if torchrun else "srun"
        raise UserError(f"--devices must be {world}, the processes that {name} started, got {devices}")
    if not torchrun:
        _take_places_of_slurm()
    return True


def _take_places_of_slurm() -> None:
    from lightning.fabric.plugins.environments.slurm import SLURMEnvironment

    given = {name.removeprefix("SLURM_"): value for name, value in os.environ.items() if name.startswith("SLURM_")}
    world, nodes = int(given["STEP_NUM_TASKS"]), int(given.get("STEP_NUM_NODES", 1))
    places = {"RANK": given["PROCID"], "LOCAL_RANK": given["LOCALID"], "NODE_RANK": given["NODEID"]}
    first = SLURMEnvironment.resolve_root_node_address(given.get("STEP_NODELIST", given.get("NODELIST", "127.0.0.1")))
    # The same for all processes of a job, and seldom that of another.
    port = 15000 + int(given["JOB_ID"]) % 10000
    sizes = {"WORLD_SIZE": world, "LOCAL_WORLD_SIZE": world // nodes, "MASTER_ADDR": first, "MASTER_PORT": port}
    os.environ |= {name: str(value) for name, value in {**places, **sizes}.items()}


def is_first() -> bool:
    """Return whether this process plans and reports for the others."""
    return os.environ["RANK"] == "0"


def run_jobs(
    jobs: Sequence[Job], options: TrainOptions, workers: int | None, tick: Tick, deadline: float = math.inf
) -> Iterator[tuple[Job, Outcome]]:
    """Train jobs together with the other processes, one after another, and yield how each ended.

    Raises:
        SystemExit: one was not trained.
    """
    waiting = jobs if isinstance(jobs, deque) else deque(jobs)
    while waiting:
        job = waiting.popleft()
        _say((job, options))
        outcome = train_job(job, options)
        tick()
        yield job, outcome
        if outcome.kind != "trained":
            raise SystemExit(exit_code({outcome.kind}))


def end() -> None:
    """Let the other processes end: there is no more to train."""
    _say(None)


def follow() -> int:
    """Train what the first process says, until there is no more; return the exit code."""
    while (said := _say()) is not None:
        outcome = train_job(*said)
        if outcome.kind != "trained":
            return exit_code({outcome.kind})
    return 0


def _say(said: tuple[Job, TrainOptions] | None = None) -> tuple[Job, TrainOptions] | None:
    """Return what the first process says, the only one whose argument counts."""
    import torch.distributed as dist

    if not dist.is_initialized():
        # Of no one kind: processors and GPUs take what suits each.
        dist.init_process_group()
    objects = [said]
    dist.broadcast_object_list(objects)
    if objects[0] is None:
        dist.destroy_process_group()
    return objects[0]
