"""Measures of dynamics as suites name them. Listing them imports no torch."""

import importlib

from rnnbench.benchmark.measures.base import MeasureOptions

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
}


def measure_class(name: str) -> type[MeasureOptions]:
    """Return the class of a measure's options."""
    module = importlib.import_module(f"rnnbench.benchmark.measures.{name}")
    found: type[MeasureOptions] = getattr(module, MEASURES[name])
    return found
