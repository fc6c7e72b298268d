"""Weights as runs wrote them before they were safetensors: PyTorch files in a run's folder, of which numbers are read.

Code in them is never executed (``torch.load`` with ``weights_only``).
"""

import pickle
import zipfile
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from rnnbench.benchmark.errors import UserError
from rnnbench.benchmark.run.job import JOB_FILE, Member, load_job
from rnnbench.benchmark.run.weights import write_weights
from rnnbench.leaderboard.files import FileError
from rnnbench.leaderboard.schema import Record
from rnnbench.leaderboard.store import find_records, path_of
from rnnbench.leaderboard.weights_file import weights_path

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


def rewrite_old_weights(root: Path) -> None:
    """Write the weights of older runs in a folder again, as runs write them today.

    Raises:
        UserError: a file of them is damaged, or of another record.
    """
    for record in find_records(root)[0]:
        path = path_of(root, record)
        old = find_old_weights(path, record)
        if old is not None and record.best_step is not None and not weights_path(path).exists():
            try:
                tensors, place = read_old_weights(old, record)
            except FileError as error:
                raise UserError(str(error)) from error
            write_weights(weights_path(path), tensors, record, place)
