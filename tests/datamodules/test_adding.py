import math

import hypothesis
import hypothesis.strategies as st
import pytest
import torch

from rnnbench.datamodules import Adding
from rnnbench.datamodules.seeds import named_generator


@hypothesis.given(st.integers(2, 40), st.integers(0, 2**40))
def test_one_marker_in_each_half_and_their_sum(length, seed):
    inputs, targets = Adding(length).sample(16, named_generator("test", seed))
    assert inputs.shape == (16, length, 2)
    assert targets.shape == (16, 1)
    for sequence, target in zip(inputs.double().tolist(), targets[:, 0].tolist(), strict=True):
        marked = [step for step, (_, marker) in enumerate(sequence) if marker == 1]
        assert len(marked) == 2
        assert sum(marker for _, marker in sequence) == 2
        assert marked[0] < length // 2 <= marked[1]
        assert target == pytest.approx(sum(sequence[step][0] for step in marked), abs=1e-6)
        assert all(0 <= number <= 1 for number, _ in sequence)


@pytest.mark.parametrize("length", [5, 6])
def test_markers_reach_every_step_equally_often(length):
    markers = Adding(length).sample(20_000, named_generator("test"))[0][..., 1].mean(0)
    half = length // 2
    expected = torch.tensor([1 / half] * half + [1 / (length - half)] * (length - half))
    assert (markers - expected).abs().max() < 5 * math.sqrt(0.25 / 20_000)


def test_task():
    task = Adding(200, loss="mse").task
    assert (task.name, task.loss, task.readout, task.ranked.name) == ("ADD200", "mse", "last", "rmse")
    assert task.ranked.minimal_performance == 0.05
    assert Adding().task.loss == "rmse"
