"""StackedRNN: depth activation, layers of unequal state, and nesting."""

import functools

import pytest
import torch

from rnnbench.lit_models.recurrences.elman import ElmanRNN
from rnnbench.lit_models.recurrences.stacked import StackedRNN
from rnnbench.lit_models.recurrences.truncation import FeedForwardTruncation
from rnnbench.lit_models.recurrences.wcrnn import WCRNN

close = functools.partial(torch.testing.assert_close, atol=1e-10, rtol=1e-10)


@pytest.mark.parametrize(("name", "act"), [("identity", lambda v: v), ("tanh", torch.tanh), ("relu", torch.relu)])
def test_activation_between_layers_only(name: str, act: object) -> None:
    torch.manual_seed(0)
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


def test_a_stack_can_be_truncated_and_truncations_stacked() -> None:
    torch.manual_seed(0)
    layer = functools.partial(ElmanRNN, hidden_size=3)
    stack = StackedRNN(2, layer, 2).double()
    inputs = torch.randn(6, 4, 2, dtype=torch.float64)
    truncated = FeedForwardTruncation.of(stack, 2)(inputs)[0]
    close(truncated[4], stack(inputs[3:5])[0][-1])
    of_truncations = StackedRNN(2, functools.partial(FeedForwardTruncation, recurrence=layer, k=2), 2).double()
    # Two layers that each see two inputs see three together.
    changed = inputs.clone()
    changed[2] += 1.0
    difference = (of_truncations(changed)[0] - of_truncations(inputs)[0]).abs().amax((1, 2))
    assert [bool(value > 1e-9) for value in difference] == [False, False, True, True, True, False]
