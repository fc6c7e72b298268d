"""Where a result came from: code, versions, hardware, memory."""

import ctypes
import functools
import gc
import importlib
import importlib.metadata
import os
import platform
import resource
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch

import rnnbench

_PACKAGES = ("rnnbench", "torch", "lightning", "torchmetrics", "numpy", "datasets")


@functools.cache
def code_version() -> tuple[str | None, bool | None]:
    """Return the commit of rnnbench's code and whether it was changed since; None for both outside a git checkout."""
    rooms = ("benchmark", "datamodules", "leaderboard", "lit_models")
    folders = [Path(str(importlib.import_module(f"rnnbench.{room}").__file__)).parent for room in rooms]
    return repository_state(Path(__file__), (*folders, Path(str(rnnbench.__file__)).parent))


def repository_state(tracked: Path, folders: Iterable[Path]) -> tuple[str | None, bool | None]:
    """Return the commit of the repository that tracks a file, and whether anything in some of its folders differs.

    None for both if none tracks it: a virtual environment lies in many a repository that knows nothing of it.
    """
    # Variables as git sets them for its hooks would name another repository.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}

    def git(*arguments: str) -> str:
        command = ["git", "-C", str(tracked.parent), *arguments]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True, timeout=30)  # noqa: S603
        return done.stdout.strip()

    try:
        git("ls-files", "--error-unmatch", "--", str(tracked))
        return git("rev-parse", "HEAD"), bool(git("status", "--porcelain", "--", *map(str, folders)))
    except (OSError, subprocess.SubprocessError, UnicodeDecodeError):
        return None, None


def versions() -> dict[str, str]:
    """Return the versions of Python and of the packages that can change a number."""
    found = {"python": platform.python_version()}
    for package in _PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            found[package] = "not installed"
    return found


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
    control = Path("/proc/self/clear_refs")
    if control.exists():
        try:
            control.write_text("5", encoding="ascii")
        except OSError:
            # Some containers forbid it; the peak is then that of the process so far.
            return


def peak_memory(device: torch.device) -> int:
    """Return the bytes that the run held at most: of the GPU, or of the whole process on a CPU."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    if kilobytes := stated("/proc/self/status", "VmHWM:"):
        return int(kilobytes.split()[0]) * 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
