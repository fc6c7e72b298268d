import math

import hypothesis
import hypothesis.strategies as st
import pytest
import torch

from rnnbench.datamodules import StateTracking
from rnnbench.datamodules.seeds import named_generator

REGRESSIONS = ("product", "product_raw", "sign_product", "sum", "mean", "temporal_product")


def make(kind, length, width=1, **settings):
    return StateTracking(
        kind, length, window=min(3, length) if kind == "temporal_product" else None, width=width, **settings
    )


def signed_root(values, order):
    product = math.prod(values)
    return math.copysign(abs(product) ** (1 / order), product)


def reference(kind, x, t, window):
    seen = x[: t + 1]
    if kind == "product":
        return signed_root(seen, t + 1)
    if kind == "product_raw":
        return math.prod(seen)
    if kind == "sign_product":
        return math.prod(math.copysign(1.0, value) for value in seen)
    if kind == "temporal_product":
        return signed_root(x[t + 1 - window : t + 1], window) if t + 1 >= window else 0.0
    return math.fsum(seen) / (t + 1 if kind == "mean" else 1)


@pytest.mark.parametrize("kind", REGRESSIONS)
@hypothesis.given(st.integers(1, 12), st.integers(1, 2))
def test_targets_by_hand(kind, length, width):
    data = make(kind, length, width)
    inputs = torch.randn(3, length, width, dtype=torch.float64, generator=named_generator("test", length))
    targets = data.target(inputs)
    assert targets.shape == inputs.shape
    for sequence in range(3):
        for feature in range(width):
            x = inputs[sequence, :, feature].tolist()
            wanted = [reference(kind, x, t, data.window) for t in range(length)]
            assert targets[sequence, :, feature].tolist() == pytest.approx(wanted, rel=1e-9, abs=1e-12)


@hypothesis.given(st.integers(2, 40))
def test_parity_by_hand(length):
    inputs, targets = StateTracking("parity", length).sample(8, named_generator("test", length))
    assert inputs.shape == (8, length, 1)
    assert targets.dtype == torch.int64
    for signs, classes in zip(inputs[..., 0].tolist(), targets.tolist(), strict=True):
        product = 1.0
        for sign, label in zip(signs, classes, strict=True):
            assert sign in (-1.0, 1.0)
            product *= sign
            assert label == (0 if product == 1.0 else 1)


def test_parity_is_scored_from_the_second_step():
    task = StateTracking("parity", 10).task
    assert (task.ranked.name, task.ranked.chance, task.ranked.steps) == ("accuracy", 0.5, (1, 10))
    assert (task.loss, task.output_size) == ("cross_entropy", 2)


@pytest.mark.parametrize("kind", ["product", "sign_product", "sum", "mean", "temporal_product"])
def test_variance_is_that_of_the_targets(kind):
    data = make(kind, 7)
    first, stop = data.task.ranked.steps
    assert first == (2 if kind == "temporal_product" else 0)
    squares = data.sample(100_000, named_generator("test"))[1][:, first:stop].double().square().mean((1, 2))
    error = 5 * squares.std().item() / math.sqrt(len(squares))
    assert data.task.target_variance == pytest.approx(squares.mean().item(), abs=error)
    assert [metric.chance for metric in data.task.metrics] == [1.0, data.task.target_variance]


def test_raw_product_is_measured_against_its_test_split():
    data = make("product_raw", 30, test_size=50)
    data.setup()
    targets = data._sources["test"].targets.double()
    assert data.task.target_variance == pytest.approx(targets.square().mean().item(), rel=1e-12)
    assert data.task == make("product_raw", 30, test_size=50).task


def test_long_products_neither_underflow_nor_turn_nan():
    inputs = torch.full((1, 2000, 1), -0.01)
    target = StateTracking("product", 2000).target(inputs)[0, :, 0]
    torch.testing.assert_close(target.abs(), torch.full((2000,), 0.01), rtol=1e-4, atol=0)
    assert torch.equal(target.sign(), torch.tensor([-1.0, 1.0]).repeat(1000))
    inputs[0, 3] = 0.0
    assert StateTracking("product", 2000).target(inputs)[0, 3:].abs().max() == 0
