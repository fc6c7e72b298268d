"""Depth inside a time step: multilayer perceptrons for input, recurrence and output (Pascanu et al. 2014)."""

import itertools
from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn

from rnnbench.datamodules.checks import check_at_least, check_choice
from rnnbench.lit_models.recurrence import Recurrence
from rnnbench.lit_models.recurrences._common import ACTIVATIONS

_ACTIVATIONS = {**ACTIVATIONS, "sigmoid": torch.sigmoid}
_LAYERS = {"tanh": nn.Tanh, "relu": nn.ReLU, "sigmoid": nn.Sigmoid, "identity": nn.Identity}


class DeepTransitionRNN(Recurrence):
    """A deep transition network: MLP_x, MLP_h and MLP_o of any depth inside a time step (Pascanu et al. 2014).

    With N units and act the activation, which stands behind every layer of an MLP but its last:

    * ``skip="none"``: h_t = act(MLP_h(h_{t-1}) + MLP_x(x_t)), the DT-RNN;
    * ``skip="identity"``: h_t = h_{t-1} + MLP_h(h_{t-1}) + MLP_x(x_t); its Jacobian is I plus that of MLP_h;
    * ``skip="linear"``: h_t = act(MLP_h(h_{t-1}) + S h_{t-1} + MLP_x(x_t)) with a trained matrix S, the DT(S)-RNN.

    MLPs end in an affine map and act stands around their sum: so MLPs of one layer are exactly an Elman network, and
    with ``skip="identity"`` a linear one. The output is h, or with ``output_layers`` the deep output
    act(V_L ... act(V_1 h_t + c_1) ... + c_L), whose last affine map is the network's readout (DO-, DOT- and
    DOT(S)-RNN). Weights are drawn as by ``torch.nn.Linear``. The state is h: S = N.

    Deviations from the paper: the inputs join in the last layer of the transition (as in one of the authors' classes)
    instead of the first; weights are not sparse and not rescaled.

    Args:
        hidden_size: N, units of the state.
        input_layers: sizes of the hidden layers of MLP_x; none make it affine.
        transition_layers: sizes of the hidden layers of MLP_h; none make it affine.
        output_layers: sizes of the layers of MLP_o below the readout; none make h the output.
        skip: connection around MLP_h.
        activation: act.

    >>> network = DeepTransitionRNN(1, 6, transition_layers=(5, 4), output_layers=(3,), skip="identity")
    >>> [layer.out_features for layer in network.transition if hasattr(layer, "out_features")]
    [5, 4, 6]
    >>> network.state_size, network.hidden_size
    (6, 3)
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        input_layers: tuple[int, ...] = (),
        transition_layers: tuple[int, ...] = (),
        output_layers: tuple[int, ...] = (),
        skip: Literal["none", "identity", "linear"] = "none",
        activation: Literal["tanh", "relu", "sigmoid", "identity"] = "tanh",
    ) -> None:
        check_at_least(1, hidden_size=hidden_size)
        for argument, sizes in (("input", input_layers), ("transition", transition_layers), ("output", output_layers)):
            for size in sizes:
                check_at_least(1, **{f"a size in {argument}_layers": size})
        check_choice("skip", skip, ("none", "identity", "linear"))
        check_choice("activation", activation, _ACTIVATIONS)
        super().__init__(input_size, output_layers[-1] if output_layers else hidden_size, hidden_size)
        self.skip, self.activation = skip, activation
        self.input = self._mlp([input_size, *input_layers, hidden_size])
        self.transition = self._mlp([hidden_size, *transition_layers, hidden_size])
        self.deep_output = self._mlp([hidden_size, *output_layers])
        self.shortcut = nn.Linear(hidden_size, hidden_size, bias=False) if skip == "linear" else None

    def project(self, inputs: Tensor) -> Tensor:
        """Return MLP_x(x) [..., N] of inputs [..., D]."""
        return self.input(inputs)

    def advance(self, projected: Tensor, state: Tensor) -> Tensor:
        """Return the next h [B, N]."""
        following = projected + self.transition(state)
        if self.skip == "identity":
            return state + following
        if self.shortcut is not None:
            following = following + self.shortcut(state)
        return _ACTIVATIONS[self.activation](following)

    def output(self, state: Tensor) -> Tensor:
        """Return h [B, N], or the deep output [B, N_o] below the readout."""
        return _ACTIVATIONS[self.activation](self.deep_output(state)) if len(self.deep_output) else state

    def _mlp(self, sizes: Sequence[int]) -> nn.Sequential:
        """Return affine maps between the sizes, with activations between them; nothing for a single size."""
        layers: list[nn.Module] = []
        for entering, leaving in itertools.pairwise(sizes):
            if layers:
                layers.append(_LAYERS[self.activation]())
            layers.append(nn.Linear(entering, leaving))
        return nn.Sequential(*layers)
