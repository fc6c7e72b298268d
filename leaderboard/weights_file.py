"""The weights beside a record: one safetensors file per instance, with what builds its network and data module again.

Such a file is a header of JSON and then plain numbers: reading one executes nothing. ``docs/networks.md`` describes it.
The library of the format is imported when one is read.
"""

import json
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from rnnbench.leaderboard.files import FileError, read_file
from rnnbench.leaderboard.schema import Budget, Count, Json, Record, Scores, Text

#: Where the description lies among the metadata of a file.
KEY = "rnnbench"
FORMAT: Literal[1] = 1
#: Largest file in bytes: room for the largest network that a suite may name.
LARGEST_WEIGHTS = 4 * 2**30

#: Numpy's names of the types that have values that are not numbers.
_NUMPY = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "C64": "<c8"}
_OF_RECORD = ("suite", "budget", "task", "network", "experiment_id", "instance", "config", "best_step", "scores")


class Description(BaseModel):
    """What a file of weights says of itself: fields of the record that the weights belong to, and ``place``.

    Attributes:
        format: version of this description.
        config: the whole resolved configuration: task, recurrence, training, seed of the data.
        best_step: optimiser steps after which the network had these weights.
        scores: what it scored with them.
        place: which of the instances trained together this was, from 0 on: in that place of an ensemble of as many it
            scores the same to the last bit.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)

    format: Literal[1] = FORMAT
    suite: Text
    budget: Budget
    task: Text
    network: Text
    experiment_id: Annotated[str, Field(pattern="^[0-9a-f]+$")]
    instance: Count
    config: Json
    best_step: Count
    scores: Scores
    place: Count

    @classmethod
    def of(cls, record: Record, place: int) -> "Description":
        """Return the description of the weights that a record's scores belong to."""
        return cls(place=place, **{name: getattr(record, name) for name in _OF_RECORD})

    def difference(self, record: Record) -> str:
        """Return in what the weights' record differs from a given one; empty if they are of this one."""
        found = [(name, getattr(self, name), getattr(record, name)) for name in _OF_RECORD]
        unlike = [(name, ours, theirs) for name, ours, theirs in found if ours != theirs]
        if not unlike:
            return ""
        name, ours, theirs = unlike[0]
        values = "" if name in ("config", "scores") else f", {ours} and not {theirs}"
        return f"belongs to another record: its {name} differ{'' if name.endswith('s') else 's'}{values}"


def weights_path(record: Path) -> Path:
    """Return where the weights of a record lie, given where the record lies."""
    return record.with_suffix(".safetensors")


def read_weights(path: Path, record: Record | None = None) -> tuple[Description, bytes]:
    """Return what a file of weights says of itself, and its whole content.

    Raises:
        FileError: the file is damaged, no file of weights, of a newer rnnbench, too large, or cannot be read; or the
            weights are of another record than the given one, or not numbers.
        FileNotFoundError: there is none.
    """
    content = read_file(path, LARGEST_WEIGHTS)
    import numpy as np
    import safetensors

    try:
        # Checks that the header describes every byte of the rest.
        tensors = safetensors.deserialize(content)  # type: ignore[no-untyped-call]
    except safetensors.SafetensorError as error:
        if content.startswith((b"PK", b"\x80")):
            what = "is a pickle, which may hold a program and so is not opened; weights are safetensors files"
            raise FileError(path, what) from error
        raise FileError(path, f"is damaged or no safetensors file ({error})") from error
    try:
        header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
        written: Any = json.loads(header["__metadata__"][KEY])
        if isinstance(written, dict) and isinstance(written.get("format"), int) and written["format"] > FORMAT:
            raise FileError(path, f"is of format {written['format']}: update to read what a newer rnnbench wrote")
        described = Description.model_validate(written)
        if record is not None and (reason := described.difference(record)):
            raise FileError(path, reason)
        for name, tensor in tensors:
            kind = _NUMPY.get(tensor["dtype"])
            if kind is not None and np.isnan(np.frombuffer(tensor["data"], kind)).any():
                raise FileError(path, f"holds values that are not numbers (NaN), in {name}: restore it, or train again")
        return described, content
    except FileError:
        raise
    except KeyError as error:
        raise FileError(path, "holds no description of rnnbench's: it does not say what network it is of") from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise FileError(path, f"its description is not one of rnnbench's: {where}: {first['msg']}") from error
    except (ValueError, RecursionError) as error:
        raise FileError(path, f"its description cannot be read: {error}") from error
