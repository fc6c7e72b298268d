"""StackedRNN: depth activation, layers of unequal state, and nesting."""

import functools
import itertools

import numpy as np
import pytest
import torch

from rnnbench.lit_models.ensemble import Ensemble
from rnnbench.lit_models.network import Network
from rnnbench.lit_models.recurrences.elman import ElmanRNN
from rnnbench.lit_models.recurrences.stacked import StackedRNN
from rnnbench.lit_models.recurrences.truncation import FeedForwardTruncation
from rnnbench.lit_models.recurrences.wcrnn import WCRNN

close = functools.partial(torch.testing.assert_close, atol=1e-10, rtol=1e-10)


@pytest.mark.parametrize(("name", "act"), [("identity", lambda v: v), ("tanh", torch.tanh), ("relu", torch.relu)])
def test_activation_between_layers_only(name: str, act: object) -> None:
    layer = functools.partial(ElmanRNN, hidden_size=3, time_activation="identity")
    network = StackedRNN(2, layer, 3, depth_activation=name).double()
    values = torch.randn(5, 4, 2, dtype=torch.float64)
    outputs, final = network(values)
    finals = []
    for index, each in enumerate(network.layers):
        values, last = each(values if index == 0 else act(values))
        finals.append(last)
    close(outputs, values)
    close(final, torch.cat(finals, -1))
    assert final.shape == (4, 9)


def test_layers_are_drawn_from_the_lowest_up() -> None:
    torch.manual_seed(2)
    network = StackedRNN(2, functools.partial(WCRNN, hidden_size=4, residual="orthogonal"), 2)
    torch.manual_seed(2)
    for layer, input_size in zip(network.layers, (2, 4), strict=True):
        alone = WCRNN(input_size, 4, residual="orthogonal").state_dict()
        assert all(torch.equal(value, alone[name]) for name, value in layer.state_dict().items())


def test_a_stack_can_be_truncated() -> None:
    layer = functools.partial(ElmanRNN, hidden_size=3)
    stack = StackedRNN(2, layer, 2).double()
    inputs = torch.randn(6, 4, 2, dtype=torch.float64)
    truncated = FeedForwardTruncation.of(stack, 2)(inputs)[0]
    close(truncated[4], stack(inputs[3:5])[0][-1])


ACTS = {"identity": lambda v: v, "tanh": np.tanh, "relu": lambda v: np.maximum(v, 0)}
STACKS = [
    *itertools.product(("tanh", "relu"), (1, 2, 3), ("every",), (False, True)),
    *itertools.product(("identity", "tanh"), (1, 3), ("between",), (True,)),
]


def depth_paper(parameters: dict[str, np.ndarray], inputs: np.ndarray, act: str, layers: int, form: str, skip: bool):
    """The deep RNN of Lizaire et al. 2026 in NumPy, scalar sums over units: outputs [T, B, N] and states [B, S]."""
    weights = [
        [parameters[f"layers.{index}.{name}"] for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")]
        for index in range(layers)
    ]
    states = [np.zeros((inputs.shape[1], len(each[1]))) for each in weights]
    outputs = []
    for x in inputs:
        reads, below = x, None
        for index, (w, u, b, c) in enumerate(weights):
            states[index] = np.einsum("ij,bj->bi", w, reads) + np.einsum("ij,bj->bi", u, states[index]) + b + c
            activated = form == "every" or index < layers - 1
            reads = ACTS[act](states[index]) if activated else states[index]
            if skip and below is not None:
                reads = reads + below
            below = reads
        outputs.append(reads)
    return np.stack(outputs), np.concatenate(states, -1)


@pytest.mark.parametrize(("act", "layers", "form", "skip"), STACKS)
def test_equals_the_equations_of_the_depth_paper(act: str, layers: int, form: str, skip: bool) -> None:
    torch.manual_seed(1)
    layer = functools.partial(ElmanRNN, hidden_size=4, time_activation="identity")

    def make() -> Network:
        stack = StackedRNN(3, layer, layers, depth_activation=act, depth_form=form, depth_residual=skip)
        return Network(stack, 2, "every").double()

    networks, inputs = [make(), make()], torch.randn(7, 5, 3, dtype=torch.float64)
    exactly = functools.partial(torch.testing.assert_close, atol=1e-12, rtol=0)
    for network, together in zip(networks, Ensemble(networks)(inputs.transpose(0, 1)), strict=True):
        stack = network.recurrence
        parameters = {name: value.detach().numpy() for name, value in stack.named_parameters()}
        outputs, final = map(torch.from_numpy, depth_paper(parameters, inputs.numpy(), act, layers, form, skip))
        state = stack.initial_state(5)
        for x, expected in zip(inputs, outputs, strict=True):
            state = stack.step(x, state)
            exactly(stack.output(state), expected)
        exactly(state, final)
        found = stack(inputs)
        exactly(found, (outputs, final))
        exactly(stack.forward_last(inputs), (outputs[-1], final))
        exactly(together, network.readout(outputs).transpose(0, 1))


def test_outputs_that_are_added_must_be_of_one_size() -> None:
    sizes = iter((3, 4))
    with pytest.raises(ValueError, match=r"layers must have outputs of one size for depth_residual, got \[3, 4\]"):
        StackedRNN(2, lambda size: ElmanRNN(size, next(sizes)), 2, depth_residual=True)


def test_a_forward_of_a_layer_s_own_is_called_at_every_depth() -> None:
    calls = []

    class Own(ElmanRNN):
        def forward(self, *arguments):
            calls.append(self.input_size)
            return super().forward(*arguments)

    stack = StackedRNN(2, functools.partial(Own, hidden_size=3), 2)
    stack(torch.zeros(4, 1, 2))
    stack.forward_last(torch.zeros(4, 1, 2))
    assert calls == [2, 3, 2, 3]
