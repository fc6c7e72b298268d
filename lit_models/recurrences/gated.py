"""The gated recurrences of PyTorch, written out: LSTM and GRU."""

import torch
from torch import Tensor
from torch.nn import functional

from rnnbench.lit_models.recurrence import Recurrence
from rnnbench.lit_models.recurrences._common import TorchCell
from rnnbench.lit_models.scan.contract import KernelCall
from rnnbench.lit_models.scan.eager.gru import GRUKernel
from rnnbench.lit_models.scan.eager.lstm import LSTMKernel


class LSTM(TorchCell, Recurrence):
    """Long short-term memory, equal to a layer of ``torch.nn.LSTM`` (Hochreiter & Schmidhuber 1997, forget gate).

    i, f, g, o = σ, σ, tanh, σ of (W_ih x_t + b_ih + W_hh h_{t-1} + b_hh), in this order;
    c_t = f c_{t-1} + i g; h_t = o tanh(c_t). The parameters have the names, shapes and, from the same generator state,
    the values of ``torch.nn.LSTMCell``. The state is [h, c]: S = 2N; the output is h.

    With all gates open and a candidate of 1, the cell counts the steps:

    >>> counter = LSTM(1, 1)
    >>> _ = [torch.nn.init.zeros_(parameter) for parameter in counter.parameters()]
    >>> _ = torch.nn.init.constant_(counter.bias_ih, 100.0)
    >>> counter(torch.zeros(3, 1, 1))[1].round(decimals=2).tolist()
    [[1.0, 3.0]]
    >>> lstm = LSTM(input_size=1, hidden_size=47)
    >>> lstm.state_size, sum(p.numel() for p in lstm.parameters())
    (94, 9400)
    """

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__(input_size, hidden_size, gates=4, state_size=2 * hidden_size)

    def advance(self, projected: Tensor, state: Tensor) -> Tensor:
        """Return the next [h, c] [B, 2N]."""
        hidden, cell = state.chunk(2, -1)
        gates = torch.addmm(projected, hidden, self.weight_hh.t())
        input_gate, forget_gate, candidate, output_gate = gates.chunk(4, -1)
        cell = torch.sigmoid(forget_gate) * cell + torch.sigmoid(input_gate) * torch.tanh(candidate)
        return torch.cat([torch.sigmoid(output_gate) * torch.tanh(cell), cell], -1)

    def scan_kernel(self) -> KernelCall | None:
        """Return the kernel of LSTMs; as in ``Recurrence.scan_kernel``."""
        bias = (self.bias_ih + self.bias_hh).unsqueeze(1)
        input_gate, forget_gate, candidate, output_gate = torch.cat([self.weight_hh, self.weight_ih, bias], 1).chunk(4)
        return LSTMKernel(), [torch.cat([input_gate, forget_gate, output_gate, candidate])]


class GRU(TorchCell, Recurrence):
    """Gated recurrent unit, equal to a layer of ``torch.nn.GRU`` (Cho et al. 2014).

    r, z = σ(W_ih x_t + b_ih + W_hh h_{t-1} + b_hh); n = tanh(W_in x_t + b_in + r (W_hn h_{t-1} + b_hn));
    h_t = (1 - z) n + z h_{t-1}. The parameters (rows in the order r, z, n) have the names, shapes and, from the same
    generator state, the values of ``torch.nn.GRUCell``. The state is h: S = N.

    Where all drives are 0 the update gate is ½, and the state halves:

    >>> halving = GRU(1, 1)
    >>> _ = [torch.nn.init.zeros_(parameter) for parameter in halving.parameters()]
    >>> halving(torch.zeros(3, 1, 1), torch.ones(1, 1))[0].flatten().tolist()
    [0.5, 0.25, 0.125]
    >>> gru = GRU(input_size=2, hidden_size=8)
    >>> gru.state_size, tuple(gru.weight_ih.shape)
    (8, (24, 2))
    """

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__(input_size, hidden_size, gates=3)

    def project(self, inputs: Tensor) -> Tensor:
        """Return W_ih x + b_ih [..., 3N] of inputs [..., D]."""
        return functional.linear(inputs, self.weight_ih, self.bias_ih)

    def advance(self, projected: Tensor, state: Tensor) -> Tensor:
        """Return the next h [B, N]."""
        reset_in, update_in, new_in = projected.chunk(3, -1)
        reset_h, update_h, new_h = functional.linear(state, self.weight_hh, self.bias_hh).chunk(3, -1)
        new = torch.tanh(new_in + torch.sigmoid(reset_in + reset_h) * new_h)
        return new + torch.sigmoid(update_in + update_h) * (state - new)

    def scan_kernel(self) -> KernelCall | None:
        """Return the kernel of GRUs; as in ``Recurrence.scan_kernel``."""
        sigmoids = 2 * self.hidden_size
        bias = torch.cat([self.bias_ih[:sigmoids] + self.bias_hh[:sigmoids], self.bias_hh[sigmoids:]])
        from_inputs = functional.pad(self.weight_ih[:sigmoids], (0, 0, 0, self.hidden_size))
        weight = torch.cat([self.weight_hh, from_inputs, bias.unsqueeze(1)], 1)
        to_new = torch.cat([self.weight_ih[sigmoids:], self.bias_ih[sigmoids:].unsqueeze(1)], 1)
        return GRUKernel(), [weight, to_new]
