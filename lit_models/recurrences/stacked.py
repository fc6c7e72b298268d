"""Depth by stacking: every layer has a hidden state of its own and reads the layer below at the same time step."""

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
    S is their sum. With o_l for the output of layer l and a_l for what is above layer l reads of it (at l = L the
    readout):

    * ``depth_form="between"``: a_l = act(o_l) for l < L, and a_L = o_L;
    * ``depth_form="every"``: a_l = act(o_l), the last one's too, as in the released code of Lizaire et al. 2026
      (``DeepRNN.forward_one_timestep`` and ``DeepCPRNN``'s, both read);
    * ``depth_residual``: a_{l-1} is added to a_l for l > 1, after the activation, as in that code.

    The activation that the code can put on the readout is the identity in all of its configurations, and is left out.

    Args:
        layer: builds one layer from its input size.
        num_layers: L.
        depth_activation: act.
        depth_form: which outputs it acts on.
        depth_residual: whether a layer's output is added to that of the next one; they must be of one size.

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
        depth_form: Literal["between", "every"] = "between",
        depth_residual: bool = False,
    ) -> None:
        check_at_least(1, input_size=input_size, num_layers=num_layers)
        check_choice("depth_activation", depth_activation, ACTIVATIONS)
        check_choice("depth_form", depth_form, ("between", "every"))
        layers = [layer(input_size)]
        for _ in range(num_layers - 1):
            layers.append(layer(layers[-1].hidden_size))
        sizes = [each.hidden_size for each in layers]
        if depth_residual and len(set(sizes)) > 1:
            raise ValueError(f"layers must have outputs of one size for depth_residual, got {sizes}")
        super().__init__(input_size, sizes[-1], sum(each.state_size for each in layers))
        self.depth_activation = depth_activation
        self.depth_form = depth_form
        self.depth_residual = depth_residual
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
        passed: Tensor | None = None
        for index, layer in enumerate(self.layers[1:]):
            passed = self._pass_up(index, self.layers[index].output(following[-1]), passed)
            following.append(layer.step(passed, states[index + 1]))
        return torch.cat(following, -1)

    def output(self, state: Tensor) -> Tensor:
        """Return what the readout sees of the layers' outputs [B, N]."""
        *below, last = zip(self.layers, self._split(state), strict=True)
        passed: Tensor | None = None
        for index, (layer, layer_state) in enumerate(below if self.depth_residual else ()):
            passed = self._pass_up(index, layer.output(layer_state), passed)
        return self._pass_up(len(below), last[0].output(last[1]), passed)

    def run(self, inputs: Tensor, state: Tensor, lengths: Tensor | None, keep_outputs: bool) -> Scanned:
        """Run layer by layer, each over the whole sequence; as in ``Recurrence.run``."""
        if not keeps_definition(type(self), "run"):
            return super().run(inputs, state, lengths, keep_outputs)
        *below, last_state = self._split(state)
        finals = []
        passed: Tensor | None = None
        for index, layer_state in enumerate(below):
            outputs, final = self.layers[index](inputs if passed is None else passed, layer_state, lengths)
            passed = self._pass_up(index, outputs, passed)
            finals.append(final)
        top, inputs = self.layers[-1], inputs if passed is None else passed
        # A layer's class may have a forward of its own.
        if keep_outputs or type(top).forward is not Recurrence.forward:
            outputs, last = top(inputs, last_state, lengths)
        else:
            outputs, last = top.run(inputs, last_state, lengths, keep_outputs)
        final = torch.cat([*finals, last], -1)
        return (self._pass_up(len(below), outputs, passed) if keep_outputs else inputs.new_empty(0)), final

    def _pass_up(self, index: int, outputs: Tensor, passed: Tensor | None) -> Tensor:
        """Return what is above a layer reads of its outputs, given what that layer read of the one below it."""
        if index < len(self.layers) - 1 or self.depth_form == "every":
            outputs = ACTIVATIONS[self.depth_activation](outputs)
        return outputs if passed is None or not self.depth_residual else outputs + passed

    def _split(self, state: Tensor) -> list[Tensor]:
        return list(state.split([layer.state_size for layer in self.layers], -1))
