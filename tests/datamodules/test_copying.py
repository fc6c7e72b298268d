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


@hypothesis.given(st.integers(1, 20), st.integers(1, 4), st.data())
def test_delayed_copy_by_hand(length, width, drawn):
    delay = drawn.draw(st.integers(0, length - 1))
    data = DelayedCopy(delay, width, length)
    inputs, targets = data.sample(3, named_generator("test"))
    for x, y in zip(inputs.tolist(), targets.tolist(), strict=True):
        for t in range(length):
            assert y[t] == (x[t - delay] if t >= delay else [0.0] * width)
    assert data.task.loss_steps == data.task.ranked.steps == (delay, length)
    assert data.task.ranked.name == "mse"


def test_delayed_copy_inputs_are_standard_normal():
    inputs = DelayedCopy(1, 2, 10).sample(10_000, named_generator("test"))[0].double().flatten()
    assert inputs.mean().abs() < 5 / math.sqrt(len(inputs))
    assert (inputs.square().mean() - 1).abs() < 5 * math.sqrt(2 / len(inputs))


@hypothesis.given(st.integers(1, 20), st.integers(2, 30), st.data())
def test_token_copy_by_hand(length, entries, drawn):
    delay = drawn.draw(st.integers(0, length - 1))
    data = TokenCopy(delay, entries, length)
    tokens, targets = data.sample(50, named_generator("test"))
    for x, y in zip(tokens.tolist(), targets.tolist(), strict=True):
        assert y == [x[t - delay] if t >= delay else 0 for t in range(length)]
        assert all(0 <= token < entries for token in x)
    task = data.task
    assert task.loss_steps == task.ranked.steps == task.metrics[1].steps == (delay, length)
    assert (task.ranked.chance, task.metrics[1].chance) == (1 / entries, math.log(entries))
