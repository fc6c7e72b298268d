"""Multiplicative integration of input and state (Wu et al. 2016)."""

import math
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from rnnbench.datamodules.checks import check_choice, check_number
from rnnbench.lit_models.recurrence import Recurrence
from rnnbench.lit_models.recurrences._common import ACTIVATIONS, check_fits


class MIRNN(Recurrence):
    """h_t = act(α ∘ (W x_t) ∘ (U h_{t-1}) + β₁ ∘ (U h_{t-1}) + β₂ ∘ (W x_t) + b), MI-RNN-general (Wu et al. 2016).

    α, β₁, β₂ and b are trained, one number a unit. α = 0, β₁ = β₂ = 1 is an Elman network; it is also a CPRNN of rank
    N (Lizaire et al. 2024). W and U start from U(-1/√N, 1/√N), as PyTorch's cells do, b from zero: our choice, as are
    the first values of α, β₁ and β₂, which the paper sets for each of its tasks. The state is h: S = N.

    Args:
        alpha: first value of α, the strength of the product.
        beta_1: first value of β₁, the strength of the state.
        beta_2: first value of β₂, the strength of the input.
        time_activation: act.

    A single unit without activation that multiplies its inputs, from h = 1:

    >>> import torch
    >>> product = MIRNN(1, 1, alpha=1.0, beta_1=0.0, beta_2=0.0, time_activation="identity")
    >>> with torch.no_grad():
    ...     _ = product.weight_ih.fill_(1.0), product.weight_hh.fill_(1.0)
    >>> outputs, state = product(torch.tensor([2.0, 3.0, -1.0]).reshape(3, 1, 1), torch.ones(1, 1))
    >>> outputs.flatten().tolist()
    [2.0, 6.0, -6.0]
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        alpha: float = 1.0,
        beta_1: float = 0.5,
        beta_2: float = 0.5,
        time_activation: Literal["tanh", "relu", "identity"] = "tanh",
    ) -> None:
        super().__init__(input_size, hidden_size)
        check_choice("time_activation", time_activation, ACTIVATIONS)
        self.time_activation = time_activation
        bound = 1 / math.sqrt(hidden_size)
        self.weight_ih = nn.Parameter(torch.empty(hidden_size, input_size).uniform_(-bound, bound))
        self.weight_hh = nn.Parameter(torch.empty(hidden_size, hidden_size).uniform_(-bound, bound))
        for name, value in (("alpha", alpha), ("beta_1", beta_1), ("beta_2", beta_2)):
            check_number(name, value)
            check_fits(**{name: value})
        self.alpha, self.beta_1, self.beta_2, self.bias = (
            nn.Parameter(torch.full((hidden_size,), float(value))) for value in (alpha, beta_1, beta_2, 0.0)
        )

    def project(self, inputs: Tensor) -> Tensor:
        """Return [α ∘ (W x) + β₁; β₂ ∘ (W x) + b] [..., 2N], what U h is multiplied by and what is added."""
        drive = functional.linear(inputs, self.weight_ih)
        return torch.cat([self.alpha * drive + self.beta_1, self.beta_2 * drive + self.bias], -1)

    def advance(self, projected: Tensor, state: Tensor) -> Tensor:
        """Return the next h [B, N]."""
        factor, shift = projected.chunk(2, -1)
        return ACTIVATIONS[self.time_activation](factor * functional.linear(state, self.weight_hh) + shift)
