"""Long expressive memory: gated steps of a multiscale system of differential equations (Rusch et al. 2022)."""

import math

import torch
from torch import Tensor, nn

from rnnbench.datamodules.checks import check_number
from rnnbench.lit_models.recurrence import Recurrence
from rnnbench.lit_models.recurrences._common import add_constants


class LEM(Recurrence):
    """Long expressive memory (Rusch, Mishra, Erichson & Mahoney 2022).

    * Δt_n = Δt σ(W₁ y_{n-1} + V₁ u_n + b₁), Δ̄t_n = Δt σ(W₂ y_{n-1} + V₂ u_n + b₂);
    * z_n = (1 - Δt_n) ∘ z_{n-1} + Δt_n ∘ tanh(W_z y_{n-1} + V_z u_n + b_z);
    * y_n = (1 - Δ̄t_n) ∘ y_{n-1} + Δ̄t_n ∘ tanh(W_y z_n + V_y u_n + b_y).

    As in the authors' code, state and input have a bias each, and all weights start from U(-1/√N, 1/√N); Δt is not
    trained and held in a buffer. The state is [y, z]: S = 2N; the output is y.

    Args:
        hidden_size: N.
        dt: Δt, positive.

    With zero weights half of a step of one is taken towards zero:

    >>> network = LEM(1, 1)
    >>> _ = [nn.init.zeros_(parameter) for parameter in network.parameters()]
    >>> network.step(torch.zeros(1, 1), torch.tensor([[1.0, 2.0]])).tolist()
    [[0.5, 1.0]]
    """

    def __init__(self, input_size: int, hidden_size: int, dt: float = 1.0) -> None:
        super().__init__(input_size, hidden_size, state_size=2 * hidden_size)
        check_number("dt", dt, above=0)
        (self.dt,) = add_constants(self, dt=dt)
        # Rows in the order Δt, Δ̄t, z and, of the inputs, y.
        self.input_map = nn.Linear(input_size, 4 * hidden_size)
        self.recurrent_map = nn.Linear(hidden_size, 3 * hidden_size)
        self.memory_map = nn.Linear(hidden_size, hidden_size)
        bound = 1 / math.sqrt(hidden_size)
        for parameter in self.parameters():
            nn.init.uniform_(parameter, -bound, bound)

    def project(self, inputs: Tensor) -> Tensor:
        """Return V u + b [..., 4N] of inputs [..., D]."""
        return self.input_map(inputs)

    def advance(self, projected: Tensor, state: Tensor) -> Tensor:
        """Return the next [y, z] [B, 2N]."""
        y, z = state.chunk(2, -1)
        driven, last = projected.split([3 * self.hidden_size, self.hidden_size], -1)
        step_z, step_y, coupled = (driven + self.recurrent_map(y)).chunk(3, -1)
        step_z, step_y = self.dt * torch.sigmoid(step_z), self.dt * torch.sigmoid(step_y)
        z = (1 - step_z) * z + step_z * torch.tanh(coupled)
        y = (1 - step_y) * y + step_y * torch.tanh(self.memory_map(z) + last)
        return torch.cat([y, z], -1)
