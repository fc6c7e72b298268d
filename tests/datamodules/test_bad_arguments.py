"""Arguments that no task can mean; what holds for all tasks alike is in the contract tests."""

import pytest

from rnnbench import datamodules
from rnnbench.datamodules.task import Metric, Task

# class: (arguments, the message)
BAD = {
    "Adding": [({"length": 1}, "length must be at least 2, got 1")],
    "DelayedCopy": [({"delay": 16, "length": 16}, r"delay must be less than length \(16\), .*, got 16")],
    "LinearSystem": [({"spectral_radius": 1e10}, "over 100 steps its powers are beyond double precision")],
    "Music": [
        ({"max_frames": 1}, "max_frames must be at least 2, got 1"),
        ({"collection": "jsb"}, "unknown collection 'jsb': did you mean 'jsb_chorales'"),
    ],
    "ATIS": [({"vocabulary_size": 1}, "vocabulary_size must be at least 2, got 1")],
    "WikiText2": [
        ({"vocabulary_size": 1}, "vocabulary_size must be at least 2, got 1"),
        ({"embedding_size": None, "tied": True}, "tied must be False without an embedding_size"),
    ],
    "Shakespeare": [
        ({"vocabulary_size": 1}, "vocabulary_size must be at least 2, got 1"),
        ({"tied": True}, "tied must be False without an embedding_size"),
    ],
    "Polynomial": [
        ({"kind": "hermite"}, "unknown kind 'hermite': known are 'power', 'product', 'monomial', 'sine'"),
        ({"degree": 1001}, "degree must be at most 1000, got 1001"),
        ({"kind": "monomial", "degree": 29}, "degree must be at most 28 for kind 'monomial', got 29"),
        ({"delay": 24}, "length must be at least 25, .* kind 'power', degree 2 and delay 24, got 24"),
        ({"kind": "product", "degree": 25, "delay": 0}, "length must be at least 25, .*, got 24"),
    ],
    "StateTracking": [
        ({"length": 1}, "length must be at least 2, got 1"),
        ({"width": 2}, "width must be 1 for kind 'parity', .*, got 2"),
        ({"kind": "sum", "window": 2}, "window must be left out for kind 'sum', got 2"),
        ({"kind": "temporal_product"}, r"window must be from 1 to 24 \(length\) for kind .*, got None"),
        ({"kind": "temporal_product", "window": 25}, "got 25"),
        ({"kind": "temporal_product", "window": 0}, "got 0"),
    ],
}


@pytest.mark.parametrize(("name", "settings", "message"), [(name, *case) for name in BAD for case in BAD[name]])
def test_bad_arguments_are_named(name, settings, message):
    with pytest.raises(ValueError, match=message):
        getattr(datamodules, name)(**settings)


@pytest.mark.parametrize("steps", [(10,), (10, 15, 19), tuple(range(2, 20)), (5, 5), (-2, 3)])
def test_scored_steps_are_a_range_and_no_indices(steps):
    with pytest.raises(ValueError, match=r"steps of metric mse must be the first .*, got \("):
        Metric("mse", "min", 1.0, 0.0, steps=steps)
    with pytest.raises(ValueError, match="loss_steps must be the first scored step and the one after the last"):
        Task("t", 1, 1, 20, "every", "mse", (Metric("mse", "min", 1.0, 0.0),), loss_steps=steps)
