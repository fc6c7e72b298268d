"""DeepTransitionRNN: the Elman network as its shallow case, skip connections and depth in every MLP."""

import functools

import pytest
import torch
from torch import nn

from rnnbench.lit_models.contracts import normal
from rnnbench.lit_models.recurrences.deep_transition import DeepTransitionRNN

STEPS, BATCH, INPUTS, UNITS = 6, 3, 2, 4
close = functools.partial(torch.testing.assert_close, atol=1e-10, rtol=1e-10)
draw = functools.partial(normal, seed=1)


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


@pytest.mark.parametrize("argument", ["input_layers", "transition_layers", "output_layers"])
def test_impossible_layers_are_refused(argument: str) -> None:
    with pytest.raises(ValueError, match=f"a size in {argument} must be at least 1, got 0"):
        build(**{argument: (3, 0)})
