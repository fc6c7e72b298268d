"""Builds every registered recurrence at a tiny size, and its other variants, for the contract suites."""

from __future__ import annotations

import functools
import importlib
import inspect
import types
import typing
from collections.abc import Callable

import pytest

from rnnbench.lit_models.recurrence import Recurrence
from rnnbench.lit_models.recurrences import registered_recurrences
from rnnbench.lit_models.recurrences.elman import ElmanRNN

INPUTS, UNITS = 2, 4


def load(name: str) -> type[Recurrence]:
    return getattr(importlib.import_module(registered_recurrences()[name].module), name)


def required_value(name: str, annotation: object) -> object:
    if name == "input_size":
        return INPUTS
    if annotation is int:
        return UNITS
    if annotation is float:
        return 0.5
    if typing.get_origin(annotation) is typing.get_origin(Callable[[int], Recurrence]):
        return functools.partial(ElmanRNN, hidden_size=UNITS)
    raise TypeError(f"no value is known for the required argument {name}: {annotation}")


def required_arguments(cls: type[Recurrence]) -> dict[str, object]:
    hints = typing.get_type_hints(cls.__init__)
    parameters = list(inspect.signature(cls.__init__).parameters.values())[1:]
    return {p.name: required_value(p.name, hints[p.name]) for p in parameters if p.default is p.empty}


def variants(slow_extras: bool = False) -> list[object]:
    """The default of every recurrence, and one for each other value that an annotation names, slow if it is said."""
    found = []
    marks = pytest.mark.slow if slow_extras else ()
    for name in registered_recurrences():
        cls = load(name)
        required = required_arguments(cls)
        found.append(pytest.param(cls, required, id=name))
        for argument, annotation in typing.get_type_hints(cls.__init__).items():
            default = getattr(inspect.signature(cls.__init__).parameters.get(argument), "default", None)
            values = typing.get_args(annotation) if typing.get_origin(annotation) is typing.Literal else ()
            if isinstance(annotation, types.UnionType) and int in typing.get_args(annotation):
                values = (3,)
            if annotation is bool:
                values = (not default,)
            if annotation == tuple[int, ...]:
                values = ((3,),)
            for value in values:
                if value != default:
                    arguments = {**required, argument: value}
                    found.append(pytest.param(cls, arguments, id=f"{name}-{argument}={value}", marks=marks))
    return found
