"""The Elman network, PyTorch's ``torch.nn.RNN``, with a choice of activation in time."""

from typing import Literal

import torch
from torch import Tensor, nn

from rnnbench.datamodules.checks import check_choice
from rnnbench.lit_models.recurrence import Recurrence
from rnnbench.lit_models.recurrences._common import ACTIVATIONS, TorchCell
from rnnbench.lit_models.scan.contract import KernelCall
from rnnbench.lit_models.scan.eager.elman import ElmanKernel


class ElmanRNN(TorchCell, Recurrence):
    """h_t = act(W_ih x_t + b_ih + W_hh h_{t-1} + b_hh), equal to a layer of ``torch.nn.RNN`` (Elman 1990).

    With ``time_activation="identity"`` and Xavier's initialisation it is the linear layer of Lizaire et al. 2026, with
    a second bias as in PyTorch. The parameters have the names, shapes and, from the same generator state, the values
    of ``torch.nn.RNNCell``. The state is h: S = N.

    Args:
        time_activation: act.
        initialisation: ``pytorch``, all from U(-1/√N, 1/√N); ``xavier``, uniform weights and zero biases (the
            code of Lizaire et al. 2026).

    >>> import torch
    >>> delay = ElmanRNN(1, 2, time_activation="identity", initialisation="xavier")
    >>> with torch.no_grad():
    ...     _ = delay.weight_ih.copy_(torch.tensor([[1.0], [0.0]]))
    ...     _ = delay.weight_hh.copy_(torch.tensor([[0.0, 0.0], [1.0, 0.0]]))
    >>> outputs, state = delay(torch.tensor([5.0, 6.0, 7.0]).reshape(3, 1, 1))
    >>> outputs[:, 0].tolist()
    [[5.0, 0.0], [6.0, 5.0], [7.0, 6.0]]
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        time_activation: Literal["tanh", "relu", "identity"] = "tanh",
        initialisation: Literal["pytorch", "xavier"] = "pytorch",
    ) -> None:
        super().__init__(input_size, hidden_size, gates=1)
        check_choice("time_activation", time_activation, ACTIVATIONS)
        check_choice("initialisation", initialisation, ("pytorch", "xavier"))
        self.time_activation = time_activation
        if initialisation == "xavier":
            for weight in (self.weight_ih, self.weight_hh):
                nn.init.xavier_uniform_(weight)
            for bias in (self.bias_ih, self.bias_hh):
                nn.init.zeros_(bias)

    def advance(self, projected: Tensor, state: Tensor) -> Tensor:
        """Return the next h [B, N]."""
        return ACTIVATIONS[self.time_activation](torch.addmm(projected, state, self.weight_hh.t()))

    def linear_transition(self) -> Tensor | None:
        """Return W_hh [N, N] of a linear network; as in ``Recurrence.linear_transition``."""
        return self.weight_hh if self.time_activation == "identity" else None

    def scan_kernel(self) -> KernelCall | None:
        """Return the kernel of Elman networks; as in ``Recurrence.scan_kernel``."""
        weights = (self.weight_hh, self.weight_ih, self.bias_ih + self.bias_hh)
        return ElmanKernel(self.time_activation), weights
