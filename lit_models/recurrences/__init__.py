"""Architectures, one idea a file, found by scanning this folder and loaded when asked for."""

import importlib
from pathlib import Path
from typing import Any

from rnnbench.datamodules.source_scan import FoundClass, find_classes


def registered_recurrences() -> dict[str, FoundClass]:
    """Return the recurrences of this folder by class name, without importing torch."""
    return find_classes(Path(__file__).parent, "rnnbench.lit_models.recurrences", "Recurrence")


def __getattr__(name: str) -> Any:
    if not name.startswith("_") and name in registered_recurrences():
        return getattr(importlib.import_module(registered_recurrences()[name].module), name)
    raise AttributeError(f"module 'rnnbench.lit_models.recurrences' has no attribute '{name}'")


def __dir__() -> list[str]:
    return sorted([*globals(), *registered_recurrences()])
