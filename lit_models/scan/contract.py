"""What a scan needs of a recurrence, what a kernel gives, and which classes a hand-derived scan serves."""

import functools
from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor, nn

#: Outputs [T, B, N] (an empty tensor where they are not kept) and the final state [B, S].
Scanned = tuple[Tensor, Tensor]

# What a subclass may override without changing what a step computes.
_SCANS = {"forward", "forward_last", "run", "scan_kernel", "scan_linear", "linear_transition"}
_FREE = {"__init__", "initial_state", "_abc_impl", *_SCANS}


class Operands(NamedTuple):
    """What a kernel computes from: inputs [T, M or 1, B, D], a state [M, B, S] and weights [M, ...] or None."""

    inputs: Tensor
    state: Tensor
    weights: Sequence[Any]


class Grads(NamedTuple):
    """The gradients of outputs [T, M, N, B] and of the final state [M, B, S]; None for zeros."""

    outputs: Tensor | None
    final: Tensor | None


class Needs(NamedTuple):
    """Whether the gradients of inputs, state and each weight are wanted."""

    inputs: bool
    state: bool
    weights: tuple[bool, ...]


#: Outputs [T, M, N, B], the final state [M, B, S] and what is stored of the steps, tensors [T', M, ...].
Forward = tuple[Tensor, Tensor, list[Tensor]]


class ScanKernel(Protocol):
    """One architecture's forward and backward pass over time: plain maths on tensors that no autograd sees."""

    def forward(self, given: Operands, store: bool, keep_outputs: bool) -> Forward:
        """Scan; outputs are empty without ``keep_outputs``, and nothing is stored without ``store``."""

    def backward(self, given: Operands, stores: Sequence[Tensor], grads: Grads, needs: Needs) -> list[Tensor | None]:
        """Return the gradients of inputs, state and each weight; those that are not needed may be None."""


#: A hand-derived kernel, in PyTorch unless there is another scan beside it, and one network's weights as it takes them.
KernelCall = tuple[ScanKernel, Sequence[Any]]


class ScannedRecurrence(Protocol):
    """What a scan needs of a recurrence; see ``lit_models.recurrence.Recurrence``."""

    def project(self, inputs: Tensor) -> Tensor:
        """Return the part [..., P] of a step that depends on the inputs [..., D] alone."""

    def advance(self, projected: Tensor, state: Tensor) -> Tensor:
        """Return the next state [B, S]."""

    def output(self, state: Tensor) -> Tensor:
        """Return the output [B, N]."""

    def scan_kernel(self) -> KernelCall | None:
        """Return a kernel that equals the loop, maybe one that is in C alone; None where there is none."""

    def scan_linear(self, inputs: Tensor, state: Tensor, lengths: Tensor | None, keep_outputs: bool) -> Scanned | None:
        """Scan in closed form; None where there is none."""


def takes(inputs: Tensor, *others: Tensor | None) -> bool:
    """Return whether faster scans take these: at least one step, all float32 or all float64, and no autocast."""
    types = {tensor.dtype for tensor in (inputs, *others) if tensor is not None}
    known = types in ({torch.float32}, {torch.float64})
    return known and not torch.is_autocast_enabled(inputs.device.type) and inputs.shape[0] > 0


@functools.cache
def keeps_definition(cls: type, scan: str) -> bool:
    """Return whether a faster scan that a class has, its own or inherited, still computes what its steps do.

    Such a scan, the method ``scan``, is derived from the definition in the class that declares it. A class below that
    one may add methods, and give those that are abstract; if it overrides any other, its steps may be different ones.
    """
    order = cls.__mro__
    declaring = next(index for index, each in enumerate(order) if scan in vars(each))
    for index, each in enumerate(order[:declaring]):
        for name in vars(each).keys() - _FREE:
            overridden = next((vars(parent)[name] for parent in order[index + 1 :] if name in vars(parent)), None)
            if overridden is None or name.startswith("__") or hasattr(nn.Module, name):
                continue
            if not getattr(overridden, "__isabstractmethod__", False):
                return False
    return True
