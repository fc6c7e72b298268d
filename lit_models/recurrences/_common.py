"""What several architectures share: activations by name, and PyTorch's layout of a cell."""

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional

from rnnbench.lit_models.recurrence import Recurrence

ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {"tanh": torch.tanh, "relu": torch.relu, "identity": lambda x: x}


def check_fits(**values: float) -> None:
    """Raise ValueError for the first number that is not finite, or no longer positive, in the type of the weights."""
    for name, value in values.items():
        stored = torch.tensor(float(value), device="cpu").item()  # sizes are searched on the meta device
        if not math.isfinite(stored) or (stored == 0 and value != 0):
            raise ValueError(f"{name} must fit {torch.get_default_dtype()}, got {value}")


def check_divides(**sizes: int) -> None:
    """Raise ValueError unless the first size divides the second.

    >>> check_divides(heads=3, hidden_size=4)
    Traceback (most recent call last):
    ValueError: hidden_size must be a multiple of heads, got hidden_size 4 and heads 3
    """
    (divisor, parts), (name, size) = sizes.items()
    if size % parts:
        raise ValueError(f"{name} must be a multiple of {divisor}, got {name} {size} and {divisor} {parts}")


def unit(vectors: Tensor) -> Tensor:
    """Return vectors [..., d] over their norms, with 10⁻⁶ added to the squares: the gradient at zero stays finite."""
    return vectors * torch.rsqrt(vectors.square().sum(-1, keepdim=True) + 1e-6)


def add_constants(module: nn.Module, **values: float) -> list[Tensor]:
    """Register numbers as buffers [], so that the instances of an ensemble may differ in them, and return these."""
    check_fits(**values)
    for name, value in values.items():
        module.register_buffer(name, torch.tensor(float(value)))
    return [module.get_buffer(name) for name in values]


class TorchCell(Recurrence):
    """The parameters of ``torch.nn.RNNCell``, ``LSTMCell`` or ``GRUCell``: same names, shapes and draws.

    ``weight_ih`` [gates·N, D], ``weight_hh`` [gates·N, N], ``bias_ih`` and ``bias_hh`` [gates·N], all drawn from
    U(-1/√N, 1/√N) in this order.
    """

    weight_ih: nn.Parameter
    weight_hh: nn.Parameter
    bias_ih: nn.Parameter
    bias_hh: nn.Parameter

    def __init__(self, input_size: int, hidden_size: int, gates: int, state_size: int | None = None) -> None:
        super().__init__(input_size, hidden_size, state_size)
        rows, bound = gates * hidden_size, 1 / math.sqrt(hidden_size)
        weights = {"weight_ih": [rows, input_size], "weight_hh": [rows, hidden_size]}
        for name, shape in {**weights, "bias_ih": [rows], "bias_hh": [rows]}.items():
            self.register_parameter(name, nn.Parameter(torch.empty(shape).uniform_(-bound, bound)))

    def project(self, inputs: Tensor) -> Tensor:
        """Return W_ih x + b_ih + b_hh [..., gates·N] of inputs [..., D]."""
        return functional.linear(inputs, self.weight_ih, self.bias_ih + self.bias_hh)
