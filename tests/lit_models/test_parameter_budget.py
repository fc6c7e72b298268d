"""hidden_size_for against a search through all sizes."""

import functools

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from rnnbench.lit_models.parameter_budget import count_parameters, hidden_size_for
from rnnbench.lit_models.recurrences.gated import LSTM
from rnnbench.lit_models.recurrences.stacked import StackedRNN
from rnnbench.lit_models.recurrences.wcrnn import WCRNN


def smnist(recurrence: functools.partial, hidden_size: int) -> nn.Module:
    return nn.ModuleList([recurrence(1, hidden_size), nn.Linear(hidden_size, 10)])


def stack(input_size: int, hidden_size: int) -> StackedRNN:
    return StackedRNN(input_size, functools.partial(LSTM, hidden_size=hidden_size), 2)


BUILDS = {"LSTM": LSTM, "WCRNN": WCRNN, "rotation": functools.partial(WCRNN, residual="rotation"), "stack": stack}


@settings(max_examples=60, deadline=None)
@given(name=st.sampled_from(list(BUILDS)), budget=st.integers(100, 4000))
def test_largest_that_fits(name: str, budget: int) -> None:
    build = functools.partial(smnist, BUILDS[name])
    sizes = [size for size in range(1, 62) if name != "rotation" or size % 2 == 0]
    fitting = [size for size in sizes if count_parameters(build(size)) <= budget]
    assert fitting[-1] < sizes[-1]
    assert hidden_size_for(budget, build) == fitting[-1]


def test_the_paper_s_sizes() -> None:
    assert hidden_size_for(11_310, functools.partial(smnist, WCRNN)) == 100
    assert hidden_size_for(11_309, functools.partial(smnist, WCRNN)) == 99
    assert hidden_size_for(11_309, functools.partial(smnist, BUILDS["rotation"])) == 98
    assert hidden_size_for(9_880, functools.partial(smnist, LSTM)) == 47


def test_no_memory_and_no_random_draw() -> None:
    before = torch.get_rng_state()
    assert hidden_size_for(10**13, functools.partial(smnist, LSTM)) > 10**6
    assert torch.equal(torch.get_rng_state(), before)


def test_frozen_and_shared_parameters() -> None:
    layer = nn.Linear(3, 3)
    frozen = nn.Linear(3, 3).requires_grad_(False)
    assert count_parameters(nn.ModuleList([layer, layer, frozen])) == 12


@pytest.mark.parametrize(("name", "smallest"), [("WCRNN", 1), ("rotation", 2)])
def test_budget_too_small(name: str, smallest: int) -> None:
    with pytest.raises(ValueError, match=rf"parameters must be at least \d+, those at hidden size {smallest}"):
        hidden_size_for(5, functools.partial(smnist, BUILDS[name]))


def test_what_cannot_be_built_or_does_not_grow_is_refused() -> None:
    with pytest.raises(ValueError, match="can be built: gamma must be at least 0, got -1"):
        hidden_size_for(1000, lambda size: WCRNN(1, size, gamma=-1))
    with pytest.raises(ValueError, match="parameters must grow with the hidden size"):
        hidden_size_for(100, lambda _: nn.Linear(3, 3))
