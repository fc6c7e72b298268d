import pytest
import torch

from rnnbench.datamodules import LinearSystem


@pytest.mark.parametrize(("radius", "order", "width"), [(0.5, 1, 1), (0.9, 8, 1), (1.1, 5, 3)])
def test_targets_are_those_of_the_system_step_by_step(radius, order, width):
    data = LinearSystem(radius, order, width, length=20)
    transition, drive, readout = (matrix.tolist() for matrix in data.system())
    inputs = torch.randn(2, 20, width, dtype=torch.float64)
    found = data.target(inputs)
    for sequence, targets in zip(inputs.tolist(), found[..., 0].tolist(), strict=True):
        state = [0.0] * order
        for x, target in zip(sequence, targets, strict=True):
            state = [
                sum(transition[i][j] * state[j] for j in range(order)) + sum(drive[i][k] * x[k] for k in range(width))
                for i in range(order)
            ]
            output = sum(c * s for c, s in zip(readout[0], state, strict=True))
            assert output == pytest.approx(target, rel=1e-9, abs=1e-9)


@pytest.mark.parametrize("radius", [0.3, 0.99, 1.2])
def test_the_spectral_radius_and_the_variance_are_as_asked(radius):
    data = LinearSystem(radius, order=6, length=30)
    assert torch.linalg.eigvals(data.system()[0]).abs().max().item() == pytest.approx(radius)
    # The response to a unit pulse at each step, squared and summed, is the variance of each output.
    pulses = torch.eye(30, dtype=torch.float64).unsqueeze(-1)
    assert data.target(pulses).square().sum().item() / 30 == pytest.approx(1.0)


def test_the_seed_decides_the_system():
    first, again, other = (LinearSystem(seed=seed).system()[0] for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
