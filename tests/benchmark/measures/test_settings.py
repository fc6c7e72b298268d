"""Settings of measures that are impossible, each refused by its name."""

import re

import pytest

from rnnbench.benchmark.measures import MEASURES, build_measure, measure_class, resolve_measures

BAD = [
    *((name, {"samples": 0}, "samples must be at least 1, got 0") for name in MEASURES),
    ("hessian", {"count": 0}, "count must be at least 1, got 0"),
    ("hessian", {"dtype": "float16"}, "dtype must be 'float64' or 'float32', got 'float16'"),
    ("hessian", {"ggn": 1}, "ggn must be true or false, got 1"),
    ("lyapunov", {"count": 0}, "count must be at least 1, got 0"),
    ("lyapunov", {"state_transient": -1}, "state_transient must be at least 0, got -1"),
    ("lyapunov", {"tangent_transient": -1}, "tangent_transient must be at least 0, got -1"),
    ("lyapunov", {"qr_every": 0}, "qr_every must be at least 1 or 'auto', got 0"),
    ("length_generalisation", {"lengths": [8, 4]}, "lengths must be increasing, got [8, 4]"),
    ("memory_capacity", {"delays": 0}, "delays must be at least 1, got 0"),
    ("memory_capacity", {"steps": 0}, "steps must be at least 1, got 0"),
    ("polynomial_degree", {"length": 0}, "length must be at least 1, got 0"),
    ("parallelisability", {"steps": [8, 4]}, "steps must be increasing, got [8, 4]"),
    ("parallelisability", {"tolerance": 0}, "tolerance must be above 0, got 0"),
    ("processing_capacity", {"degrees": 0}, "degrees must be at least 1, got 0"),
    ("stability", {"input_bound": 0}, "input_bound must be above 0, got 0"),
    ("truncation", {"ks": []}, "ks must be a list of at least 1, got []"),
    ("truncation", {"ks": [0, 2]}, "ks.0 must be at least 1, got 0"),
    ("truncation", {"ks": [2, 2]}, "ks must be increasing, got [2, 2]"),
    ("truncated_training", {"ks": [2, 1]}, "ks must be increasing, got [2, 1]"),
    ("truncated_training", {"steps": 0}, "steps must be at least 1, got 0"),
    ("truncated_training", {"learning_rate": -0.1}, "learning_rate must be above 0, got -0.1"),
    ("truncated_training", {"gradient_clip_norm": 0.0}, "gradient_clip_norm must be above 0, got 0.0"),
    ("truncated_training", [1], "must be a mapping (key: value), got [1]"),
]


@pytest.mark.parametrize(("name", "settings", "message"), BAD)
def test_bad_settings_are_named(name: str, settings: dict, message: str) -> None:
    with pytest.raises(ValueError, match=f"^measure {name}: {re.escape(message)}$"):
        resolve_measures([{name: settings}])


@pytest.mark.parametrize("name", MEASURES)
def test_defaults_are_filled_in_and_build_the_measure(name: str) -> None:
    (spec,) = resolve_measures([name])
    assert build_measure(spec) == measure_class(name)()
    assert set(spec["settings"]) == set(measure_class(name).model_fields)
