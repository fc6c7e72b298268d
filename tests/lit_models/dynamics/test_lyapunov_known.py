"""Lyapunov exponents that are known: exactly, from the literature, or from mean field."""

import math
from collections.abc import Callable

import pytest
import torch

from rnnbench.lit_models.dynamics.lyapunov import lyapunov_spectrum
from rnnbench.lit_models.recurrences.elman import ElmanRNN
from rnnbench.lit_models.recurrences.truncation import FeedForwardTruncation
from rnnbench.lit_models.recurrences.wcrnn import WCRNN
from tests.lit_models.dynamics.maps import (
    DrivenLinearMap,
    Henon,
    LinearMap,
    Lorenz,
    RandomTanhNetwork,
    no_inputs,
    normal,
)

for_intervals = pytest.mark.parametrize("qr_every", ["auto", 1, 7])


def close(found: torch.Tensor, expected: torch.Tensor | list[float] | float, tolerance: float) -> None:
    wanted = torch.as_tensor(expected, dtype=torch.float64).expand_as(found)
    torch.testing.assert_close(found, wanted, atol=tolerance, rtol=0.0)


def in_double(build: Callable[[], WCRNN]) -> WCRNN:
    """Build a network whose numbers are doubles from the beginning."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        return build()
    finally:
        torch.set_default_dtype(before)


@for_intervals
@pytest.mark.parametrize(
    "rows",
    [
        [[0.5, 0, 0, 0], [0, -2.0, 0, 0], [0, 0, 1e-3, 0], [0, 0, 0, 1.0]],
        [[1.2, 3.0, -1.0], [0.0, -0.9, 2.0], [0.0, 0.0, 0.3]],
    ],
    ids=["diagonal", "triangular"],
)
def test_diagonal_and_triangular_maps(rows, qr_every) -> None:
    matrix = torch.tensor(rows, dtype=torch.float64)
    spectrum = lyapunov_spectrum(LinearMap(matrix), no_inputs(300, 2), qr_every=qr_every)
    close(spectrum.exponents, matrix.diagonal().abs().log().sort(descending=True)[0], 1e-10)


@pytest.mark.parametrize("matrix_order", ["lower triangular", "symmetric"])
def test_maps_with_a_transient(matrix_order: str) -> None:
    # The frame turns to its limit as (0.6 / 0.9)^(2 t) and faster.
    values = torch.tensor([1.5, 0.9, -0.6], dtype=torch.float64)
    if matrix_order == "symmetric":
        basis = torch.linalg.qr(normal(3, 3))[0]
        matrix = basis @ values.diag() @ basis.t()
    else:
        matrix = normal(3, 3).tril(-1) + values.flip(0).diag()
    spectrum = lyapunov_spectrum(LinearMap(matrix), no_inputs(400, 1), tangent_transient=100)
    close(spectrum.exponents, values.abs().log(), 1e-10)


@pytest.mark.parametrize(
    ("residual", "phi"), [("scalar", 0.0), ("rotation", 0.3), ("rotation", (0.0, 3.0)), ("orthogonal", 0.0)]
)
@pytest.mark.parametrize("r", [0.95, 1.0, 1.01])
def test_uncoupled_wcrnn(residual: str, phi, r: float) -> None:
    # Built in double precision: r, cos φ and sin φ as float32 numbers would move the exponents by 1e-7.
    network = in_double(lambda: WCRNN(2, 6, residual=residual, r=r, phi=phi, gamma=0.0))
    spectrum = lyapunov_spectrum(network, normal(101, 2, 2))
    close(spectrum.exponents, math.log(r), 1e-10)


@for_intervals
def test_rotated_and_scaled_block(qr_every) -> None:
    # After two right angles a pair of units has been scaled by r1 r2 in both directions.
    network = WCRNN(1, 2, residual="rotation_diagonal", r=(0.4, 1.2), phi=math.pi / 2, gamma=0.0).double()
    strengths = network.residual_matrix().detach().abs().amax(1)
    with torch.no_grad():
        network.residual_own.zero_()
    assert strengths[0] != strengths[1]
    spectrum = lyapunov_spectrum(network, normal(64, 3, 1), qr_every=qr_every)
    close(spectrum.exponents, strengths.prod().log() / 2, 1e-10)


def period_three() -> tuple[torch.Tensor, torch.Tensor]:
    """Three matrices that are far from normal, and log |eigenvalues| of their product over 3."""
    matrices = torch.stack([normal(3, 3, seed=seed) for seed in (9, 10, 11)])
    eigenvalues = torch.linalg.eigvals(matrices[2] @ matrices[1] @ matrices[0]).abs()
    return matrices, eigenvalues.log().sort(descending=True)[0] / 3


@for_intervals
def test_period_three_product(qr_every) -> None:
    matrices, expected = period_three()
    reversed_product = torch.linalg.eigvals(matrices[0] @ matrices[1] @ matrices[2]).abs().log()
    assert (reversed_product.sort(descending=True)[0] / 3 - expected).abs().max() > 0.05
    inputs = matrices.flatten(1).repeat(200, 1).unsqueeze(1)
    spectrum = lyapunov_spectrum(DrivenLinearMap(3), inputs, tangent_transient=300, qr_every=qr_every)
    close(spectrum.exponents, expected, 1e-6)


def test_ginibre_products() -> None:
    size, g = 10, 1.3
    inputs = g / math.sqrt(size) * normal(800, 16, size**2)
    spectrum = lyapunov_spectrum(DrivenLinearMap(size), inputs, tangent_transient=50)
    degrees = (size - torch.arange(size)).double()
    newman = math.log(g) + (math.log(2 / size) + torch.digamma(degrees / 2)) / 2
    assert spectrum.standard_error.max() < 0.012
    assert ((spectrum.mean - newman).abs() < 4 * spectrum.standard_error).all()


def test_henon() -> None:
    start = 0.1 * torch.rand(300, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    spectrum = lyapunov_spectrum(
        Henon(), no_inputs(900, 300), state=start, state_transient=100, tangent_transient=20, qr_every=4
    )
    assert spectrum.finite.all()
    close(spectrum.mean, [0.41922, -1.62319], 0.003)
    close(spectrum.exponents.sum(1), math.log(0.3), 1e-8)
    assert spectrum.kaplan_yorke.mean().item() == pytest.approx(1.258, abs=0.003)
    assert spectrum.entropy_rate.mean().item() == pytest.approx(0.41922, abs=0.003)


@pytest.mark.slow
def test_lorenz() -> None:
    start = torch.tensor([1.0, 1.0, 25.0], dtype=torch.float64) + normal(100, 3)
    spectrum = lyapunov_spectrum(
        Lorenz(), no_inputs(4000, 100), state=start, state_transient=1000, tangent_transient=200, qr_every=20
    )
    close(spectrum.mean / Lorenz.STEP, [0.9056, 0.0, -14.5723], 0.02)
    assert spectrum.kaplan_yorke.mean().item() == pytest.approx(2.062, abs=0.003)


@pytest.mark.slow  # Eight networks of 400 units.
def test_random_tanh_networks_against_mean_field() -> None:
    largest = []
    for seed in range(8):
        network = RandomTanhNetwork(400, 2.0, seed)
        start = normal(4, 400, seed=seed)
        spectrum = lyapunov_spectrum(
            network, no_inputs(700, 4), count=1, state=start, state_transient=100, tangent_transient=50
        )
        largest.append(spectrum.mean[0])
    assert torch.stack(largest).mean().item() == pytest.approx(0.1547, abs=0.01)


@for_intervals
def test_window_of_inputs_forgets_everything(qr_every) -> None:
    window = FeedForwardTruncation(2, lambda size: ElmanRNN(size, 4), k=3).double()
    spectrum = lyapunov_spectrum(window, normal(12, 2, 2), qr_every=qr_every)
    assert (spectrum.exponents == -math.inf).all()
    assert (spectrum.mean == -math.inf).all()
    assert (spectrum.standard_error == 0).all()
    assert (spectrum.convergence == 0).all()
    assert (spectrum.kaplan_yorke == 0).all()
    assert (spectrum.entropy_rate == 0).all()
    assert spectrum.finite.all()


@for_intervals
def test_map_of_low_rank_in_a_general_basis(qr_every) -> None:
    basis = normal(4, 4)
    matrix = basis @ torch.tensor([1.5, 0.5, 0.0, 0.0]).double().diag() @ basis.inverse()
    spectrum = lyapunov_spectrum(LinearMap(matrix), no_inputs(150, 2), tangent_transient=50, qr_every=qr_every)
    close(spectrum.exponents, [math.log(1.5), math.log(0.5), -math.inf, -math.inf], 1e-10)


@for_intervals
def test_lost_directions_do_not_take_from_the_others(qr_every) -> None:
    # The first column is zero in the first step: what stands in its place must not be projected out of the second.
    singular = torch.tensor([[0.0, 1.0], [0.0, 1.0]], dtype=torch.float64)
    regular = torch.tensor([[2.0, 0.0], [0.0, 0.5]], dtype=torch.float64)
    inputs = torch.stack([singular, *[regular] * 40]).flatten(1).unsqueeze(1)
    spectrum = lyapunov_spectrum(DrivenLinearMap(2), inputs, tangent_transient=21, qr_every=qr_every)
    close(spectrum.exponents, [math.log(2.0), -math.inf], 1e-10)


def test_relu_network_of_low_rank() -> None:
    torch.manual_seed(3)
    network = ElmanRNN(2, 12, time_activation="relu").double()
    inputs = normal(60, 2, 2)
    spectrum = lyapunov_spectrum(network, inputs)
    # A product has no higher rank than any of its factors diag(active) W.
    states = network(inputs)[0]
    fewest_active = (states > 0).sum(-1).amin(0)
    assert (fewest_active < 12).all()
    left = (spectrum.exponents > -math.inf).sum(-1)
    assert (left > 0).all()
    assert (left <= fewest_active).all()
