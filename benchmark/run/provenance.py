"""Where a result came from: code, ours and a user's own, versions, hardware, memory."""

import contextlib
import ctypes
import functools
import gc
import hashlib
import importlib
import importlib.metadata
import os
import platform
import resource
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import torch

import rnnbench
from rnnbench.leaderboard.schema import CodeVersion, OwnCode

_PACKAGES = ("rnnbench", "torch", "lightning", "torchmetrics", "numpy", "datasets")

#: What classes derive from without being a user's own; its versions are in a record anyway.
_KNOWN = {"rnnbench", "torch", "lightning", *sys.stdlib_module_names}


@functools.cache
def code_version() -> CodeVersion:
    """Return the commit of rnnbench's code and whether it was changed since; None for both outside a git checkout."""
    rooms = ("benchmark", "datamodules", "leaderboard", "lit_models")
    folders = [Path(str(importlib.import_module(f"rnnbench.{room}").__file__)).parent for room in rooms]
    commit, dirty = repository_state(Path(__file__), (*folders, Path(str(rnnbench.__file__)).parent))
    return CodeVersion(commit=commit, dirty=dirty)


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


def own_code(config: Mapping[str, Any], others: Iterable[object] = ()) -> list[OwnCode]:
    """Return the code of an experiment's classes, and of their bases, that is neither rnnbench's nor torch's.

    ``others`` are objects that the configuration need not name, such as the objectives of its task.
    """
    paths = [path.rpartition(".") for path in _class_paths(config) if "." in path]
    classes = [*(getattr(importlib.import_module(module), name) for module, _, name in paths), *map(type, others)]
    bases = [base for one in classes for base in one.__mro__]
    modules = sorted({base.__module__ for base in bases if base.__module__.partition(".")[0] not in _KNOWN})
    return [_code_of(module) for module in modules]


def _class_paths(spec: object) -> Iterator[str]:
    if isinstance(spec, Mapping):
        if isinstance(spec.get("class_path"), str):
            yield spec["class_path"]
        for inner in spec.values():
            yield from _class_paths(inner)


@functools.cache
def _code_of(module: str) -> OwnCode:
    top = module.partition(".")[0]
    file = Path(str(sys.modules[module].__file__))
    package = getattr(sys.modules[top], "__path__", None)
    # What a module imports from its own package decides what it does as much as itself.
    folders = [Path(folder) for folder in package or ()]
    files = [path for folder in folders for path in sorted(folder.rglob("*.py"))] or [file]
    digest = hashlib.sha256()
    for path in files:
        digest.update(f"{path.name}\0{hashlib.sha256(path.read_bytes()).hexdigest()}\n".encode())
    commit, dirty = repository_state(file, folders or [file])
    distributions = importlib.metadata.packages_distributions().get(top, [])
    version = importlib.metadata.version(distributions[0]) if distributions else None
    return OwnCode(module=module, version=version, source=digest.hexdigest()[:16], commit=commit, dirty=dirty)


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
