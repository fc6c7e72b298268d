"""The LSTM with uniform gate initialisation and a refine gate (Gu et al. 2020)."""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from rnnbench.lit_models.recurrence import Recurrence
from rnnbench.lit_models.scan.contract import KernelCall
from rnnbench.lit_models.scan.eager.ur_lstm import URLSTMKernel


class URLSTM(Recurrence):
    """The UR-LSTM in the form of its paper: b_f is trained, and enters the refine gate negated (Gu et al. 2020).

    f = σ(P_f(x_t, h_{t-1}) + b_f); r = σ(P_r(x_t, h_{t-1}) - b_f); u, o = tanh, σ of P_u, P_o(x_t, h_{t-1});
    g = r (1 - (1-f)²) + (1-r) f² = 2 r f + (1 - 2 r) f²; c_t = g c_{t-1} + (1 - g) u; h_t = o tanh(c_t).

    b_f = -log(1/q - 1) with q from U(1/N, 1 - 1/N), so that f is uniform where P_f is zero. The state-spaces
    repository has another variant: b_f not trained and of the other sign, and a refine gate without it.

    Choices that the paper leaves open: P_r, P_u and P_o have a bias of their own, zero at first, and P_f has b_f in
    its place, so that there are as many parameters as in an LSTM with one bias a gate, 4N(N+D+1); weights start from
    U(-1/√N, 1/√N), as PyTorch's. The state is [h, c]: S = 2N; the output is h.

    Where all drives are 0 the effective gate is ½, and the cell halves:

    >>> halving = URLSTM(1, 1)
    >>> _ = [nn.init.zeros_(parameter) for parameter in halving.parameters()]
    >>> halving.step(torch.zeros(1, 1), torch.tensor([[0.0, 1.0]])).round(decimals=4).tolist()
    [[0.23109999299049377, 0.5]]
    >>> network = URLSTM(input_size=1, hidden_size=48)
    >>> network.state_size, sum(p.numel() for p in network.parameters())
    (96, 9600)
    """

    def __init__(self, input_size: int, hidden_size: int) -> None:
        """Draw the weights, for D inputs and N units; their rows are in the order f, r, u, o."""
        super().__init__(input_size, hidden_size, state_size=2 * hidden_size)
        bound = 1 / math.sqrt(hidden_size)
        self.weight_ih = nn.Parameter(torch.empty(4 * hidden_size, input_size).uniform_(-bound, bound))
        self.weight_hh = nn.Parameter(torch.empty(4 * hidden_size, hidden_size).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.zeros(3 * hidden_size))
        # A single unit has no such interval: its f starts at one half, where the intervals of more units are centred.
        low = min(1 / hidden_size, 0.5)
        self.forget_bias = nn.Parameter(torch.empty(hidden_size).uniform_(low, 1 - low).logit())

    def gate_biases(self) -> Tensor:
        """Return the biases [4N] of f, r, u and o before their activations."""
        refine, others = self.bias.split([self.hidden_size, 2 * self.hidden_size])
        return torch.cat([self.forget_bias, refine - self.forget_bias, others])

    def project(self, inputs: Tensor) -> Tensor:
        """Return the part [..., 4N] of the gates' drive that inputs [..., D] and biases give."""
        return functional.linear(inputs, self.weight_ih, self.gate_biases())

    def advance(self, projected: Tensor, state: Tensor) -> Tensor:
        """Return the next [h, c] [B, 2N]."""
        hidden, cell = state.chunk(2, -1)
        forget, refine, candidate, output = torch.addmm(projected, hidden, self.weight_hh.t()).chunk(4, -1)
        gate = effective_gate(torch.sigmoid(forget), torch.sigmoid(refine))
        cell = gate * cell + (1 - gate) * torch.tanh(candidate)
        return torch.cat([torch.sigmoid(output) * torch.tanh(cell), cell], -1)

    def scan_kernel(self) -> KernelCall | None:
        """Return the kernel of UR-LSTMs; as in ``Recurrence.scan_kernel``."""
        rows = torch.cat([self.weight_hh, self.weight_ih, self.gate_biases().unsqueeze(1)], 1)
        forget, refine, candidate, output = rows.chunk(4)
        return URLSTMKernel(), [torch.cat([refine, forget, output, candidate])]


def effective_gate(forget: Tensor, refine: Tensor) -> Tensor:
    """Return g = r (1 - (1-f)²) + (1-r) f² of gates f and r from 0 to 1: from f² at r = 0 to 1 - (1-f)² at r = 1.

    >>> effective_gate(torch.tensor(0.5), torch.tensor([0.0, 0.5, 1.0])).tolist()
    [0.25, 0.5, 0.75]
    """
    return 2 * refine * forget + (1 - 2 * refine) * forget.square()
