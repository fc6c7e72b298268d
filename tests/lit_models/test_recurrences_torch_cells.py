"""ElmanRNN, LSTM and GRU against torch.nn: values, gradients, initialisation, alone and stacked."""

import functools

import pytest
import torch
from torch import nn

from rnnbench.lit_models.recurrence import Recurrence
from rnnbench.lit_models.recurrences.elman import ElmanRNN
from rnnbench.lit_models.recurrences.gated import GRU, LSTM
from rnnbench.lit_models.recurrences.stacked import StackedRNN

STEPS, BATCH, INPUTS, UNITS = 9, 4, 3, 5
close = functools.partial(torch.testing.assert_close, atol=1e-10, rtol=1e-10)
PAIRS = {
    "tanh": (functools.partial(nn.RNN, nonlinearity="tanh"), ElmanRNN),
    "relu": (functools.partial(nn.RNN, nonlinearity="relu"), functools.partial(ElmanRNN, time_activation="relu")),
    "LSTM": (nn.LSTM, LSTM),
    "GRU": (nn.GRU, GRU),
}


def reference_and_ours(kind: str, layers: int) -> tuple[nn.RNNBase, list[Recurrence], Recurrence]:
    """torch's network, our layers with its weights, and their stack (the layer itself where there is one)."""
    make_reference, make_ours = PAIRS[kind]
    reference = make_reference(INPUTS, UNITS, num_layers=layers).double()
    if layers == 1:
        network = make_ours(INPUTS, UNITS).double()
        ours = [network]
    else:
        network = StackedRNN(INPUTS, functools.partial(make_ours, hidden_size=UNITS), layers).double()
        ours = list(network.layers)
    for index, layer in enumerate(ours):
        suffix = f"_l{index}"
        weights = {k.removesuffix(suffix): v for k, v in reference.state_dict().items() if k.endswith(suffix)}
        layer.load_state_dict(weights)
    return reference, ours, network


@pytest.mark.parametrize("kind", PAIRS)
@pytest.mark.parametrize("layers", [1, 2, 3])
def test_equal_to_torch(kind: str, layers: int) -> None:
    reference, ours, network = reference_and_ours(kind, layers)
    inputs = torch.randn(STEPS, BATCH, INPUTS, dtype=torch.float64, requires_grad=True)
    starts = [torch.randn(layers, BATCH, UNITS, dtype=torch.float64) for _ in range(2 if kind == "LSTM" else 1)]
    state = torch.stack(starts, 1).permute(2, 0, 1, 3).flatten(1)
    outputs, final = network(inputs, state)
    expected, expected_final = reference(inputs, tuple(starts) if kind == "LSTM" else starts[0])
    close(outputs, expected)
    parts = expected_final if kind == "LSTM" else (expected_final,)
    close(final, torch.stack(parts, 1).permute(2, 0, 1, 3).flatten(1))

    weights = torch.randn_like(outputs)
    gradients = torch.autograd.grad((outputs * weights).sum(), [inputs, *network.parameters()])
    expected_gradients = torch.autograd.grad((expected * weights).sum(), [inputs, *reference.parameters()])
    close(gradients, expected_gradients)
    names = [name for name, _ in ours[0].named_parameters()]
    assert [name.removesuffix("_l0") for name, _ in reference.named_parameters()][: len(names)] == names


@pytest.mark.parametrize("kind", PAIRS)
def test_same_draws_as_torch(kind: str) -> None:
    make_reference, make_ours = PAIRS[kind]
    torch.manual_seed(3)
    reference = make_reference(INPUTS, UNITS)
    torch.manual_seed(3)
    ours = make_ours(INPUTS, UNITS)
    for weight, expected in zip(ours.parameters(), reference.parameters(), strict=True):
        assert torch.equal(weight, expected)


def test_xavier_initialisation() -> None:
    network = ElmanRNN(30, 60, initialisation="xavier")
    assert not network.bias_ih.any()
    assert not network.bias_hh.any()
    for weight in (network.weight_ih, network.weight_hh):
        bound = (6 / sum(weight.shape)) ** 0.5
        assert 0.95 * bound < weight.abs().max() <= bound
