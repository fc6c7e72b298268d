"""The antisymmetric network: Euler steps of a differential equation that neither explodes nor decays."""

import math

import torch
from torch import Tensor, nn

from rnnbench.datamodules.checks import check_number
from rnnbench.lit_models.recurrence import Recurrence
from rnnbench.lit_models.recurrences._common import add_constants, check_fits
from rnnbench.lit_models.scan.contract import KernelCall
from rnnbench.lit_models.scan.eager.residual import ResidualKernel, ResidualWeights


class AntisymmetricRNN(Recurrence):
    """h_t = h_{t-1} + ε tanh((W - Wᵀ - γ I) h_{t-1} + V x_t + b) (Chang et al. 2019, AntisymmetricRNN).

    ``gated=True`` multiplies the tanh by z_t = σ((W - Wᵀ - γ I) h_{t-1} + V_z x_t + b_z), with the same W. W is
    strictly upper triangular, since W - Wᵀ has N(N-1)/2 free entries: with 128 units the published "10k" parameters.
    W starts from N(0, σ_w²/N), V and V_z from N(0, 1/D), biases from zero, as in the paper's appendix. It searches ε
    in {0.01, 0.1, 1}, σ_w in {0, 1, 2, 4, 8, 16} and γ likewise; our defaults are of these orders, not a published
    setting. ε and γ are buffers. The state is h: S = N.

    Args:
        epsilon: step size ε, positive.
        gamma: diffusion γ, not negative.
        sigma_w: σ_w, not negative.
        gated: whether there is an input gate z.

    Without diffusion and input the state rotates, and keeps its length to first order in ε:

    >>> import torch
    >>> rotation = AntisymmetricRNN(1, 2, epsilon=0.001, gamma=0.0)
    >>> start = torch.tensor([[0.3, 0.4]])
    >>> round(rotation.step(torch.zeros(1, 1), start).norm().item(), 3)
    0.5
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        epsilon: float = 0.1,
        gamma: float = 0.01,
        sigma_w: float = 1.0,
        gated: bool = False,
    ) -> None:
        super().__init__(input_size, hidden_size)
        check_number("epsilon", epsilon, above=0)
        check_number("gamma", gamma, low=0)
        check_number("sigma_w", sigma_w, low=0)
        check_fits(sigma_w=sigma_w)
        self.epsilon, self.gamma = add_constants(self, epsilon=epsilon, gamma=gamma)
        self.gated = gated
        rows = 2 * hidden_size if gated else hidden_size
        self.input_map = nn.Linear(input_size, rows)
        nn.init.normal_(self.input_map.weight, std=1 / math.sqrt(input_size))
        nn.init.zeros_(self.input_map.bias)
        entries = hidden_size * (hidden_size - 1) // 2
        self.upper = nn.Parameter(torch.randn(entries) * sigma_w / math.sqrt(hidden_size))

    def coupling(self) -> Tensor:
        """Return W - Wᵀ - γ I [N, N]."""
        units = self.hidden_size
        places = tuple(torch.triu_indices(units, units, 1, device=self.upper.device))
        upper = self.upper.new_zeros(units, units).index_put(places, self.upper)
        return upper - upper.t() - self.gamma * torch.eye(units, dtype=upper.dtype, device=upper.device)

    def project(self, inputs: Tensor) -> Tensor:
        """Return V x + b [..., N], and below it with a gate V_z x + b_z [..., 2N], of inputs [..., D]."""
        return self.input_map(inputs)

    def advance(self, projected: Tensor, state: Tensor) -> Tensor:
        """Return the next h [B, N]."""
        coupled = state @ self.coupling().t()
        if not self.gated:
            return state + self.epsilon * torch.tanh(projected + coupled)
        drive, gate = projected.chunk(2, -1)
        return state + self.epsilon * torch.sigmoid(gate + coupled) * torch.tanh(drive + coupled)

    def scan_kernel(self) -> KernelCall | None:
        """Return a residual network without input gate; as in ``Recurrence.scan_kernel``."""
        if self.gated:
            return None
        epsilon = self.epsilon.expand(self.hidden_size)
        weights = ResidualWeights(
            self.coupling(), self.input_map.weight, self.input_map.bias, epsilon, torch.ones_like(epsilon), None, None
        )
        return ResidualKernel("linear"), weights
