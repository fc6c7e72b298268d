"""The compiled kernels, where there are any for this processor: found once, called through ctypes."""

import ctypes
import functools
import hashlib
import importlib.util
import warnings
from pathlib import Path

import torch

_FOLDER = "rnnbench.lit_models.scan.native"
# What PyTorch says of the processor, and the builds that run on it, the fastest first.
_BUILDS = {"AVX512": ("avx512", "avx2", "base"), "AVX2": ("avx2", "base")}

_NOT_COMPILED = (
    "its kernels were not compiled when rnnbench was installed: install it again where there is a C compiler"
)
_VECTOR_BYTES = 64

_NUMBERS = (
    *("steps", "instances", "copies", "units", "features", "batch", "columns", "chunk"),
    *("blocks", "whole", "squashes", "activation", "gates", "owned", "width"),
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
def find_library() -> tuple[ctypes.CDLL | None, str]:
    """Return the kernels compiled for this processor, or None, and why there would be none.

    Warns of a build that cannot be loaded, or that was made of other sources than those that lie beside it.
    """
    library, failure = None, None
    for build in _BUILDS.get(torch.backends.cpu.get_cpu_capability(), ("base",)):
        found = importlib.util.find_spec(f"{_FOLDER}._{build}")
        if library is None and found is not None and found.origin is not None:
            try:
                library = _load(found.origin)
            except (OSError, AttributeError) as error:
                failure = failure or f"{error}: install rnnbench again (in a clone: make venv, or pip install -e .)"
    if failure is not None:
        warnings.warn(f"a compiled kernel cannot be used, and a slower one runs: {failure}", stacklevel=2)
    return library, failure or _NOT_COMPILED


def call_library(name: str, arguments: Arguments, dtype: torch.dtype) -> int:
    """Call a function of the library for float32 or float64, and return what it returns."""
    library, number = find_library()[0], "float" if dtype == torch.float32 else "double"
    found: int = getattr(library, f"{name}_{number}")(ctypes.byref(arguments))
    return found


def sources_hash() -> str:
    """Return the hash of the C sources, as ``setup.py`` computes it for a build."""
    sources = sorted(Path(__file__).parent.glob("*.[ch]"))
    return hashlib.sha256(b"".join(path.read_bytes() for path in sources)).hexdigest()


def _load(path: str) -> ctypes.CDLL:
    library = ctypes.CDLL(path)
    if not hasattr(library, "sources"):
        raise OSError(f"{path} was compiled from older sources than those beside it")
    library.sources.restype = ctypes.c_char_p
    if library.sources().decode() != sources_hash():
        raise OSError(f"{path} was compiled from other sources than those beside it")
    size, expected = library.size_of_arguments(), ctypes.sizeof(Arguments)
    if size != expected:
        raise OSError(f"{path} takes arguments of {size} bytes, and library.py gives {expected}")
    for number in ("float", "double"):
        for name in ("forward", "backward", "scratch", "linear_forward", "linear_backward"):
            function = getattr(library, f"{name}_{number}")
            function.argtypes = [ctypes.POINTER(Arguments)]
            function.restype = ctypes.c_int64 if name == "scratch" else None
    return library
