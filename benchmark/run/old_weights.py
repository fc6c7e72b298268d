"""Weights as runs wrote them before they were safetensors: PyTorch files in a run's folder, of which numbers are read.

Code in them is never executed (``torch.load`` with ``weights_only``).
"""

import pickle
import zipfile
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from rnnbench.benchmark.run.job import JOB_FILE, Member, load_job
from rnnbench.leaderboard.files import FileError
from rnnbench.leaderboard.schema import Record

# What zipfile, torch.load and a content of another kind raise.
_DAMAGED = (zipfile.BadZipFile, pickle.UnpicklingError, RuntimeError, ValueError, KeyError, TypeError, EOFError)


def find_old_weights(path: Path, record: Record) -> Path | None:
    """Return the file that holds the weights of a record, given where that lies; None if there is none."""
    name = f"weights-{record.experiment_id}-{record.instance}.pt"
    return next(iter(sorted(path.parent.glob(f"run-*/{name}"))), None)


def read_old_weights(path: Path, record: Record) -> tuple[dict[str, Tensor], int]:
    """Return the weights of a record, and the place of its instance among those trained together.

    Raises:
        FileError: the file is damaged, or of another record.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            # torch.load does not look at the checksums.
            damaged = archive.testzip()
        content: Any = None if damaged else torch.load(path, map_location="cpu", weights_only=True)
        config, state = content["config"], content["state_dict"]
        members = load_job(path.parent / JOB_FILE, path.parent).members
        place = members.index(Member(record.experiment_id, record.instance))
    except _DAMAGED as error:
        raise FileError(path, "is damaged or no file of weights of rnnbench's") from error
    if config != record.config:
        raise FileError(path, "belongs to another record: its config differs")
    return {name.removeprefix("network."): tensor for name, tensor in state.items()}, place
