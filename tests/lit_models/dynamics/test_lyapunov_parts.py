"""QR that is safe for dependent vectors, and the numbers that follow from a spectrum."""

import math

import pytest
import torch

from rnnbench.lit_models.dynamics import orthonormalise as module
from rnnbench.lit_models.dynamics.dimension import entropy_rate, kaplan_yorke_dimension
from rnnbench.lit_models.dynamics.orthonormalise import orthonormalise
from tests.lit_models.dynamics.maps import normal


def expected_qr(vectors: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    frames, triangles = torch.linalg.qr(vectors.permute(1, 2, 0))
    signed = triangles.diagonal(dim1=-2, dim2=-1)
    return (frames * signed.sign().unsqueeze(-2)).permute(2, 0, 1), signed.abs().log()


@pytest.mark.parametrize("method", ["householder", "cholesky", "gram_schmidt"])
@pytest.mark.parametrize("size", [1e-200, 1.0, 1e200])
def test_methods_equal_the_library(method: str, size: float, monkeypatch: pytest.MonkeyPatch) -> None:
    replacements = {
        "cholesky": lambda rows, lengths: module._cholesky_twice(rows, torch.zeros_like(lengths, dtype=torch.bool)),
        "gram_schmidt": lambda rows, lengths: (rows, lengths, torch.zeros(len(rows), dtype=torch.bool)),
    }
    if method in replacements:
        monkeypatch.setattr(module, "_householder", replacements[method])
    vectors = size * normal(5, 4, 8)
    vectors[3] = vectors[0] + 1e-4 * vectors[3]
    directions, log_factors, log_lengths = orthonormalise(vectors)
    expected, expected_factors = expected_qr(vectors)
    torch.testing.assert_close(directions, expected, atol=1e-10, rtol=0.0)
    torch.testing.assert_close(log_factors, expected_factors, atol=1e-10, rtol=0.0)
    gram = torch.einsum("kbs,lbs->bkl", directions, directions)
    torch.testing.assert_close(gram, torch.eye(5).double().expand(4, 5, 5), atol=1e-13, rtol=0.0)
    torch.testing.assert_close(log_lengths, (vectors / size).norm(dim=-1).t().log() + math.log(size))


@pytest.mark.parametrize("zero_beside", [False, True])
def test_dependent_and_zero_vectors(zero_beside: bool) -> None:
    vectors = normal(4, 3, 6)
    vectors[2, 0] = 2 * vectors[0, 0] - vectors[1, 0]
    small = 1e-10 * vectors[1, 1]
    vectors[1, 1] = vectors[0, 1] + small
    if zero_beside:
        vectors[0, 2] = 0
    directions, log_factors, log_lengths = orthonormalise(vectors)
    assert log_factors[0].isneginf().tolist() == [False, False, True, False]
    assert (directions[2, 0] == 0).all()
    assert log_lengths[0].isfinite().all()
    # What is left of a nearly dependent vector is found, with the rounding errors of the vector itself.
    along = (small @ vectors[0, 1]) / vectors[0, 1].square().sum() * vectors[0, 1]
    assert log_factors[1, 1].exp().item() == pytest.approx((small - along).norm().item(), rel=1e-4)
    assert log_factors[2, 0].isneginf().item() == zero_beside
    # The others are as if the dependent vector were not there.
    others = vectors[[0, 1, 3], :1]
    torch.testing.assert_close(directions[[0, 1, 3], :1], expected_qr(others)[0], atol=1e-12, rtol=0.0)
    assert not directions.isnan().any()


def test_numbers_that_are_not_finite_stay_in_their_set() -> None:
    vectors = normal(3, 3, 5)
    expected = orthonormalise(vectors)
    vectors[1, 0, 2], vectors[0, 2, 0] = math.inf, math.nan
    found = orthonormalise(vectors)
    assert found[0][:, [0, 2]].isnan().all()
    assert found[1][[0, 2]].isnan().all()
    torch.testing.assert_close(found[0][:, 1], expected[0][:, 1], atol=1e-13, rtol=0.0)
    torch.testing.assert_close(found[1][1], expected[1][1], atol=1e-13, rtol=0.0)


INF, NAN = math.inf, math.nan


@pytest.mark.parametrize(
    ("exponents", "state_size", "dimension", "rate"),
    [
        ([0.41922, -1.62319], None, 1 + 0.41922 / 1.62319, 0.41922),
        ([-1.0, -2.0], None, 0.0, 0.0),
        ([0.0, -1.0], None, 1.0, 0.0),
        ([0.9056, 0.0, -14.5723], None, 2 + 0.9056 / 14.5723, 0.9056),
        ([2.0, -1.0, -0.5], None, 3.0, 2.0),
        ([-1.0, 2.0, -0.5, -4.0], None, 3 + 0.5 / 4, 2.0),
        ([0.5, -INF], None, 1.0, 0.5),
        ([-INF, -INF], None, 0.0, 0.0),
        ([0.5, NAN], None, NAN, NAN),
        ([0.5, -0.25], 4, NAN, 0.5),
        ([0.5, 0.25], 4, NAN, NAN),
        ([0.5, -1.0], 4, 1.5, 0.5),
        ([-0.5], 4, 0.0, 0.0),
    ],
)
def test_dimension_and_entropy_rate(exponents, state_size, dimension, rate) -> None:
    values = torch.tensor(exponents, dtype=torch.float64)
    assert kaplan_yorke_dimension(values, state_size).item() == pytest.approx(dimension, nan_ok=True)
    assert entropy_rate(values.expand(3, -1), state_size).tolist() == pytest.approx([rate] * 3, nan_ok=True)


@pytest.mark.parametrize("measure", [kaplan_yorke_dimension, entropy_rate])
@pytest.mark.parametrize(("count", "message"), [(0, "at least 1 and at most 2.*, got 0"), (3, "at most 2.*, got 3")])
def test_more_exponents_than_directions_are_refused(measure, count, message) -> None:
    with pytest.raises(ValueError, match=f"the number of exponents must be .*{message}"):
        measure(torch.zeros(count), state_size=2)
