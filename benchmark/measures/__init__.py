"""Measures of dynamics, and from ``measures:`` in a suite to checked settings. Listing them imports no torch."""

import importlib
from collections.abc import Mapping
from typing import Any

from rnnbench.benchmark.config.validation import validated
from rnnbench.benchmark.errors import UserError, nearest, shown
from rnnbench.benchmark.measures.base import MeasureOptions

#: A resolved measure: ``measure`` is its name, ``settings`` holds all of its settings.
Spec = dict[str, Any]

#: Name in a suite to the class of its options, in the module of the same name.
MEASURES = {
    "lyapunov": "Lyapunov",
    "hessian": "Hessian",
    "gradient_flow": "GradientFlow",
    "truncation": "Truncation",
    "truncated_training": "TruncatedTraining",
    "stability": "Stability",
    "memory_capacity": "MemoryCapacity",
    "polynomial_degree": "PolynomialDegree",
    "length_generalisation": "LengthGeneralisation",
    "parallelisability": "Parallelisability",
    "effective_state": "EffectiveState",
    "processing_capacity": "ProcessingCapacity",
}


def measure_class(name: str) -> type[MeasureOptions]:
    """Return the class of a measure's options."""
    module = importlib.import_module(f"rnnbench.benchmark.measures.{name}")
    found: type[MeasureOptions] = getattr(module, MEASURES[name])
    return found


def resolve_measures(written: object) -> tuple[Spec, ...]:
    """Return the measures of an experiment with all defaults filled in.

    Args:
        written: a list of names and of mappings ``{name: {setting: value}}``; None for no measures.

    Raises:
        ValueError: a measure or a setting is unknown, named twice, of the wrong type or outside of what is allowed.
    """
    if not isinstance(written, list | None):
        raise ValueError(f"measures must be a list, got {shown(written)}")
    specs: dict[str, Spec] = {}
    for entry in written or []:
        single = isinstance(entry, Mapping) and len(entry) == 1
        if isinstance(entry, Mapping) and not single:
            raise ValueError(
                f"{shown(dict(entry))} is not a measure: write one a line, its settings indented below it, or as "
                "- lyapunov: {samples: 4}"
            )
        name, given = next(iter(entry.items())) if single else (entry, {})
        if not isinstance(name, str) or name not in MEASURES:
            raise ValueError(f"unknown measure {shown(name)}: {nearest(name, MEASURES)}")
        if name in specs:
            raise ValueError(f"the measure {name} is named twice: its 'at' can name several moments")
        given = {} if given is None else given
        try:
            written = dict(given) if isinstance(given, Mapping) else given  # of a section the line would be given twice
            measure = validated(measure_class(name), written, f"measure {name}")
        except UserError as error:
            raise ValueError(error) from error
        # Those that are given as they are written.
        settings = {key: given.get(key, default) for key, default in measure.model_dump(mode="json").items()}
        specs[name] = {"measure": name, "settings": settings}
    return tuple(specs.values())


def build_measure(spec: Mapping[str, Any]) -> MeasureOptions:
    """Return the measure of a resolved spec."""
    return measure_class(spec["measure"])(**spec["settings"])
