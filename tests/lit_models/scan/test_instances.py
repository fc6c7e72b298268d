"""Scans go past ``vmap`` where it is the only transform: results are those of its own way, bit by bit."""

import functools

import pytest
import torch

from rnnbench.lit_models.ensemble import Ensemble
from rnnbench.lit_models.network import Network
from rnnbench.lit_models.recurrences.elman import ElmanRNN
from rnnbench.lit_models.recurrences.stacked import StackedRNN
from rnnbench.lit_models.recurrences.wcrnn import WCRNN
from rnnbench.lit_models.scan.autograd import function
from rnnbench.lit_models.scan.policy import use_backend
from tests.lit_models.scan.scanned import BUILDERS

NETWORKS = {name: functools.partial(BUILDERS[name], 2, 6) for name in ("Elman tanh", "LSTM", "GRU", "CP tanh")}
NETWORKS["rotation"] = functools.partial(BUILDERS["WCRNN linear rotation tanh"], 2, 6)
NETWORKS["stacked"] = lambda: StackedRNN(2, lambda features: WCRNN(features, 4, gamma=0.3), num_layers=2)


@pytest.fixture
def calls(monkeypatch):
    """How often scans went past vmap."""
    counted = []
    real = function.unwrap_vmap

    def counting(*arguments):
        counted.append(real(*arguments))
        return counted[-1]

    monkeypatch.setattr(function, "unwrap_vmap", counting)
    return counted


def both(compute, calls, monkeypatch):
    """What is computed past vmap, which must have happened, and by its own way."""
    past = compute()
    assert calls
    before = len(calls)
    monkeypatch.setattr(function, "level_of_vmap", lambda: None)
    own = compute()
    assert len(calls) == before
    return past, own


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("scan", ["auto", "eager"])
@pytest.mark.parametrize("readout", ["last", "every"])
def test_ensembles_are_the_same_as_by_the_way_of_vmap(name, scan, readout, calls, monkeypatch):
    ensemble = Ensemble([Network(NETWORKS[name](), 3, readout) for _ in range(3)])
    inputs = torch.randn(9, 7, 2, requires_grad=True)
    state = torch.randn(3, 9, ensemble.network.recurrence.state_size, requires_grad=True)

    def compute():
        with use_backend(scan):
            outputs = ensemble(inputs, state=state)
            return outputs, *torch.autograd.grad((outputs**2).sum(), [inputs, state, *ensemble.parameters()])

    past, own = both(compute, calls, monkeypatch)
    for one, other in zip(past, own, strict=True):
        assert torch.equal(one, other)


@pytest.mark.parametrize("batched", [(1, None), (None, 0), (2, 1)])
def test_whatever_is_batched(batched, calls, monkeypatch):
    recurrence = ElmanRNN(2, 5).double()
    shapes = [(7, 4, 2), (4, 5)]
    tensors = [
        torch.randn(*shape[: dim or 0], *([] if dim is None else [3]), *shape[dim or 0 :], dtype=torch.float64)
        for shape, dim in zip(shapes, batched, strict=True)
    ]

    def compute():
        return torch.vmap(recurrence, batched)(*tensors)

    past, own = both(compute, calls, monkeypatch)
    alone = [
        recurrence(*(each if dim is None else each.select(dim, k) for each, dim in zip(tensors, batched, strict=True)))
        for k in range(3)
    ]
    for one, other, *stacked in zip(past, own, *alone, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=0)
        torch.testing.assert_close(one, torch.stack(stacked), rtol=1e-12, atol=1e-12)


def test_other_transforms_go_their_own_way(calls):
    recurrence = ElmanRNN(2, 5).double()
    inputs = torch.randn(2, 3, 7, 4, 2, dtype=torch.float64)

    def loss(inputs):
        return recurrence(inputs)[0].pow(2).sum()

    nested = torch.vmap(torch.vmap(recurrence))(inputs)[0]
    slopes = torch.vmap(torch.vmap(torch.func.grad(loss)))(inputs)
    assert not calls
    for index in ((0, 0), (1, 2)):
        torch.testing.assert_close(nested[index], recurrence(inputs[index])[0])
        torch.testing.assert_close(slopes[index], torch.func.grad(loss)(inputs[index]))


def test_an_error_leaves_vmap_as_it_was(monkeypatch):
    recurrence = ElmanRNN(2, 5)
    with monkeypatch.context() as patched:
        patched.setattr(function._Scan, "apply", None)
        with pytest.raises(TypeError):
            torch.vmap(recurrence)(torch.randn(3, 7, 4, 2))
    assert torch.vmap(recurrence)(torch.randn(3, 7, 4, 2))[0].shape == (3, 7, 4, 5)
    assert torch.vmap(torch.sum)(torch.ones(3, 4)).tolist() == [4.0] * 3
