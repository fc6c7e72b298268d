"""Whether a value from YAML fits a constructor's annotation."""

from __future__ import annotations

import sys
import types
import typing
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, Union


def fits(value: Any, annotation: Any) -> bool:
    """Return whether a value as YAML gives it (list for tuple, text for a path) fits an annotation.

    Callables and classes of ours come as ``class_path`` mappings; those are checked where they are built, so here any
    of them fits. Whole numbers fit ``float``; truth values fit neither number, and numbers must be finite.

    >>> fits(3, int), fits(3, float), fits(True, int), fits([1, 2], tuple[int, int]), fits("a", Literal["a", "b"])
    (True, True, False, True, True)
    """
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if annotation is Any:
        return True
    if annotation is None or annotation is type(None):
        return value is None
    if origin is Union or origin is types.UnionType:
        return any(fits(value, choice) for choice in arguments)
    if origin is Literal:
        return any(value == choice and type(value) is type(choice) for choice in arguments)
    if origin is tuple:
        if not isinstance(value, list | tuple):
            return False
        if len(arguments) == 2 and arguments[1] is Ellipsis:
            return all(fits(inner, arguments[0]) for inner in value)
        return len(value) == len(arguments) and all(map(fits, value, arguments))
    if origin in (list, Sequence):
        return isinstance(value, list | tuple) and all(fits(inner, arguments[0]) for inner in value)
    if origin in (dict, Mapping):
        return isinstance(value, Mapping)
    if origin is Callable:
        return _is_spec(value)
    return _fits_class(value, annotation)


def _fits_class(value: Any, annotation: Any) -> bool:
    if annotation is float:
        return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= sys.float_info.max
    if annotation is int:
        return isinstance(value, int) and not isinstance(value, bool)
    if annotation is Path:
        return isinstance(value, str | Path)
    if annotation in (bool, str, list, tuple, dict):
        return isinstance(value, annotation) or (annotation is tuple and isinstance(value, list))
    return _is_spec(value) or (isinstance(annotation, type) and isinstance(value, annotation))


def _is_spec(value: Any) -> bool:
    return isinstance(value, Mapping) and "class_path" in value


def describe(annotation: Any) -> str:
    """Return an annotation in words.

    >>> describe(int | None), describe(Literal["a", "b"]), describe(tuple[float, float])
    ('a whole number or null', "'a' or 'b'", 'a list of 2: a number, a number')
    """
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is Union or origin is types.UnionType:
        return " or ".join(describe(choice) for choice in arguments)
    if origin is Literal:
        return " or ".join(map(repr, arguments))
    if origin is tuple and Ellipsis not in arguments:
        return f"a list of {len(arguments)}: {', '.join(map(describe, arguments))}"
    if origin in (list, tuple, Sequence):
        return f"a list of: {describe(arguments[0])}"
    if origin is Callable:
        return "a mapping with class_path and init_args"
    words = {int: "a whole number", float: "a number", bool: "true or false", str: "text", type(None): "null"}
    return words.get(annotation, getattr(annotation, "__name__", str(annotation)))
