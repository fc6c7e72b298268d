"""Recurrences that are linear in their state, in C: chunk by chunk, whatever computes the rows of a step."""

from functools import partial

import pytest
import torch
from torch.func import functional_call, stack_module_state, vmap

from rnnbench.lit_models.recurrences.block_diagonal import BlockDiagonalRNN
from rnnbench.lit_models.recurrences.delta_net import DeltaNet
from rnnbench.lit_models.recurrences.minimal import MinGRU, MinLSTM
from rnnbench.lit_models.recurrences.rg_lru import RGLRU
from rnnbench.lit_models.recurrences.rwkv7 import RWKV7
from rnnbench.lit_models.recurrences.s6 import S6
from rnnbench.lit_models.scan.contract import Operands
from rnnbench.lit_models.scan.native import linear
from rnnbench.lit_models.scan.native.library import find_library
from rnnbench.lit_models.scan.policy import use_backend

RECURRENCES = {
    **{cls.__name__: cls for cls in (MinGRU, MinLSTM, RGLRU, BlockDiagonalRNN, S6)},
    "DeltaNet": partial(DeltaNet, negative_eigenvalues=True),
    "DeltaProduct": partial(DeltaNet, heads=2, gated=True, householder_steps=2),
    # Heads of two: fewer than a tile of columns.
    "RWKV7": partial(RWKV7, heads=4),
}

pytestmark = [
    pytest.mark.skipif(find_library()[0] is None, reason="nothing is compiled"),
    pytest.mark.parametrize("cls", RECURRENCES.values(), ids=RECURRENCES),
    # Rows are computed in C of two inputs, and given of five.
    pytest.mark.parametrize("features", [2, 5]),
]


@pytest.mark.parametrize("own_inputs", [True, False], ids=["own inputs", "shared inputs"])
def test_chunks_join(cls, features, own_inputs, monkeypatch):
    monkeypatch.setattr(linear, "_CHUNK_BYTES", 0)
    networks = [cls(features, 8).double() for _ in range(3)]
    tensors = stack_module_state(networks)
    inputs = torch.randn(*([3] if own_inputs else []), 20, 9, features, dtype=torch.float64, requires_grad=True)
    states = torch.randn(3, 9, networks[0].state_size, dtype=torch.float64, requires_grad=True)

    def call(tensors, x, state):
        return functional_call(networks[0], tensors, (x, state))

    found = []
    for name in ("loop", "native"):
        with use_backend(name):
            outputs, final = vmap(call, (0, 0 if own_inputs else None, 0))(tensors, inputs, states)
            loss = (outputs.sin().cumsum(1) * torch.linspace(-1, 1, 9).unsqueeze(-1)).sum() + final.square().sum()
            found.append([outputs, final, *torch.autograd.grad(loss, [inputs, states, *tensors[0].values()])])
    torch.testing.assert_close(*found, atol=1e-10, rtol=1e-10)


def test_what_is_kept_is_the_first_state_of_each_chunk(cls, features, monkeypatch):
    monkeypatch.setattr(linear, "_CHUNK_BYTES", 0)
    kernel, weights = cls(features, 8).scan_kernel()
    state = torch.randn(1, 9, cls(features, 8).state_size)
    given = Operands(torch.randn(20, 1, 9, features), state, [each.detach().unsqueeze(0) for each in weights])
    (firsts,) = kernel.forward(given, True, False)[2]
    assert firsts.shape == (3, *state.mT.shape)
    assert torch.equal(firsts[0], state.mT)
