"""SecondOrderRNN: the tensor contraction written out, and CP factors against the full tensor."""

import functools

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from rnnbench.lit_models.recurrences.second_order import SecondOrderRNN

close = functools.partial(torch.testing.assert_close, atol=1e-10, rtol=1e-10)


@torch.no_grad()
def test_full_tensor_written_out() -> None:
    torch.manual_seed(0)
    network = SecondOrderRNN(2, 3).double()
    x, h = torch.randn(1, 2, dtype=torch.float64), torch.randn(1, 3, dtype=torch.float64)
    extended_h, extended_x = [*h[0].tolist(), 1.0], [*x[0].tolist(), 1.0]
    expected = [
        sum(float(network.weight[k, i, j]) * extended_h[i] * extended_x[j] for i in range(4) for j in range(3))
        for k in range(3)
    ]
    close(network.step(x, h)[0], torch.tensor(expected, dtype=torch.float64).tanh())
    assert sum(p.numel() for p in network.parameters()) == 4 * 3 * 3


@torch.no_grad()
def test_cp_written_out() -> None:
    torch.manual_seed(0)
    network = SecondOrderRNN(2, 3, rank=4, time_activation="relu").double()
    x, h = torch.randn(2, dtype=torch.float64), torch.randn(3, dtype=torch.float64)
    expected = []
    for k in range(3):
        value = float(network.bias[k])
        value += sum(float(network.weight_ih[k, j] * x[j]) for j in range(2))
        value += sum(float(network.weight_hh[k, i] * h[i]) for i in range(3))
        for r in range(4):
            state_part = sum(float(network.state_factors[i, r] * h[i]) for i in range(3))
            input_part = sum(float(network.input_factors[j, r] * x[j]) for j in range(2))
            value += float(network.output_factors[k, r]) * state_part * input_part
        expected.append(max(value, 0.0))
    close(network.step(x.unsqueeze(0), h.unsqueeze(0))[0], torch.tensor(expected, dtype=torch.float64))


@settings(max_examples=25, deadline=None)
@given(
    inputs=st.integers(1, 4),
    units=st.integers(1, 5),
    activation=st.sampled_from(["tanh", "relu", "identity"]),
    seed=st.integers(0, 2**31),
)
def test_full_rank_cp_equals_the_full_tensor(inputs: int, units: int, activation: str, seed: int) -> None:
    torch.manual_seed(seed)
    full = SecondOrderRNN(inputs, units, time_activation=activation).double()
    factorised = full.as_cp()
    assert factorised.rank == units * inputs
    assert torch.equal(factorised.full_tensor(), full.full_tensor())
    x = torch.randn(6, 2, inputs, dtype=torch.float64, requires_grad=True)
    outputs, expected = full(x)[0], factorised(x)[0]
    close(outputs, expected)
    close(torch.autograd.grad(outputs.sum(), x), torch.autograd.grad(expected.sum(), x))


@pytest.mark.parametrize("rank", [1, 3, 10])
def test_any_cp_equals_its_full_tensor(rank: int) -> None:
    torch.manual_seed(rank)
    factorised = SecondOrderRNN(3, 4, rank=rank).double()
    full = SecondOrderRNN(3, 4).double()
    with torch.no_grad():
        full.weight.copy_(factorised.full_tensor())
    x = torch.randn(6, 2, 3, dtype=torch.float64)
    close(full(x)[0], factorised(x)[0])


def test_initial_weights_are_uniform_within_their_bound() -> None:
    torch.manual_seed(0)
    for rank in (None, 30):
        for weight in SecondOrderRNN(20, 25, rank=rank).parameters():
            assert weight.abs().max() <= 1 / 5
            assert weight.std().item() == pytest.approx(1 / 5 / 3**0.5, rel=0.3)


@pytest.mark.parametrize("rank", [0, -2])
def test_impossible_rank(rank: int) -> None:
    with pytest.raises(ValueError, match=f"rank must be at least 1, got {rank}"):
        SecondOrderRNN(1, 2, rank=rank)
