"""Every registered recurrence at a tiny size, and its other variants, for the contract suites."""

import importlib

import pytest

from rnnbench.lit_models.contracts import INPUTS, required_arguments
from rnnbench.lit_models.contracts import variants as variants_of
from rnnbench.lit_models.recurrence import Recurrence
from rnnbench.lit_models.recurrences import registered_recurrences

__all__ = ["INPUTS", "load", "required_arguments", "variants"]


def load(name: str) -> type[Recurrence]:
    return getattr(importlib.import_module(registered_recurrences()[name].module), name)


def variants(slow_extras: bool = False) -> list[object]:
    """The default of every recurrence, and one for each other value that an annotation names, slow if it is said."""
    return [
        pytest.param(cls, arguments, id="-".join(filter(None, (cls.__name__, label))), marks=marks)
        for cls in map(load, registered_recurrences())
        for label, arguments in variants_of(cls)
        for marks in [pytest.mark.slow if label and slow_extras else ()]
    ]
