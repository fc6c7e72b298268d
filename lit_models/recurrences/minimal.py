"""Minimal gated networks, whose gates see the input alone (Feng et al. 2024)."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from rnnbench.lit_models.recurrence import Recurrence
from rnnbench.lit_models.recurrences._linear_map import DiagonalMap, affine
from rnnbench.lit_models.scan.contract import KernelCall
from rnnbench.lit_models.scan.native.linear import NativeLinearKernel


class MinGRU(DiagonalMap, Recurrence):
    """h_t = (1 - z_t) ∘ h_{t-1} + z_t ∘ h̃_t with z_t = σ(W_z x_t + b_z), h̃_t = g(W_h x_t + b_h) (Feng et al. 2024).

    The paper's minGRU in the form of its appendix for "log-space", in which candidates are positive:
    g(a) = a + ½ for a ≥ 0, else σ(a). W and b are drawn as in ``torch.nn.Linear``. The state is h: S = N; it starts at
    zero. Whole sequences are scanned as h_t = a_t ∘ h_{t-1} + u_t, without logarithms.

    With an open gate the state is the candidate:

    >>> network = MinGRU(1, 1)
    >>> _ = nn.init.ones_(network.drive.weight), network.drive.bias.data.copy_(torch.tensor([100.0, 0.0]))
    >>> network(torch.tensor([1.0, 3.0, 0.0]).reshape(3, 1, 1))[0].flatten().tolist()
    [1.5, 3.5, 0.5]
    """

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__(input_size, hidden_size)
        self.drive = nn.Linear(input_size, 2 * hidden_size)

    def project(self, inputs: Tensor) -> Tensor:
        """Return W x + b [..., 2N], of z and h̃, of inputs [..., D]."""
        return self.drive(inputs)

    def coefficients(self, projected: Tensor) -> tuple[Tensor, Tensor]:
        """Return 1 - z and z ∘ h̃."""
        gate, candidate = projected.chunk(2, -1)
        return torch.sigmoid(-gate), torch.sigmoid(gate) * positive(candidate)

    def scan_kernel(self) -> KernelCall:
        """Return the scan in C and [W, b]."""
        return NativeLinearKernel("minGRU", self.hidden_size), [affine(self.drive.weight, self.drive.bias)]


class MinLSTM(DiagonalMap, Recurrence):
    """h_t = f'_t ∘ h_{t-1} + i'_t ∘ h̃_t with f' = f / (f + i), i' = i / (f + i) (Feng et al. 2024).

    f_t, i_t = σ(W x_t + b), h̃_t = g(W_h x_t + b_h) with g as in ``MinGRU``, W and b drawn as in
    ``torch.nn.Linear``. The state is h: S = N. As f' is a function of one number, minLSTM is minGRU with another gate.

    >>> network = MinLSTM(1, 1)
    >>> _ = [nn.init.zeros_(parameter) for parameter in network.parameters()]
    >>> network(torch.zeros(3, 1, 1))[0].flatten().tolist()
    [0.25, 0.375, 0.4375]
    """

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__(input_size, hidden_size)
        self.drive = nn.Linear(input_size, 3 * hidden_size)

    def project(self, inputs: Tensor) -> Tensor:
        """Return W x + b [..., 3N], of f, i and h̃, of inputs [..., D]."""
        return self.drive(inputs)

    def coefficients(self, projected: Tensor) -> tuple[Tensor, Tensor]:
        """Return f' and i' ∘ h̃: f' = σ(log f - log i), which never divides zero by zero."""
        forget, enter, candidate = projected.chunk(3, -1)
        gate = functional.logsigmoid(forget) - functional.logsigmoid(enter)
        return torch.sigmoid(gate), torch.sigmoid(-gate) * positive(candidate)

    def scan_kernel(self) -> KernelCall:
        """Return the scan in C and [W, b]."""
        return NativeLinearKernel("minLSTM", self.hidden_size), [affine(self.drive.weight, self.drive.bias)]


def positive(values: Tensor) -> Tensor:
    """Return g(a) = a + ½ where a ≥ 0, and σ(a) elsewhere: positive, continuous and increasing."""
    return torch.where(values >= 0, values + 0.5, torch.sigmoid(values))
