import math

import hypothesis
import hypothesis.strategies as st
import numpy as np
import pytest
import torch

from rnnbench.datamodules import Polynomial
from rnnbench.datamodules.polynomial import KINDS, orthonormal_hermite
from rnnbench.datamodules.seeds import named_generator


def quadrature(function, points=80):
    """E[function(x)] for x ~ N(0, 1), exact for polynomials of degree below 2 points."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(points)
    return float((weights * function(nodes)).sum() / math.sqrt(2 * math.pi))


def reference(kind, x, t, k, p):
    if kind == "product":
        return math.prod(x[t - p - i] for i in range(k))
    if kind == "monomial":
        return x[t - p] ** k
    if kind == "sine":
        return math.sin(k * x[t - p])
    return np.polynomial.hermite_e.hermeval(x[t - p], [0] * k + [1]) / math.sqrt(math.factorial(k))


@pytest.mark.parametrize("kind", KINDS)
@hypothesis.given(st.integers(1, 5), st.integers(0, 4), st.integers(1, 2))
def test_targets_by_hand(kind, degree, delay, width):
    data = Polynomial(kind, degree, delay, length=10, width=width)
    inputs = torch.randn(2, 10, width, dtype=torch.float64, generator=named_generator("test", degree, delay))
    targets = data.target(inputs)
    first = delay + (degree - 1 if kind == "product" else 0)
    for sequence, feature in np.ndindex(2, width):
        x = inputs[sequence, :, feature].tolist()
        wanted = [0.0] * first + [reference(kind, x, t, degree, delay) for t in range(first, 10)]
        assert targets[sequence, :, feature].tolist() == pytest.approx(wanted, rel=1e-9, abs=1e-12)
    assert data.task.loss_steps == data.task.ranked.steps == (first, 10)


def test_hermite_polynomials_are_orthonormal():
    for j in range(7):
        for k in range(7):
            product = quadrature(
                lambda x, j=j, k=k: (
                    orthonormal_hermite(torch.from_numpy(x), j) * orthonormal_hermite(torch.from_numpy(x), k)
                ).numpy()
            )
            assert product == pytest.approx(float(j == k), abs=1e-8)


@pytest.mark.parametrize("degree", range(1, 7))
def test_variance_is_exact(degree):
    for kind, function in (
        ("monomial", lambda x: x**degree),
        ("sine", lambda x: np.sin(degree * x)),
        ("power", lambda x: reference("power", [x], 0, degree, 0)),
    ):
        exact = quadrature(lambda x, f=function: f(x) ** 2) - quadrature(function) ** 2
        task = Polynomial(kind, degree).task
        assert task.target_variance == pytest.approx(exact, rel=1e-7), kind
        assert [metric.chance for metric in task.metrics] == [1.0, task.target_variance]


def test_product_has_variance_one_and_chance_is_the_mean():
    targets = Polynomial("product", degree=3, delay=1, length=12).sample(50_000, named_generator("test"))[1]
    error = targets[:, 3:].double().square().mean((1, 2))
    assert error.mean().item() == pytest.approx(1.0, abs=5 * error.std().item() / math.sqrt(50_000))


def test_a_lower_degree_scores_chance():
    # The best quadratic in the three inputs, fitted to their product: it explains nothing.
    inputs, targets = Polynomial("product", degree=3, delay=0, length=3).sample(100_000, named_generator("test"))
    x = inputs[..., 0].double()
    pairs = [x[:, i] * x[:, j] for i in range(3) for j in range(i, 3)]
    features = torch.stack([torch.ones(len(x)).double(), *x.unbind(1), *pairs], dim=1)
    y = targets[:, 2].double()
    residual = y - features @ torch.linalg.lstsq(features, y).solution
    assert (residual.square().mean() / y.square().mean()).item() > 0.999


def test_names_tell_settings_apart():
    settings = [("power", 2, 2, 24), ("power", 3, 2, 24), ("power", 2, 1, 24), ("power", 2, 2, 20), ("sine", 2, 2, 24)]
    names = {Polynomial(*values, width=width).task.name for values in settings for width in (1, 2)}
    assert len(names) == 10
