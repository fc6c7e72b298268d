"""How the Triton kernels are laid out on a GPU, and what their walks share outside the kernels. Imports no triton."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

#: Elements of a matrix that the registers of one block hold over all steps (of 65,536, with room for the rest).
LARGEST_TILE = 128 * 128
#: Most units that are padded to, where weights are read again at each step; of a gated network.
LARGEST_PADDED, LARGEST_PADDED_GATED = 512, 256
#: Inputs up to this many are multiplied within a kernel; the products of more are computed before, in chunks.
MOST_FEATURES = 2

# Rows to walk at once on a GPU of 132 multiprocessors, each of which holds two blocks.
_FULL = 2 * 132
_CHUNKS, _SHORTEST_CHUNK = 8, 64


class Plan(NamedTuple):
    """The layout of a kernel.

    Attributes:
        padded: N, padded to a power of two.
        rows: sequences of one block.
        warps: of one block.
        block: rows of the weights that are read at once at each step; 0 where they stay in registers.
    """

    padded: int
    rows: int
    warps: int
    block: int


def pad_units(units: int) -> int:
    """Return the power of two that units are padded to.

    >>> [pad_units(units) for units in (1, 16, 47, 100)]
    [16, 16, 64, 128]
    """
    return max(16, 1 << (units - 1).bit_length())


def fits(units: int, gates: int = 1) -> bool:
    """Say whether there is a layout for N units.

    >>> fits(500), fits(500, gates=4)
    (True, False)
    """
    return pad_units(units) <= (LARGEST_PADDED if gates == 1 else LARGEST_PADDED_GATED)


def make_plan(units: int, sequences: int, gates: int = 1, matrices: int = 1) -> Plan:
    """Lay out a kernel.

    Args:
        units: N.
        sequences: of all instances together.
        gates: products with N rows that one matrix of weights gives.
        matrices: how many matrices [gates N, N] are multiplied at each step.

    Few sequences are walked one by one, so that all multiprocessors are busy; of many a block takes several, which
    share what it reads from its registers. Each number was compiled for compute capability 9.0 and spills nothing
    (``make kernels``).
    """
    padded = pad_units(units)
    tile = gates * padded * padded
    if tile > LARGEST_TILE:
        return Plan(padded, 4, 8, max(8, LARGEST_TILE // (4 * gates * padded)))
    rows = 1 if sequences <= _FULL else 2 if sequences <= 2 * _FULL else 4
    if tile == LARGEST_TILE:
        return (
            Plan(padded, min(rows, 2), 16, 0)
            if matrices > 1
            else Plan(padded, *((rows, 8) if rows < 4 else (8, 16)), 0)
        )
    return Plan(padded, rows, 4 * matrices, 0)


def spans(steps: int) -> Iterator[tuple[int, int]]:
    """Yield the first step of every chunk, and the one after its last: what a chunk needs is an eighth of the whole.

    >>> list(spans(784))[:2], list(spans(100))
    ([(0, 98), (98, 196)], [(0, 64), (64, 100)])
    """
    length = max(_SHORTEST_CHUNK, -(-steps // _CHUNKS))
    for start in range(0, steps, length):
        yield start, min(start + length, steps)


def padded_to(matrix: Tensor, rows: int, columns: int) -> Tensor:
    """Return a contiguous matrix [..., rows, columns], padded by zeros."""
    return functional.pad(matrix, (0, columns - matrix.shape[-1], 0, rows - matrix.shape[-2])).contiguous()


def instance_first(tensor: Tensor) -> Tensor:
    """Return [T, M, ...] as a contiguous [M, T, ...], which is how the walks keep it: no copy."""
    return tensor.transpose(0, 1).contiguous()


def flat_inputs(inputs: Tensor, start: int, stop: int, instances: int) -> Tensor:
    """Return a chunk of inputs [T, M or 1, B, D] as [M, steps * B, D]."""
    return inputs[start:stop].transpose(0, 1).flatten(1, 2).expand(instances, -1, -1)


class InputGradients:
    """The gradients of inputs [T, M or 1, B, D], chunk by chunk; of shared inputs the sum over instances."""

    def __init__(self, inputs: Tensor) -> None:
        """Make room for them."""
        self.all = torch.empty_like(inputs, memory_format=torch.contiguous_format)

    def put(self, start: int, stop: int, deltas: Tensor, to_inputs: Tensor) -> None:
        """Set a chunk's to deltas [M, steps * B, P] times weights [M, P, D]."""
        chunk = torch.bmm(deltas, to_inputs).unflatten(1, (stop - start, -1)).transpose(0, 1)
        shared = chunk.shape[1] > self.all.shape[1]
        self.all[start:stop] = chunk.sum(1, keepdim=True) if shared else chunk


@contextmanager
def exact_products() -> Iterator[None]:
    """Multiply matrices in full float32 within a block, whatever precision the user allows elsewhere."""
    matmul = torch.backends.cuda.matmul
    before = matmul.fp32_precision
    matmul.fp32_precision = "ieee"
    try:
        yield
    finally:
        matmul.fp32_precision = before


def on_device_of(tensor: Tensor) -> AbstractContextManager[object]:
    """Launch kernels on a tensor's device."""
    return torch.cuda.device(tensor.device) if tensor.is_cuda else nullcontext()
