"""Second-order networks: multiplicative interactions of state and input, by a full tensor or CP factors of it."""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from rnnbench.datamodules.checks import check_at_least, check_choice
from rnnbench.lit_models.recurrence import Recurrence
from rnnbench.lit_models.recurrences._common import ACTIVATIONS
from rnnbench.lit_models.scan.contract import KernelCall
from rnnbench.lit_models.scan.eager.bilinear import BilinearKernel
from rnnbench.lit_models.scan.eager.second_order import SecondOrderKernel


class SecondOrderRNN(Recurrence):
    """2RNN and CPRNN (Lizaire et al. 2024, 2026): the next state is bilinear in state and input, then activated.

    ``rank=None``, the 2RNN: h_t = act(W ×₁ [h_{t-1}; 1] ×₂ [x_t; 1]) with one tensor W [N, N+1, D+1].

    ``rank=R``, the CPRNN: h_t = act(C((Aᵀ h_{t-1}) ∘ (Bᵀ x_t)) + V h_{t-1} + U x_t + b), with A [N, R], B [D, R],
    C [N, R], V [N, N], U [N, D], b [N].

    Every CPRNN is a 2RNN: the block W[:, :N, :D] is Σ_r C_r ⊗ A_r ⊗ B_r, V and U are W's last slices, and b its
    corner (``full_tensor``). Every 2RNN is a CPRNN of rank N·D (``as_cp``): with one rank for each pair of a unit and
    an input the block needs no decomposition. All weights start from U(-1/√N, 1/√N). The state is h: S = N.

    Args:
        rank: R of the CPRNN; None for the full tensor.
        time_activation: act (``gate`` in the authors' code).

    A single unit without activation that multiplies its inputs, from h = 1:

    >>> import torch
    >>> product = SecondOrderRNN(1, 1, time_activation="identity")
    >>> with torch.no_grad():
    ...     _ = product.weight.copy_(torch.tensor([[[1.0, 0.0], [0.0, 0.0]]]))
    >>> outputs, state = product(torch.tensor([2.0, 3.0, -1.0]).reshape(3, 1, 1), torch.ones(1, 1))
    >>> outputs.flatten().tolist()
    [2.0, 6.0, -6.0]
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        rank: int | None = None,
        time_activation: Literal["tanh", "relu", "identity"] = "tanh",
    ) -> None:
        super().__init__(input_size, hidden_size)
        if rank is not None:
            check_at_least(1, rank=rank)
        check_choice("time_activation", time_activation, ACTIVATIONS)
        self.rank = rank
        self.time_activation: Literal["tanh", "relu", "identity"] = time_activation
        if rank is None:
            self.weight = nn.Parameter(torch.empty(hidden_size, hidden_size + 1, input_size + 1))
        else:
            self.state_factors = nn.Parameter(torch.empty(hidden_size, rank))
            self.input_factors = nn.Parameter(torch.empty(input_size, rank))
            self.output_factors = nn.Parameter(torch.empty(hidden_size, rank))
            self.weight_hh = nn.Parameter(torch.empty(hidden_size, hidden_size))
            self.weight_ih = nn.Parameter(torch.empty(hidden_size, input_size))
            self.bias = nn.Parameter(torch.empty(hidden_size))
        bound = 1 / math.sqrt(hidden_size)
        for parameter in self.parameters():
            nn.init.uniform_(parameter, -bound, bound)

    def project(self, inputs: Tensor) -> Tensor:
        """Return [x; 1] [..., D+1], or [Bᵀ x; U x + b] [..., R+N], of inputs [..., D]."""
        if self.rank is None:
            return functional.pad(inputs, (0, 1), value=1.0)
        return torch.cat([inputs @ self.input_factors, functional.linear(inputs, self.weight_ih, self.bias)], -1)

    def advance(self, projected: Tensor, state: Tensor) -> Tensor:
        """Return the next h [B, N]."""
        if self.rank is None:
            pairs = functional.pad(state, (0, 1), value=1.0).unsqueeze(-1) * projected.unsqueeze(-2)
            following = functional.linear(pairs.flatten(-2), self.weight.flatten(1))
        else:
            factors, shift = projected.split([self.rank, self.hidden_size], -1)
            products = (state @ self.state_factors) * factors
            shift = shift + functional.linear(state, self.weight_hh)
            following = shift + functional.linear(products, self.output_factors)
        return ACTIVATIONS[self.time_activation](following)

    def scan_kernel(self) -> KernelCall:
        """Return the kernel of the full tensor, or of CP factors."""
        if self.rank is None:
            return BilinearKernel(self.time_activation), [self.weight.flatten(1)]
        weight = torch.cat([self.output_factors, self.weight_hh, self.weight_ih, self.bias.unsqueeze(1)], 1)
        weights = [weight, self.state_factors.t(), self.input_factors.t()]
        return SecondOrderKernel(self.time_activation), weights

    def full_tensor(self) -> Tensor:
        """Return W [N, N+1, D+1], of CP factors multiplied out if need be."""
        if self.rank is None:
            return self.weight
        block = torch.einsum("kr,ir,jr->kij", self.output_factors, self.state_factors, self.input_factors)
        with_state = torch.cat([block, self.weight_hh.unsqueeze(-1)], -1)
        without_state = torch.cat([self.weight_ih, self.bias.unsqueeze(-1)], -1).unsqueeze(1)
        return torch.cat([with_state, without_state], 1)

    @torch.no_grad()
    def as_cp(self) -> SecondOrderRNN:
        """Return a new network of CP rank N·D that computes the same function."""
        units, inputs = self.hidden_size, self.input_size
        tensor = self.full_tensor()
        network = SecondOrderRNN(inputs, units, rank=units * inputs, time_activation=self.time_activation).to(tensor)
        # Rank i·D + j stands for the pair of unit i and input j.
        network.state_factors.copy_(torch.eye(units).repeat_interleave(inputs, 1))
        network.input_factors.copy_(torch.eye(inputs).repeat(1, units))
        network.output_factors.copy_(tensor[:, :units, :inputs].flatten(1))
        network.weight_hh.copy_(tensor[:, :units, inputs])
        network.weight_ih.copy_(tensor[:, units, :inputs])
        network.bias.copy_(tensor[:, units, inputs])
        return network
