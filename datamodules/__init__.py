"""What is learned: tasks and their LightningDataModules, found by scanning this folder and loaded when asked for."""

import importlib
from pathlib import Path
from typing import Any

from rnnbench.datamodules.source_scan import FoundClass, find_classes


def registered_tasks() -> dict[str, FoundClass]:
    """Return the data modules of this folder by class name, without importing torch."""
    return find_classes(Path(__file__).parent, "rnnbench.datamodules", "SequenceDataModule")


def __getattr__(name: str) -> Any:
    if not name.startswith("_") and name in registered_tasks():
        return getattr(importlib.import_module(registered_tasks()[name].module), name)
    raise AttributeError(f"module 'rnnbench.datamodules' has no attribute '{name}'")


def __dir__() -> list[str]:
    return sorted([*globals(), *registered_tasks()])
