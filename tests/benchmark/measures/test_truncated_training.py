import numpy as np
import pytest

from rnnbench.benchmark.measures.base import Subject
from rnnbench.benchmark.measures.truncated_training import TruncatedTraining
from rnnbench.lit_models.lit_sequence_model import make_network
from tests.lit_models.small_runs import ELMAN, adding


def subject():
    data = adding()
    data.setup()
    return Subject(make_network(ELMAN, data.task, 0), data.task, data.samples("test", 3), data.training_batches)


def test_an_instance_is_measured_over_more_batches_than_an_epoch_has():
    measured = TruncatedTraining(ks=(1, 6), steps=11).take(subject())
    shapes = {name: array.shape for name, array in measured.arrays.items()}
    assert shapes == {"ks": (2,), "distance": (2, 11), "relative": (2, 11), "moved": (11,)}
    assert measured.arrays["ks"].tolist() == [1, 6]
    assert measured.arrays["distance"].dtype == np.float32
    assert measured.arrays["distance"][0].min() > 1e-4
    # The sequences have 6 steps.
    assert measured.arrays["distance"][1].max() < 1e-13
    assert measured.summary["distance"] == pytest.approx(measured.arrays["distance"][1, -1])
    assert measured.summary["relative"] == pytest.approx(measured.arrays["relative"][1, -1])
    assert measured.summary["moved"] == pytest.approx(measured.arrays["moved"][-1])
    assert measured.summary["moved"] > 0.01


def test_its_settings_reach_the_training():
    first = {"ks": (1,), "steps": 3}
    plain, decayed, clipped = (
        TruncatedTraining(**first, **more).take(subject()).arrays["moved"]
        for more in ({}, {"decay": "1/t"}, {"gradient_clip_norm": 0.001})
    )
    assert plain[0] == decayed[0]
    assert plain[1] != decayed[1]
    assert clipped[0] == pytest.approx(0.1 * 0.001)
