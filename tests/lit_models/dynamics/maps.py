"""Recurrences whose exponents are known: linear maps, chaotic maps, and random networks."""

import torch
from torch import Tensor

from rnnbench.lit_models.recurrence import Recurrence


class LinearMap(Recurrence):
    """h <- J h with one matrix."""

    def __init__(self, matrix: Tensor) -> None:
        super().__init__(1, len(matrix))
        self.register_buffer("matrix", matrix)

    def advance(self, projected: Tensor, state: Tensor) -> Tensor:
        return state @ self.matrix.t()


class DrivenLinearMap(Recurrence):
    """h <- J_t h with the matrices given as inputs [T, B, S²]."""

    def __init__(self, size: int) -> None:
        super().__init__(size**2, size)

    def advance(self, projected: Tensor, state: Tensor) -> Tensor:
        return (projected.unflatten(-1, (self.state_size, -1)) @ state.unsqueeze(-1)).squeeze(-1)


class Henon(Recurrence):
    """(x, y) <- (1 - 1.4 x² + y, 0.3 x)."""

    def __init__(self) -> None:
        super().__init__(1, 2)

    def advance(self, projected: Tensor, state: Tensor) -> Tensor:
        x, y = state.unbind(-1)
        return torch.stack([1 - 1.4 * x**2 + y, 0.3 * x], -1)


class Lorenz(Recurrence):
    """One Runge-Kutta step of Lorenz's equations (σ = 10, ρ = 28, β = 8/3)."""

    STEP = 0.01

    def __init__(self) -> None:
        super().__init__(1, 3)

    def advance(self, projected: Tensor, state: Tensor) -> Tensor:
        first = self.slope(state)
        second = self.slope(state + self.STEP / 2 * first)
        third = self.slope(state + self.STEP / 2 * second)
        fourth = self.slope(state + self.STEP * third)
        return state + self.STEP / 6 * (first + 2 * second + 2 * third + fourth)

    @staticmethod
    def slope(state: Tensor) -> Tensor:
        x, y, z = state.unbind(-1)
        return torch.stack([10 * (y - x), x * (28 - z) - y, x * y - 8 / 3 * z], -1)


class RandomTanhNetwork(Recurrence):
    """h <- J tanh(h), J with iid entries N(0, g²/N)."""

    def __init__(self, units: int, g: float, seed: int) -> None:
        super().__init__(1, units)
        drawn = torch.randn(units, units, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
        self.register_buffer("matrix", g / units**0.5 * drawn)

    def advance(self, projected: Tensor, state: Tensor) -> Tensor:
        return torch.tanh(state) @ self.matrix.t()


class Square(Recurrence):
    """h <- h²: overflows from |h| > 1."""

    def __init__(self) -> None:
        super().__init__(1, 1)

    def advance(self, projected: Tensor, state: Tensor) -> Tensor:
        return state**2


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def no_inputs(steps: int, batch_size: int) -> Tensor:
    return torch.zeros(steps, batch_size, 1, dtype=torch.float64)
