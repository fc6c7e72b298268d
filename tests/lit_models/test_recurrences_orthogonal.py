"""OrthogonalRNN: its matrix stays orthogonal while an ensemble trains, in copies and in checkpoints."""

import copy
import io

import pytest
import torch

from rnnbench.lit_models.ensemble import Ensemble
from rnnbench.lit_models.network import Network
from rnnbench.lit_models.recurrence import Recurrence
from rnnbench.lit_models.recurrences.orthogonal import OrthogonalRNN

UNITS = 7
MAPS = ["matrix_exp", "cayley"]


def build(orthogonal_map: str, seed: int = 0) -> OrthogonalRNN:
    torch.manual_seed(seed)
    return OrthogonalRNN(1, UNITS, orthogonal_map).double()


def deviation(recurrence: Recurrence) -> float:
    matrix = recurrence.recurrent_map.weight.detach()
    return (matrix @ matrix.T - torch.eye(UNITS, dtype=matrix.dtype)).abs().max().item()


@pytest.mark.parametrize("orthogonal_map", MAPS)
def test_stays_orthogonal_while_an_ensemble_trains(orthogonal_map: str) -> None:
    ensemble = Ensemble([Network(build(orthogonal_map, seed), 2, "last").double() for seed in range(3)])
    before = [ensemble.instance(i).recurrence.recurrent_map.weight.detach() for i in range(3)]
    optimizer = torch.optim.Adam(ensemble.parameters(), lr=0.1, weight_decay=0.01)
    inputs, targets = torch.randn(8, 5, 1, dtype=torch.float64), torch.randn(8, 2, dtype=torch.float64)
    for _ in range(10):
        optimizer.zero_grad()
        (ensemble(inputs) - targets).square().sum().backward()
        optimizer.step()
    for i, start in enumerate(before):
        recurrence = ensemble.instance(i).recurrence
        assert deviation(recurrence) < 1e-12
        assert (recurrence.recurrent_map.weight - start).abs().max() > 0.1
    assert (before[0] - before[1]).abs().max() > 0.1


@pytest.mark.parametrize("orthogonal_map", MAPS)
def test_first_matrix_rotates_pairs_of_units(orthogonal_map: str) -> None:
    matrix = build(orthogonal_map).recurrent_map.weight.detach()
    assert deviation(build(orthogonal_map)) < 1e-12
    for i in range(0, UNITS - 1, 2):
        angle = torch.atan2(matrix[i + 1, i], matrix[i, i])
        assert 0 < angle < torch.pi / 2
        turn = torch.stack([torch.stack([angle.cos(), -angle.sin()]), torch.stack([angle.sin(), angle.cos()])])
        torch.testing.assert_close(matrix[i : i + 2, i : i + 2], turn)
    assert matrix[-1, -1] == 1
    assert matrix.count_nonzero() == 2 * (UNITS - 1) + 1


def test_both_maps_start_from_the_same_matrix() -> None:
    torch.testing.assert_close(*(build(name).recurrent_map.weight for name in MAPS), atol=1e-7, rtol=0)


def test_copies_and_checkpoints_hold_the_same_matrix() -> None:
    network, inputs = build("cayley"), torch.randn(5, 2, 1, dtype=torch.float64)
    file = io.BytesIO()
    torch.save(network.state_dict(), file)
    file.seek(0)
    loaded = build("cayley", seed=1)
    loaded.load_state_dict(torch.load(file, weights_only=True))
    for other in (copy.deepcopy(network), loaded):
        assert torch.equal(other(inputs)[0], network(inputs)[0])
    # What was computed once for a sequence is not kept for the next: weights may have changed.
    with torch.no_grad():
        network.recurrent_map.parametrizations.weight.original.add_(0.3)
    assert not torch.equal(network(inputs)[0], loaded(inputs)[0])
    assert deviation(network) < 1e-12
