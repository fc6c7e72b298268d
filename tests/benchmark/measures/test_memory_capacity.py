import numpy as np
import pytest

from rnnbench.benchmark.measures.base import Subject
from rnnbench.benchmark.measures.memory_capacity import MemoryCapacity
from rnnbench.lit_models.lit_sequence_model import make_network
from tests.lit_models.small_runs import ELMAN, adding


def subject():
    data = adding()
    data.setup()
    return Subject(make_network(ELMAN, data.task, 0), data.task, data.samples("test", 3), data.training_batches)


def test_an_instance_is_measured():
    measured = MemoryCapacity(steps=1000).take(subject())
    assert set(measured.arrays) == {"delays", "capacity"}
    assert measured.arrays["delays"].tolist() == list(range(8))  # two for each of 4 states
    assert measured.arrays["capacity"].dtype == np.float32
    assert measured.summary["state_size"] == 4
    assert measured.summary["total"] == pytest.approx(measured.arrays["capacity"].sum(), abs=1e-5)
    assert 1 < measured.summary["total"] < 4


def test_the_number_of_delays_can_be_set():
    assert MemoryCapacity(delays=3, steps=200).take(subject()).arrays["delays"].tolist() == [0, 1, 2]


def test_a_state_too_large_for_the_steps_says_so():
    with pytest.raises(ValueError, match="steps × sequences must be at least 10 for a state of 4, got 9 × 1"):
        MemoryCapacity(steps=9).take(subject())
