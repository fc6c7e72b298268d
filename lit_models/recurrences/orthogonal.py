"""Recurrence by an orthogonal matrix that stays orthogonal while it is trained."""

import math
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils import parametrize
from torch.nn.utils.parametrizations import orthogonal

from rnnbench.datamodules.checks import check_choice
from rnnbench.lit_models.recurrence import Recurrence
from rnnbench.lit_models.recurrences._common import ACTIVATIONS
from rnnbench.lit_models.scan.contract import KernelCall, Scanned
from rnnbench.lit_models.scan.eager.elman import ElmanKernel


class OrthogonalRNN(Recurrence):
    """h_t = act(Q h_{t-1} + V x_t + b), Q orthogonal (Helfrich et al. 2018, Lezcano-Casado & Martínez-Rubio 2019).

    Q is a map of a skew-symmetric matrix A: exp(A) (expRNN), or Cayley's (I + A/2)(I - A/2)⁻¹ (scoRNN with D = I, so
    that Q only rotates). The trained ``recurrent_map.parametrizations.weight.original`` [N, N] gives A by its entries
    below the diagonal, N(N-1)/2; the others are counted but have no effect
    (``torch.nn.utils.parametrizations.orthogonal``).

    act is ``modrelu``, sign(a) max(|a| + b, 0) with the bias b inside (Arjovsky et al. 2016, Helfrich et al. 2018,
    real case), or an activation by name. Q starts from rotations of pairs of units by angles from U(0, π/2) (Helfrich
    et al. 2018), V from Kaiming's normal distribution, and b from U(-0.01, 0.01) (our choices). The papers also train
    A at a tenth of the learning rate; here all weights share one. The state is h: S = N.

    Args:
        orthogonal_map: from A to Q.
        time_activation: act.

    >>> import torch
    >>> rotation = OrthogonalRNN(1, 6)
    >>> matrix = rotation.recurrent_map.weight
    >>> torch.allclose(matrix @ matrix.T, torch.eye(6), atol=1e-6)
    True
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        orthogonal_map: Literal["matrix_exp", "cayley"] = "matrix_exp",
        time_activation: Literal["modrelu", "tanh", "relu", "identity"] = "modrelu",
    ) -> None:
        super().__init__(input_size, hidden_size)
        check_choice("orthogonal_map", orthogonal_map, ("matrix_exp", "cayley"))
        check_choice("time_activation", time_activation, ("modrelu", *ACTIVATIONS))
        self.time_activation = time_activation
        self.input_map = nn.Linear(input_size, hidden_size, bias=False)
        nn.init.kaiming_normal_(self.input_map.weight, nonlinearity="relu")
        self.bias = nn.Parameter(torch.empty(hidden_size).uniform_(-0.01, 0.01))
        self.recurrent_map = nn.Linear(hidden_size, hidden_size, bias=False)
        angles = torch.empty(hidden_size // 2).uniform_(0, math.pi / 2)
        skew = torch.zeros(hidden_size, hidden_size)
        skew[1::2, 0::2].diagonal().copy_(angles if orthogonal_map == "matrix_exp" else 2 * torch.tan(angles / 2))
        with torch.no_grad():
            self.recurrent_map.weight.copy_(skew)
        orthogonal(self.recurrent_map, orthogonal_map=orthogonal_map, use_trivialization=False)

    def project(self, inputs: Tensor) -> Tensor:
        """Return V x, and but for ``modrelu`` + b, [..., N] of inputs [..., D]."""
        bias = None if self.time_activation == "modrelu" else self.bias
        return functional.linear(inputs, self.input_map.weight, bias)

    def advance(self, projected: Tensor, state: Tensor) -> Tensor:
        """Return the next h [B, N]."""
        drive = projected + self.recurrent_map(state)
        if self.time_activation == "modrelu":
            return torch.sign(drive) * torch.relu(drive.abs() + self.bias)
        return ACTIVATIONS[self.time_activation](drive)

    def scan_kernel(self) -> KernelCall | None:
        """Return an Elman network, but for ``modrelu``; as in ``Recurrence.scan_kernel``."""
        if self.time_activation == "modrelu":
            return None
        weights = (self.recurrent_map.weight, self.input_map.weight, self.bias)
        return ElmanKernel(self.time_activation), weights

    def run(self, inputs: Tensor, state: Tensor, lengths: Tensor | None, keep_outputs: bool) -> Scanned:
        """As ``Recurrence.run``; Q is computed once for all steps."""
        with parametrize.cached():
            return super().run(inputs, state, lengths, keep_outputs)
