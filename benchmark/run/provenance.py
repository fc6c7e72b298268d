"""Where a result came from: versions, hardware, memory."""

import contextlib
import ctypes
import functools
import gc
import importlib.metadata
import os
import platform
import resource
import sys
from pathlib import Path
from typing import Any

import torch

_PACKAGES = ("rnnbench", "torch", "lightning", "torchmetrics", "numpy", "datasets")


def versions() -> dict[str, str]:
    """Return the versions of Python and of the packages that can change a number."""
    return {"python": platform.python_version(), **{package: _version(package) for package in _PACKAGES}}


@functools.cache  # Every record asks, and each package's metadata takes milliseconds to read.
def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"


def hardware(device: torch.device, devices: int) -> dict[str, Any]:
    """Return what a run was trained on, without anything that names the machine."""
    accelerator = torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
    return {
        "accelerator": accelerator,
        "devices": devices,
        "processor": stated("/proc/cpuinfo", "model name") or platform.processor() or platform.machine(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "system": platform.system(),
    }


def stated(file: str, name: str) -> str:
    """Return what Linux states in a file of lines ``name: value``; nothing elsewhere."""
    lines = Path(file).read_text(encoding="utf-8").splitlines() if Path(file).exists() else []
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith(name)), "")


def reset_peak_memory() -> None:
    """Start measuring again, where the system can: memory that a run before this one left is given back first."""
    gc.collect()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None) if sys.platform == "linux" else None
    if trim is not None:
        trim(0)
    if torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()
    # Some containers and systems forbid it; the peak is then that of the process so far.
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")


def peak_memory(device: torch.device) -> int:
    """Return the bytes that the run held at most: of the GPU, or of the whole process on a CPU."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    if kilobytes := stated("/proc/self/status", "VmHWM:"):
        return int(kilobytes.split()[0]) * 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
