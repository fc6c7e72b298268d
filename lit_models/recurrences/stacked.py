"""Depth by stacking: every layer has a hidden state of its own and reads the layer below at the same time step."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal, cast

import torch
from torch import Tensor, nn

from rnnbench.datamodules.checks import check_at_least, check_choice
from rnnbench.lit_models.recurrence import Recurrence
from rnnbench.lit_models.recurrences._common import ACTIVATIONS
from rnnbench.lit_models.scan.contract import Scanned, keeps_definition


class StackedRNN(Recurrence):
    """L recurrences on top of each other; layer l reads act(output of layer l-1) (hierarchical hidden states).

    The activation in depth is separate from the layers' activation in time: identity in time and an activation in
    depth is the deep RNN of Lizaire et al. 2026; tanh in time and identity in depth is ``torch.nn.RNN`` of L layers,
    as other layers give ``torch.nn.LSTM`` and ``torch.nn.GRU``. The state is the layers' states one after the other:
    S is their sum. The output is the last layer's, not activated.

    >>> import functools
    >>> from rnnbench.lit_models.recurrences.gated import LSTM
    >>> deep = StackedRNN(3, functools.partial(LSTM, hidden_size=8), num_layers=2)
    >>> deep.hidden_size, deep.state_size, [layer.input_size for layer in deep.layers]
    (8, 32, [3, 8])
    """

    def __init__(
        self,
        input_size: int,
        layer: Callable[[int], Recurrence],
        num_layers: int,
        depth_activation: Literal["identity", "tanh", "relu"] = "identity",
    ) -> None:
        """Build the layers, from the lowest to the highest.

        Args:
            input_size: D.
            layer: builds one layer from its input size.
            num_layers: L.
            depth_activation: act, between layers only.

        Raises:
            ValueError: a size is not positive or the activation is unknown.
        """
        check_at_least(1, input_size=input_size, num_layers=num_layers)
        check_choice("depth_activation", depth_activation, ACTIVATIONS)
        layers = [layer(input_size)]
        for _ in range(num_layers - 1):
            layers.append(layer(layers[-1].hidden_size))
        super().__init__(input_size, layers[-1].hidden_size, sum(each.state_size for each in layers))
        self.depth_activation = depth_activation
        # torch does not say of what modules a list is.
        self.layers = cast("Sequence[Recurrence]", nn.ModuleList(layers))

    def initial_state(self, batch_size: int) -> Tensor:
        """Return the layers' initial states, joined [B, S]."""
        return torch.cat([layer.initial_state(batch_size) for layer in self.layers], -1)

    def project(self, inputs: Tensor) -> Tensor:
        """Return the projection of the lowest layer [..., P] of inputs [..., D]."""
        return self.layers[0].project(inputs)

    def advance(self, projected: Tensor, state: Tensor) -> Tensor:
        """Return the next state [B, S]."""
        states = self._split(state)
        following = [self.layers[0].advance(projected, states[0])]
        for below, layer, layer_state in zip(self.layers[:-1], self.layers[1:], states[1:], strict=True):
            following.append(layer.step(self._activate(below.output(following[-1])), layer_state))
        return torch.cat(following, -1)

    def output(self, state: Tensor) -> Tensor:
        """Return the output of the last layer [B, N]."""
        return self.layers[-1].output(self._split(state)[-1])

    def run(self, inputs: Tensor, state: Tensor, lengths: Tensor | None, keep_outputs: bool) -> Scanned:
        """Run layer by layer, each over the whole sequence; as in ``Recurrence.run``."""
        if not keeps_definition(type(self), "run"):
            return super().run(inputs, state, lengths, keep_outputs)
        *below, last_state = self._split(state)
        finals = []
        for layer, layer_state in zip(self.layers[:-1], below, strict=True):
            outputs, final = layer(inputs, layer_state, lengths)
            inputs = self._activate(outputs)
            finals.append(final)
        outputs, last = self.layers[-1].run(inputs, last_state, lengths, keep_outputs)
        return outputs, torch.cat([*finals, last], -1)

    def _activate(self, outputs: Tensor) -> Tensor:
        return ACTIVATIONS[self.depth_activation](outputs)

    def _split(self, state: Tensor) -> list[Tensor]:
        return list(state.split([layer.state_size for layer in self.layers], -1))
