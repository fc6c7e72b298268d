"""The Lipschitz network: a linear part and a Lipschitz nonlinearity in continuous time (Erichson et al. 2021)."""

from typing import Literal

import torch
from torch import Tensor, nn

from rnnbench.datamodules.checks import check_choice, check_number
from rnnbench.lit_models.recurrence import Recurrence
from rnnbench.lit_models.recurrences._common import add_constants, check_fits
from rnnbench.lit_models.scan.contract import KernelCall
from rnnbench.lit_models.scan.eager.residual import ResidualKernel, ResidualWeights


class LipschitzRNN(Recurrence):
    """Steps of dh/dt = f(h, x) = A h + tanh(W h + U x + b) (Erichson et al. 2021).

    A = (1 - β) (M_A + M_Aᵀ) + β (M_A - M_Aᵀ) - γ I, and W likewise of M_W; β = 1 is antisymmetric, β = ½ full.
    ``integrator="euler"``: h_t = h_{t-1} + ε f(h_{t-1}, x_t); ``"midpoint"``, the paper's RK2:
    h_t = h_{t-1} + ε f(h_{t-1} + ε/2 f(h_{t-1}, x_t), x_t). β, γ and ε are buffers; the paper allows A and W different
    ones but uses the same, the defaults being the authors' for sMNIST. M_A and M_W start from N(0, (σ/N)²), as in the
    authors' code, U and b as in ``torch.nn.Linear``. With 128 units the parameters are the published 34k. The state is
    h: S = N.

    Args:
        epsilon: step size ε, positive.
        beta: share of the antisymmetric part, from 0 to 1.
        gamma: diffusion γ, not negative.
        sigma: σ of the first M_A and M_W, not negative.
        integrator: ``euler`` or ``midpoint``.

    >>> network = LipschitzRNN(1, 128)
    >>> sum(p.numel() for p in network.parameters()) + 10 * 128 + 10
    34314
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        epsilon: float = 0.03,
        beta: float = 0.75,
        gamma: float = 0.001,
        sigma: float = 0.1,
        integrator: Literal["euler", "midpoint"] = "euler",
    ) -> None:
        super().__init__(input_size, hidden_size)
        check_number("epsilon", epsilon, above=0)
        check_number("beta", beta, low=0, high=1)
        check_number("gamma", gamma, low=0)
        check_number("sigma", sigma, low=0)
        check_choice("integrator", integrator, ("euler", "midpoint"))
        check_fits(sigma=sigma)
        self.epsilon, self.beta, self.gamma = add_constants(self, epsilon=epsilon, beta=beta, gamma=gamma)
        self.integrator = integrator
        self.input_map = nn.Linear(input_size, hidden_size)
        # M_A above M_W: one product a step serves both.
        self.mixed = nn.Parameter(torch.randn(2, hidden_size, hidden_size) * sigma / hidden_size)

    def matrices(self) -> Tensor:
        """Return A and W [2, N, N]."""
        mixed, transposed = self.mixed, self.mixed.transpose(1, 2)
        identity = torch.eye(self.hidden_size, dtype=mixed.dtype, device=mixed.device)
        return (1 - self.beta) * (mixed + transposed) + self.beta * (mixed - transposed) - self.gamma * identity

    def project(self, inputs: Tensor) -> Tensor:
        """Return U x + b [..., N] of inputs [..., D]."""
        return self.input_map(inputs)

    def advance(self, projected: Tensor, state: Tensor) -> Tensor:
        """Return the next h [B, N]."""
        both = self.matrices().flatten(0, 1).t()

        def slope(hidden: Tensor) -> Tensor:
            linear, coupled = (hidden @ both).chunk(2, -1)
            return linear + torch.tanh(coupled + projected)

        at = state if self.integrator == "euler" else state + self.epsilon / 2 * slope(state)
        return state + self.epsilon * slope(at)

    def scan_kernel(self) -> KernelCall | None:
        """Return Euler's steps as a residual network; as in ``Recurrence.scan_kernel``."""
        if self.integrator != "euler":
            return None
        linear, coupling = self.matrices()
        residual = torch.eye(self.hidden_size, dtype=linear.dtype, device=linear.device) + self.epsilon * linear
        epsilon = self.epsilon.expand(self.hidden_size)
        weights = ResidualWeights(coupling, self.input_map.weight, self.input_map.bias, epsilon, None, None, residual)
        return ResidualKernel("linear"), weights
