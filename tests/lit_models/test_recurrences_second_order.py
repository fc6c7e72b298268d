"""SecondOrderRNN: CP factors against the full tensor, and the first weights."""

import functools

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from rnnbench.lit_models.recurrences.second_order import SecondOrderRNN

close = functools.partial(torch.testing.assert_close, atol=1e-10, rtol=1e-10)


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
    for rank in (None, 30):
        for weight in SecondOrderRNN(20, 25, rank=rank).parameters():
            assert weight.abs().max() <= 1 / 5
            assert weight.std().item() == pytest.approx(1 / 5 / 3**0.5, rel=0.3)
