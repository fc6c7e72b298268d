"""Networks of coupled, damped, driven oscillators (Rusch & Mishra 2021)."""

import torch
from torch import Tensor, nn

from rnnbench.datamodules.checks import check_number
from rnnbench.lit_models.recurrence import Recurrence
from rnnbench.lit_models.recurrences._common import add_constants


class CoRNN(Recurrence):
    """The coupled oscillatory network, y'' = tanh(W y + 𝒲 y' + V x + b) - γ y - ε y' (Rusch & Mishra 2021, eq. 3).

    z_t = z_{t-1} + Δt (tanh(W y_{t-1} + 𝒲 z_{t-1} + V x_t + b) - γ y_{t-1} - ε z_{t-1}); y_t = y_{t-1} + Δt z_t, with
    the damping explicit as in the authors' code. W, 𝒲 and V are the blocks of one ``torch.nn.Linear`` from [x, z, y],
    drawn as PyTorch draws it, as there. Δt, γ and ε are not trained and held in buffers; the defaults are the authors'
    for sMNIST. The state is [y, z]: S = 2N; the output is y.

    Args:
        hidden_size: N oscillators.
        dt: step size Δt, positive.
        gamma: γ, square of the oscillators' frequency, not negative.
        epsilon: damping ε, not negative.

    An oscillator without drive or damping starts at its largest displacement, and gains speed downward:

    >>> import torch
    >>> spring = CoRNN(1, 1, dt=0.5, gamma=1.0, epsilon=0.0)
    >>> _ = [nn.init.zeros_(parameter) for parameter in spring.parameters()]
    >>> spring.step(torch.zeros(1, 1), torch.tensor([[1.0, 0.0]])).tolist()
    [[0.75, -0.5]]
    """

    def __init__(
        self, input_size: int, hidden_size: int, dt: float = 0.042, gamma: float = 2.7, epsilon: float = 4.7
    ) -> None:
        super().__init__(input_size, hidden_size, state_size=2 * hidden_size)
        check_number("dt", dt, above=0)
        check_number("gamma", gamma, low=0)
        check_number("epsilon", epsilon, low=0)
        self.dt, self.gamma, self.epsilon = add_constants(self, dt=dt, gamma=gamma, epsilon=epsilon)
        self.drive = nn.Linear(input_size + 2 * hidden_size, hidden_size)

    def project(self, inputs: Tensor) -> Tensor:
        """Return V x + b [..., N] of inputs [..., D]."""
        return nn.functional.linear(inputs, self.drive.weight[:, : self.input_size], self.drive.bias)

    def advance(self, projected: Tensor, state: Tensor) -> Tensor:
        """Return the next [y, z] [B, 2N]."""
        y, z = state.chunk(2, -1)
        coupled = torch.addmm(projected, torch.cat([z, y], -1), self.drive.weight[:, self.input_size :].t())
        z = z + self.dt * (torch.tanh(coupled) - self.gamma * y - self.epsilon * z)
        return torch.cat([y + self.dt * z, z], -1)
