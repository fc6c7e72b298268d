"""What a run leaves: its finished records and the files beside them, and when two of them are the same."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import load

from rnnbench.leaderboard.files import FileError, side_path
from rnnbench.leaderboard.record import read_record
from rnnbench.leaderboard.weights_file import weights_path
from tests.leaderboard.factory import comparable


def results(runs: Path) -> dict[Path, Any]:
    """Return the records of a folder, without time and provenance, and the bytes of what lies beside each."""
    found: dict[Path, Any] = {}
    for path in finished(runs):
        found[path.relative_to(runs)] = comparable(read_record(path))
        for beside in (side_path(path), weights_path(path)):
            if beside.exists():
                found[beside.relative_to(runs)] = beside.read_bytes()
    return found


def finished(runs: Path) -> dict[Path, bytes]:
    """Return the bytes of the records that are finished."""
    found = {}
    for path in runs.glob("*/*/*/*/*.json"):
        try:
            if read_record(path).status == "finished":
                found[path] = path.read_bytes()
        except FileError:
            continue
    return found


def is_close(one: Any, other: Any) -> bool:
    """Return whether what is read of two files is equal but for the rounding of numbers."""
    if isinstance(one, bytes) and isinstance(other, bytes):
        read = (lambda content: dict(np.load(io.BytesIO(content)))) if one.startswith(b"PK") else load
        return is_close(read(one), read(other))
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(is_close(one[key], other[key]) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(is_close, one, other))
    if isinstance(one, (float, np.ndarray)):
        return bool(np.allclose(one, other, rtol=1e-4, atol=1e-6, equal_nan=True))
    return bool(one == other)
