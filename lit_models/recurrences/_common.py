"""What several architectures share: activations by name, checks of arguments, and PyTorch's layout of a cell."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable

import torch
from torch import Tensor, nn


def identity(values: Tensor) -> Tensor:
    """Return the values as they are."""
    return values


ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {"tanh": torch.tanh, "relu": torch.relu, "identity": identity}


def check_choice(argument: str, value: str, allowed: Iterable[str]) -> None:
    """Check that a named option is known.

    Raises:
        ValueError: it is not; names the argument, its value and what is allowed.
    """
    if value not in set(allowed):
        raise ValueError(f"{argument} is {value!r}: one of {', '.join(allowed)} is allowed")


def check_positive(argument: str, value: int) -> None:
    """Check that a size is at least 1.

    Raises:
        ValueError: it is not; names the argument and its value.
    """
    if value < 1:
        raise ValueError(f"{argument} is {value}: at least 1 is allowed")


def check_number(
    argument: str, value: float, above: float = -math.inf, low: float = -math.inf, high: float = math.inf
) -> None:
    """Check that a number is finite, larger than ``above``, and from ``low`` to ``high``.

    Raises:
        ValueError: it is not; names the argument, its value and what is allowed.
    """
    if math.isfinite(value) and value > above and low <= value <= high:
        return
    bounds = {"above": above, "of at least": low, "of at most": high}
    words = " and ".join(f"{word} {bound:g}" for word, bound in bounds.items() if math.isfinite(bound))
    raise ValueError(f"{argument} is {value}: a finite number{' ' if words else ''}{words} is allowed")


def add_constants(module: nn.Module, **values: float) -> None:
    """Register numbers as buffers [], so that the instances of an ensemble may differ in them."""
    for name, value in values.items():
        module.register_buffer(name, torch.tensor(float(value)))


def add_cell_parameters(cell: nn.Module, input_size: int, hidden_size: int, gates: int) -> None:
    """Give a cell the parameters of ``torch.nn.RNNCell``, ``LSTMCell`` or ``GRUCell``: same names, shapes and draws.

    Adds ``weight_ih`` [gates·N, D], ``weight_hh`` [gates·N, N], ``bias_ih`` and ``bias_hh`` [gates·N], all drawn from
    U(-1/√N, 1/√N) in this order.
    """
    rows = gates * hidden_size
    bound = 1 / math.sqrt(hidden_size)
    shapes = {"weight_ih": (rows, input_size), "weight_hh": (rows, hidden_size), "bias_ih": (rows,), "bias_hh": (rows,)}
    for name, shape in shapes.items():
        cell.register_parameter(name, nn.Parameter(torch.empty(shape).uniform_(-bound, bound)))
