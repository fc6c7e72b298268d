"""The compiled kernels, where there are any for this processor: found once, called through ctypes."""

from __future__ import annotations

import ctypes
import functools
import importlib.util
import itertools
import warnings

import torch

_FOLDER = "rnnbench.lit_models.scan.native"
# What PyTorch says of the processor, and the builds that run on it, the fastest first.
_BUILDS = {"AVX512": ("avx512", "avx2", "base"), "AVX2": ("avx2", "base")}

_VECTOR_BYTES = 64

_NUMBERS = (
    *("steps", "instances", "copies", "units", "features", "batch", "columns", "chunk"),
    *("blocks", "whole", "squashes", "activation"),
)
_ARRAYS = (
    *("inputs", "joint", "own", "cross", "gain", "state", "firsts", "activations"),
    *("outputs", "grad_outputs", "to_state", "d_inputs", "d_joint", "d_gain", "d_own", "d_cross"),
)


class Arguments(ctypes.Structure):
    """``struct arguments`` of ``native/module.c``."""

    _fields_ = (
        *((name, ctypes.c_int64) for name in _NUMBERS),
        *((name, ctypes.c_void_p) for name in _ARRAYS),
        ("row", ctypes.c_int64),
        ("scratch", ctypes.c_void_p),
    )


def padded_length(count: int, item_bytes: int) -> int:
    """Return how many numbers fill the vectors that hold ``count`` of them.

    >>> padded_length(50, 4), padded_length(50, 8)
    (64, 56)
    """
    width = _VECTOR_BYTES // item_bytes
    return -(-count // width) * width


@functools.cache
def native_library() -> ctypes.CDLL | None:
    """Return the kernels compiled for this processor; None where none were compiled or none can be loaded."""
    for build in _BUILDS.get(torch.backends.cpu.get_cpu_capability(), ("base",)):
        found = importlib.util.find_spec(f"{_FOLDER}._{build}")
        if found is None or found.origin is None:
            continue
        try:
            return _load(found.origin)
        except (OSError, AttributeError) as error:
            warnings.warn(
                f"a compiled kernel cannot be loaded, and a slower one is taken: {error}; install rnnbench again",
                stacklevel=2,
            )
    return None


def _load(path: str) -> ctypes.CDLL:
    library = ctypes.CDLL(path)
    for number in ("float", "double"):
        for name, kind in itertools.product(("forward", "backward", "scratch"), ("", "_lstm")):
            function = getattr(library, f"{name}{kind}_{number}")
            function.argtypes = [ctypes.POINTER(Arguments)]
            function.restype = ctypes.c_int64 if name == "scratch" else None
    return library
