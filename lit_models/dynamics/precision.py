"""Copies of modules in the precision in which a measure is computed."""

import copy
from typing import TypeVar

import torch
from torch import nn

Module = TypeVar("Module", bound=nn.Module)


def converted_copy(module: Module, dtype: torch.dtype) -> Module:
    """Return a copy of a module in evaluation mode, in ``torch.float32`` or ``torch.float64``, else ValueError.

    >>> converted_copy(nn.Linear(1, 1), torch.float64).weight.dtype
    torch.float64
    """
    if dtype not in (torch.float32, torch.float64):
        raise ValueError(f"dtype must be torch.float32 or torch.float64, got {dtype}")
    return copy.deepcopy(module).to(dtype).eval()
