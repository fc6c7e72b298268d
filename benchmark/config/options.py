"""The options of ``rnnbench run`` and ``rnnbench status``: what to train and where, nothing that changes a result."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

BudgetName = Literal["smoke", "cpu", "paper"]
WandbMode = Literal["off", "online", "offline"]
ScanName = Literal["auto", "loop", "eager", "native", "triton"]
BUDGETS: tuple[BudgetName, ...] = get_args(BudgetName)
WANDB_MODES: tuple[WandbMode, ...] = get_args(WandbMode)
#: Steps whose activations are kept at a time, or ``auto``; None keeps all.
CheckpointEvery = int | Literal["auto"] | None
SCANS: tuple[ScanName, ...] = get_args(ScanName)


@dataclass(frozen=True)
class RunOptions:
    """How a suite is run.

    Attributes:
        budget: how long to train.
        only: fnmatch patterns over ``network``, ``task`` or ``task/network``; empty for every experiment.
        instances: which instances, in increasing order; None for as many as the suite says.
        workers: processes at a time; None for one per core or per GPU.
        devices: devices that share each batch of one run.
        data_dir: folder of the real data sets; None for the environment's or the Hub.
        runs_dir: where runs and their records are written.
        wandb: whether Weights & Biases mirrors the records.
        scan: the backend that scans recurrences: ``loop`` is the definition, ``eager``, ``native`` and ``triton`` are
            faster, and ``auto`` takes what suits the device.
        checkpoint_every: steps of a segment, of which only the first state is kept for the backward pass; None: all.
        dry_run: print the plan and train nothing.

    >>> RunOptions(only=("LSTM",), instances=(0, 1)).runs_dir.name
    'runs'
    """

    budget: BudgetName = "cpu"
    only: tuple[str, ...] = ()
    instances: tuple[int, ...] | None = None
    workers: int | None = None
    devices: int = 1
    data_dir: Path | None = None
    runs_dir: Path = Path("runs")
    wandb: WandbMode = "off"
    scan: ScanName = "auto"
    checkpoint_every: CheckpointEvery = None
    dry_run: bool = False
