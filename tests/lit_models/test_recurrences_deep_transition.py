"""DeepTransitionRNN: the Elman network as its shallow case, Jacobians of skip connections, depth in every MLP."""

import functools

import pytest
import torch
from torch import nn
from torch.func import jacrev

from rnnbench.lit_models.presets import PRESETS
from rnnbench.lit_models.recurrences.deep_transition import DeepTransitionRNN
from rnnbench.lit_models.recurrences.stacked import StackedRNN

STEPS, BATCH, INPUTS, UNITS = 6, 3, 2, 4
close = functools.partial(torch.testing.assert_close, atol=1e-10, rtol=1e-10)


def draw(*shape: int, seed: int = 1) -> torch.Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def build(**settings: object) -> DeepTransitionRNN:
    torch.manual_seed(0)
    return DeepTransitionRNN(INPUTS, UNITS, **settings).double()


@pytest.mark.parametrize("activation", ["tanh", "relu"])
def test_one_layer_mlps_are_torchs_elman_network(activation: str) -> None:
    network, reference = build(activation=activation), nn.RNN(INPUTS, UNITS, nonlinearity=activation).double()
    ours = [network.input[0].weight, network.transition[0].weight, network.input[0].bias, network.transition[0].bias]
    theirs = list(reference.parameters())
    with torch.no_grad():
        for own, other in zip(ours, theirs, strict=True):
            own.copy_(other)
    inputs = draw(STEPS, BATCH, INPUTS).requires_grad_()
    found, expected = network(inputs), reference(inputs)
    close(found[0], expected[0])
    close(found[1], expected[1][0])
    weights = draw(STEPS, BATCH, UNITS, seed=2)
    gradients = torch.autograd.grad((found[0] * weights).sum(), [inputs, *ours])
    close(gradients, torch.autograd.grad((expected[0] * weights).sum(), [inputs, *theirs]))


def test_identity_skip_adds_the_identity_to_the_jacobian() -> None:
    network = build(skip="identity", transition_layers=(5,), input_layers=(3,))
    inputs, state = draw(1, INPUTS), draw(1, UNITS, seed=2)
    jacobian = jacrev(lambda h: network.step(inputs, h)[0])(state)[:, 0]
    first, last = network.transition[0], network.transition[2]
    slope = 1 - torch.tanh(first.weight @ state[0] + first.bias) ** 2
    close(jacobian, torch.eye(UNITS, dtype=torch.float64) + last.weight @ torch.diag(slope) @ first.weight)


@pytest.mark.parametrize("skip", ["none", "identity", "linear"])
def test_equal_to_its_layers_written_out(skip: str) -> None:
    network = build(skip=skip, input_layers=(3,), transition_layers=(5, 6), output_layers=(7, 2), activation="sigmoid")
    inputs, state = draw(STEPS, BATCH, INPUTS), draw(BATCH, UNITS, seed=2)

    def mlp(module: nn.Sequential, values: torch.Tensor) -> torch.Tensor:
        affine = [layer for layer in module if isinstance(layer, nn.Linear)]
        for layer in affine[:-1]:
            values = torch.sigmoid(values @ layer.weight.T + layer.bias)
        return values @ affine[-1].weight.T + affine[-1].bias

    outputs, final = network(inputs, state)
    for t in range(STEPS):
        total = mlp(network.transition, state) + mlp(network.input, inputs[t])
        if skip == "identity":
            state = state + total
        else:
            shortcut = state @ network.shortcut.weight.T if skip == "linear" else 0
            state = torch.sigmoid(total + shortcut)
        close(outputs[t], torch.sigmoid(mlp(network.deep_output, state)))
    close(final, state)
    assert outputs.shape == (STEPS, BATCH, 2)


def test_stacked_layers_have_states_of_their_own_and_read_the_layer_below() -> None:
    layer = functools.partial(DeepTransitionRNN, hidden_size=UNITS, transition_layers=(5,), skip="identity")
    torch.manual_seed(0)
    deep = StackedRNN(INPUTS, layer, num_layers=2).double()
    inputs = draw(STEPS, BATCH, INPUTS)
    lower, upper = deep.layers
    low = high = torch.zeros(BATCH, UNITS, dtype=torch.float64)
    outputs = []
    for x in inputs:
        low = low + lower.transition(low) + lower.input(x)
        high = high + upper.transition(high) + upper.input(low)
        outputs.append(high)
    close(deep(inputs)[0], torch.stack(outputs))
    assert deep.state_size == 2 * UNITS


@pytest.mark.parametrize("name", ["DT(S)-RNN", "DOT(S)-RNN"])
def test_pascanus_presets(name: str) -> None:
    arguments = PRESETS[name].recurrence["init_args"]
    network = DeepTransitionRNN(1, **{k: tuple(v) if isinstance(v, list) else v for k, v in arguments.items()})
    assert network.shortcut is not None
    assert [layer.out_features for layer in network.transition if isinstance(layer, nn.Linear)] == [200, 200]
    assert bool(len(network.deep_output)) == (name == "DOT(S)-RNN")


@pytest.mark.parametrize("argument", ["input_layers", "transition_layers", "output_layers"])
def test_impossible_layers_are_refused(argument: str) -> None:
    with pytest.raises(ValueError, match=f"a size in {argument} must be at least 1, got 0"):
        build(**{argument: (3, 0)})
