"""From ``measures:`` in a suite to checked settings. Imports no torch."""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Mapping
from typing import Any

from rnnbench.benchmark.config.type_check import describe, fits
from rnnbench.benchmark.errors import UserError, nearest
from rnnbench.benchmark.measures import MEASURES, measure_class
from rnnbench.benchmark.measures.base import MeasureOptions

#: A resolved measure: ``measure`` is its name, ``settings`` holds all of its settings.
Spec = dict[str, Any]


def resolve_measures(written: object, where: str) -> tuple[Spec, ...]:
    """Return the measures of an experiment with all defaults filled in.

    Args:
        written: a list of names and of mappings ``{name: {setting: value}}``; None for no measures.
        where: file and line, for messages.

    Raises:
        UserError: a measure or a setting is unknown, named twice, of the wrong type or outside of what is allowed.
    """
    if not isinstance(written, list | None):
        raise UserError(f"{where}: 'measures' is {written!r}: a list is allowed")
    specs: list[Spec] = []
    for entry in written or []:
        single = isinstance(entry, Mapping) and len(entry) == 1
        if isinstance(entry, Mapping) and not single:
            raise UserError(
                f"{where}: {dict(entry)!r} is no measure: write one a line, its settings indented below it, or as "
                "- lyapunov: {samples: 4}"
            )
        name, given = next(iter(entry.items())) if single else (entry, {})
        if not isinstance(name, str) or name not in MEASURES:
            raise UserError(f"{where}: unknown measure '{name}': {nearest(name, MEASURES)}")
        if not isinstance(given, Mapping | None):
            raise UserError(f"{where}: the settings of {name} are {given!r}: a mapping (key: value) is allowed")
        if any(spec["measure"] == name for spec in specs):
            raise UserError(f"{where}: the measure {name} is named twice: its 'at' can name several moments")
        specs.append({"measure": name, "settings": _settings(name, given or {}, f"{where}: measure {name}")})
    return tuple(specs)


def build_measure(spec: Mapping[str, Any]) -> MeasureOptions:
    """Return the measure of a resolved spec."""
    settings: dict[str, Any] = {key: tuple(v) if isinstance(v, list) else v for key, v in spec["settings"].items()}
    return measure_class(spec["measure"])(**settings)


def _settings(name: str, given: Mapping[str, Any], where: str) -> dict[str, Any]:
    cls = measure_class(name)
    hints = typing.get_type_hints(cls)
    fields = {field.name: field.default for field in dataclasses.fields(cls)}
    for key, value in given.items():
        if key not in fields:
            raise UserError(f"{where} has no setting '{key}': {nearest(key, fields)}")
        if not fits(value, hints[key]):
            raise UserError(f"{where}: {key} is {value!r}: {describe(hints[key])} is allowed")
    settings = {key: list(v) if isinstance(v, tuple) else v for key, v in {**fields, **given}.items()}
    try:
        build_measure({"measure": name, "settings": settings})
    except ValueError as error:
        raise UserError(f"{where}: {error}") from error
    return settings
