"""The options of a run and of ``rnnbench run`` and ``status``: what to train, how and where, not what comes out."""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from rnnbench.leaderboard.schema import Budget
from rnnbench.lit_models.scan.policy import BackendName, CheckpointEvery

WandbMode = Literal["off", "online", "offline"]
LoggerName = Literal["csv", "tensorboard"]
LauncherName = Literal["local", "ray"]
BUDGETS: tuple[Budget, ...] = get_args(Budget)
WANDB_MODES: tuple[WandbMode, ...] = get_args(WandbMode)
LOGGERS: tuple[LoggerName, ...] = get_args(LoggerName)
LAUNCHERS: tuple[LauncherName, ...] = get_args(LauncherName)
SCANS: tuple[BackendName, ...] = get_args(BackendName)


@dataclass(frozen=True)
class TrainOptions:
    """How a run is trained: nothing that changes its result, but for rounding errors.

    Attributes:
        data_dir: folder of the real data sets; None for the environment's or the Hub.
        devices: devices that share each batch of one run.
        accelerator: Lightning's name of the kind of device.
        device_index: which GPU a single-device run uses; None for the first.
        wandb: whether Weights & Biases mirrors the records.
        loggers: which of Lightning's loggers mirror the learning curves, into the folder of runs.
        checkpoint_seconds: least time between two checkpoints inside an epoch.
        scan: the backend that scans recurrences: ``loop`` is the definition, ``eager``, ``native`` and ``triton`` are
            faster, and ``auto`` takes what suits the device.
        checkpoint_every: steps of a segment, of which only the first state is kept for the backward pass; None: all.
        deadline: the monotonic time of this machine at which the launcher will end the run.
    """

    data_dir: Path | None = None
    devices: int = 1
    accelerator: str = "auto"
    device_index: int | None = None
    wandb: WandbMode = "off"
    loggers: tuple[LoggerName, ...] = ()
    checkpoint_seconds: float = 30.0
    scan: BackendName = "auto"
    checkpoint_every: CheckpointEvery = None
    deadline: float = math.inf


@dataclass(frozen=True)
class RunOptions(TrainOptions):
    """How a suite is run, and each of its runs.

    Attributes:
        budget: how long to train.
        only: fnmatch patterns over ``network``, ``task`` or ``task/network``; empty for every experiment.
        instances: which instances, in increasing order; None for as many as the suite says.
        workers: processes at a time; None for one per core or per GPU.
        runs_dir: where runs and their records are written.
        dry_run: print the plan and train nothing.
        time_limit: seconds after which everything is ended in order, to be gone on with; None for none.
        quiet: whether to print errors alone.
        any_source: whether to take records as they are that other source of a user's own classes made.
        launcher: who starts runs: this machine, or a Ray cluster.
        address: Ray's; None for ``RAY_ADDRESS``, a cluster of this machine that runs, or one that is started.
        gpus_per_job: the share of a GPU, or the GPUs, of a run on Ray; None for one if the cluster has any.

    >>> RunOptions(only=("LSTM",), instances=(0, 1)).runs_dir.name
    'runs'
    """

    budget: Budget = "cpu"
    only: tuple[str, ...] = ()
    instances: tuple[int, ...] | None = None
    workers: int | None = None
    runs_dir: Path = Path("runs")
    dry_run: bool = False
    time_limit: float | None = None
    quiet: bool = False
    any_source: bool = False
    launcher: LauncherName = "local"
    address: str | None = None
    gpus_per_job: float | None = None
