"""Classes of a user's own package in a configuration: which code they are."""

import functools
import hashlib
import importlib
import importlib.metadata
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from rnnbench.benchmark.run.provenance import repository_state
from rnnbench.leaderboard.schema import OwnCode

#: What classes derive from without being a user's own; its versions are in a record anyway.
_KNOWN = {"rnnbench", "torch", "lightning", *sys.stdlib_module_names}


def own_code(config: Mapping[str, Any]) -> list[OwnCode]:
    """Return the code of classes, and of those that they derive from, that is neither rnnbench's nor torch's.

    Args:
        config: an experiment's, with specs (``class_path``) at any depth.
    """
    classes = [path.rpartition(".") for path in _class_paths(config) if "." in path]
    bases = [base for module, _, name in classes for base in getattr(importlib.import_module(module), name).__mro__]
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
