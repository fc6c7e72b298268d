"""WCRNN: its residual maps, eq. 16 and 17 of Dubinin & Effenberger 2024, and what is drawn."""

import functools
import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from rnnbench.lit_models.recurrences.wcrnn import WCRNN

close = functools.partial(torch.testing.assert_close, atol=1e-10, rtol=1e-10)
RESIDUALS = {
    "scalar": {"r": 0.9, "gamma": (0.1, 0.9)},
    "diagonal": {"r": (0.5, 1.5), "gamma": 0.3},
    "rotation": {"r": 0.9, "phi": (0.1, 3.0), "gamma": 0.3},
    "rotation_diagonal": {"r": (0.5, 1.5), "phi": (0.1, 3.0), "gamma": (0.1, 0.9)},
    "orthogonal": {"r": 0.9, "gamma": (0.1, 0.9)},
}


def make(residual: str, units: int = 6, seed: int = 0, **settings: object) -> WCRNN:
    torch.manual_seed(seed)
    return WCRNN(2, units, residual=residual, **{**RESIDUALS[residual], **settings}).double()


@given(r=st.floats(-2, 2), phi=st.floats(-7, 7), blocks=st.integers(1, 4))
def test_rotation_matrix_is_equation_16(r: float, phi: float, blocks: int) -> None:
    matrix = WCRNN(1, 2 * blocks, residual="rotation", r=r, phi=phi).residual_matrix()
    expected = torch.zeros(2 * blocks, 2 * blocks)
    for i in range(0, 2 * blocks, 2):
        expected[i, i] = expected[i + 1, i + 1] = r * math.cos(phi)
        expected[i, i + 1], expected[i + 1, i] = -r * math.sin(phi), r * math.sin(phi)
    torch.testing.assert_close(matrix, expected, atol=1e-6, rtol=1e-6)


@pytest.mark.parametrize(
    ("kind", "arguments"), [("scalar", {"r": 0.95}), ("diagonal", {"r": 0.95}), ("diagonal", {"r": (0.9, 1.0)})]
)
def test_diagonal_matrix_is_equation_17(kind: str, arguments: dict[str, object]) -> None:
    matrix = WCRNN(1, 5, residual=kind, **arguments).residual_matrix()
    strengths = matrix.diagonal()
    assert torch.equal(matrix, torch.diag(strengths))
    assert ((strengths >= 0.9) & (strengths <= 1.0)).all()
    assert len(strengths.unique()) == (5 if isinstance(arguments["r"], tuple) else 1)


def test_rotation_diagonal_scales_first_and_then_rotates() -> None:
    matrix = make("rotation_diagonal", units=8).residual_matrix()
    r = matrix.norm(dim=0)
    assert ((r >= 0.5) & (r <= 1.5)).all()
    assert len(r.unique()) == 8
    rotation = matrix / r
    close(rotation @ rotation.T, torch.eye(8, dtype=torch.float64), atol=1e-6, rtol=0)
    angles = torch.atan2(rotation.diagonal(-1)[::2], rotation.diagonal()[::2])
    assert ((angles >= 0.1) & (angles <= 3.0)).all()
    assert len(angles.unique()) == 4
    assert not torch.equal(matrix, matrix.diagonal().diag())


def test_orthogonal_residual_is_orthogonal_and_uniform() -> None:
    network = make("orthogonal", units=20)
    product = network.residual_matrix() @ network.residual_matrix().T
    close(product, 0.81 * torch.eye(20, dtype=torch.float64), atol=1e-5, rtol=0)
    torch.manual_seed(1)
    sample = torch.stack([WCRNN(1, 4, residual="orthogonal").residual_matrix() for _ in range(2000)])
    # Haar: mean 0, entry variance 1/N, both signs of the determinant. Without fixed signs diag(Q) is one-sided.
    assert sample.mean(0).abs().max() < 0.06
    assert (sample.var(0) - 0.25).abs().max() < 0.05
    assert 0.45 < (torch.linalg.det(sample) > 0).float().mean() < 0.55


def test_residual_is_fixed_and_coupling_weights_are_trained() -> None:
    network = make("rotation_diagonal")
    assert {name for name, _ in network.named_parameters()} == {
        f"{part}.{kind}" for part in ("input_map", "recurrent_map") for kind in ("weight", "bias")
    }
    assert {name for name, _ in network.named_buffers()} == {"gamma", "residual_own", "residual_cross"}
    assert ((network.gamma >= 0.1) & (network.gamma <= 0.9)).all()
    assert len(network.gamma.unique()) == 6


def test_weights_are_those_of_linear_layers_whatever_the_residual() -> None:
    torch.manual_seed(4)
    expected = [*nn.Linear(2, 6).parameters(), *nn.Linear(6, 6).parameters()]
    for residual, arguments in RESIDUALS.items():
        torch.manual_seed(4)
        network = WCRNN(2, 6, residual=residual, **arguments)
        assert all(torch.equal(a, b) for a, b in zip(network.parameters(), expected, strict=True))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"gamma": -0.01}, "gamma must be at least 0, got -0.01"),
        ({"gamma": (-0.1, 0.1)}, r"gamma must be at least 0, got \(-0.1, 0.1\)"),
        ({"gamma": (0.5, 0.1)}, r"gamma must be .* low <= high, got \(0.5, 0.1\)"),
        ({"r": math.nan}, "r must be a finite number or a pair .* got nan"),
        ({"residual": "diagonal", "r": (1.0, 2.0, 3.0)}, r"r must be .* a pair .* got \(1.0, 2.0, 3.0\)"),
        ({"r": (0.9, 1.0)}, r"r must be a single number for residual 'scalar', got \(0.9, 1.0\)"),
        ({"residual": "orthogonal", "r": (0.9, 1.0)}, "a single number for residual 'orthogonal'"),
        ({"phi": 0.3}, "phi must be 0 for residual 'scalar', which has no angle, got 0.3"),
        ({"residual": "rotation", "phi": math.inf}, "phi must be a finite number .* got inf"),
        ({"residual": "rotation", "hidden_size": 5}, "hidden_size must be even for residual 'rotation', got 5"),
    ],
)
def test_impossible_values(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        WCRNN(**{"input_size": 1, "hidden_size": 4, **arguments})
