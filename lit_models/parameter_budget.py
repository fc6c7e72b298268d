"""The hidden size that meets a parameter budget, for matched comparisons."""

import bisect
from collections.abc import Callable

import torch
from torch import nn

from rnnbench.datamodules.checks import check_at_least

LARGEST_STEP = 16


def count_parameters(module: nn.Module) -> int:
    """Return the number of trainable parameters; shared ones count once.

    >>> from torch import nn
    >>> count_parameters(nn.Linear(3, 2))
    8
    """
    return sum(parameter.numel() for parameter in module.parameters() if parameter.requires_grad)


def hidden_size_for(budget: int, build: Callable[[int], nn.Module]) -> int:
    """Return the largest hidden size whose module has at most ``budget`` trainable parameters.

    Modules are built on the meta device, without memory or random draws. Where the smallest sizes raise ValueError, the
    smallest that does not, s, is found, and multiples of s are searched (even sizes for rotations).

    Raises:
        ValueError: the smallest module exceeds the budget, the parameters do not grow with the size, or no size up to
            16 can be built.

    >>> from torch import nn
    >>> hidden_size_for(100, lambda size: nn.Linear(size, size))
    9
    """
    check_at_least(1, budget=budget)
    step = _smallest_size(build)

    def fits(multiple: int) -> bool:
        return _parameters_at(multiple * step, build) <= budget

    if not fits(1):
        smallest = _parameters_at(step, build)
        raise ValueError(f"parameters must be at least {smallest}, those at hidden size {step}, got {budget}")
    upper = 2
    while fits(upper):
        if upper > budget:
            raise ValueError(f"parameters must grow with the hidden size, got {budget} or fewer at {upper * step}")
        upper *= 2
    too_large = bisect.bisect_left(range(upper), True, lo=upper // 2, key=lambda multiple: not fits(multiple))
    return (too_large - 1) * step


def _parameters_at(size: int, build: Callable[[int], nn.Module]) -> int:
    with torch.device("meta"):
        return count_parameters(build(size))


def _smallest_size(build: Callable[[int], nn.Module]) -> int:
    refusals: list[ValueError] = []
    for size in range(1, LARGEST_STEP + 1):
        try:
            _parameters_at(size, build)
        except ValueError as error:
            refusals.append(error)
        else:
            return size
    raise ValueError(f"no hidden size from 1 to {LARGEST_STEP} can be built: {refusals[-1]}") from refusals[-1]
