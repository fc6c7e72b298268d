import math

import hypothesis
import hypothesis.strategies as st
import pytest
import torch

from rnnbench.datamodules import CopyMemory, DelayedCopy, TokenCopy
from rnnbench.datamodules.seeds import named_generator


@hypothesis.given(st.integers(1, 30))
def test_copy_memory_by_hand(delay):
    inputs, targets = CopyMemory(delay).sample(4, named_generator("test", delay))
    assert inputs.shape == (4, delay + 20, 10)
    assert torch.equal(inputs.sum(-1), torch.ones(4, delay + 20))
    for shown, wanted in zip(inputs.argmax(-1).tolist(), targets.tolist(), strict=True):
        symbols = shown[:10]
        assert all(symbol in range(8) for symbol in symbols)
        assert shown[10:] == [8] * (delay - 1) + [9] + [8] * 10
        assert wanted == [8] * (delay + 10) + symbols


def test_copy_memory_draws_all_symbols_equally_often():
    symbols = CopyMemory(1).sample(20_000, named_generator("test"))[1][:, -10:]
    frequencies = symbols.flatten().bincount(minlength=8) / symbols.numel()
    assert len(frequencies) == 8
    assert (frequencies - 1 / 8).abs().max() < 5 * math.sqrt(1 / 8 * 7 / 8 / symbols.numel())


def test_copy_memory_task():
    task = CopyMemory(5).task
    accuracy, cross_entropy = task.metrics
    assert cross_entropy.chance == pytest.approx(10 * math.log(8) / 25)
    assert (accuracy.chance, accuracy.steps, cross_entropy.steps) == (1 / 8, (15, 25), None)
    assert (task.name, task.steps, task.loss, task.loss_steps) == ("COPY5", 25, "cross_entropy", None)


@pytest.mark.parametrize("cls", [DelayedCopy, TokenCopy])
@hypothesis.given(st.integers(1, 20), st.integers(2, 30), st.data())
def test_delayed_copies_by_hand(cls, length, size, drawn):
    delay = drawn.draw(st.integers(0, length - 1))
    data = cls(delay, size, length)
    inputs, targets = data.sample(20, named_generator("test"))
    nothing = 0 if cls is TokenCopy else [0.0] * size
    for x, y in zip(inputs.tolist(), targets.tolist(), strict=True):
        assert y == [x[t - delay] if t >= delay else nothing for t in range(length)]
    assert {data.task.loss_steps, *(metric.steps for metric in data.task.metrics)} == {(delay, length)}
    assert data.task.ranked.name == ("accuracy" if cls is TokenCopy else "mse")
    if cls is TokenCopy:
        assert 0 <= inputs.min() <= inputs.max() < size
        assert [metric.chance for metric in data.task.metrics] == [1 / size, math.log(size)]


def test_delayed_copy_inputs_are_standard_normal():
    inputs = DelayedCopy(1, 2, 10).sample(10_000, named_generator("test"))[0].double().flatten()
    assert inputs.mean().abs() < 5 / math.sqrt(len(inputs))
    assert (inputs.square().mean() - 1).abs() < 5 * math.sqrt(2 / len(inputs))
