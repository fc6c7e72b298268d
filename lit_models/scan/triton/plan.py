"""How the Triton kernels are laid out on a GPU, and what they share outside the kernels. Imports no triton."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

#: Elements of a matrix that the registers of one block hold over all steps (of 65,536, with room for the rest).
LARGEST_TILE = 128 * 128
#: Most units that are padded to, where weights are read again at each step; of a gated network.
LARGEST_PADDED, LARGEST_PADDED_GATED = 512, 256
#: Inputs up to this many are multiplied within a kernel; the products of more are computed before, in chunks.
MOST_FEATURES = 2

# Rows to scan at once on a GPU of 132 multiprocessors, each of which holds two blocks; and from how many on tensor
# cores, which take no fewer than 16 a block, are faster.
_FULL, _MANY, _MANY_GATED, _ROWS_OF_DOT = 2 * 132, 1024, 1536, 16
# What a backward pass needs of a step is kept of an eighth of the steps, or of as many as make so many bytes.
_CHUNKS, _CHUNK_BYTES = 8, 256 * 2**20


class Plan(NamedTuple):
    """The layout of a kernel.

    Attributes:
        padded: N, padded to a power of two.
        rows: sequences of one block.
        warps: of one block.
        block: rows of the weights that are read at once at each step; 0 where they stay in registers.
        dot: whether tensor cores multiply.
    """

    padded: int
    rows: int
    warps: int
    block: int = 0
    dot: bool = False

    def options(self, **others: Any) -> dict[str, Any]:
        """Return a kernel's compile-time arguments, ``others`` with them."""
        sizes = {"PADDED": self.padded, "ROWS": self.rows, "BLOCK": self.block, "DOT": self.dot}
        return {**sizes, **others, "num_warps": self.warps}


def pad_units(units: int) -> int:
    """Return the power of two that units are padded to.

    >>> [pad_units(units) for units in (1, 16, 47, 100)]
    [16, 16, 64, 128]
    """
    return max(16, 1 << (units - 1).bit_length())


def widen(units: int) -> int:
    """Return units with those that fill up a row of 16 bytes: kernels scan so many, for only then do they read fast.

    >>> [widen(units) for units in (47, 100)]
    [48, 100]
    """
    return -(-units // 4) * 4


def fits(units: int, gates: int = 1) -> bool:
    """Say whether there is a layout for N units.

    >>> fits(500), fits(500, gates=4)
    (True, False)
    """
    return pad_units(units) <= (LARGEST_PADDED if gates == 1 else LARGEST_PADDED_GATED)


def make_plan(units: int, sequences: int, gates: int = 1, matrices: int = 1, back: bool = False) -> Plan:
    """Lay out a kernel, or the one of the backward pass, that multiplies so many matrices [gates N, N] at each step.

    Few sequences, of all instances together, are scanned one by one, so that all multiprocessors are busy; of many a
    block takes several, for the tensor cores. Each layout was compiled for compute capability 9.0 and spills nothing
    (``make kernels``).
    """
    padded = pad_units(units)
    tile = gates * padded * padded
    if tile > LARGEST_TILE:
        return Plan(padded, 4, 8, block=max(8, LARGEST_TILE // (4 * gates * matrices * padded)))
    if sequences >= (_MANY if gates == 1 else _MANY_GATED) and matrices * tile <= LARGEST_TILE:
        warps = 8 if matrices * tile == LARGEST_TILE else min(4, padded // 8)
        return Plan(padded, _ROWS_OF_DOT, warps, dot=True)
    rows = 1 if sequences <= _FULL else 2
    if tile == LARGEST_TILE:
        return Plan(padded, rows, 16 if matrices > 1 else 4 if gates > 1 and not back else 8)
    return Plan(padded, rows, 4 * matrices)


def spans(steps: int, size: int) -> list[tuple[int, int]]:
    """Return the first step of every chunk, and the one after its last; of a step ``size`` numbers are needed.

    >>> spans(784, 64 * 128 * 100)[:2], spans(784, 128 * 100)
    ([(0, 98), (98, 196)], [(0, 784)])
    """
    length = max(-(-steps // _CHUNKS), _CHUNK_BYTES // (4 * size), 1)
    return [(start, min(start + length, steps)) for start in range(0, steps, length)]


def padded_to(matrix: Tensor, rows: int, columns: int) -> Tensor:
    """Return a contiguous matrix [..., rows, columns], padded by zeros."""
    below, beside = rows - matrix.shape[-2], columns - matrix.shape[-1]
    return (functional.pad(matrix, (0, beside, 0, below)) if below or beside else matrix).contiguous()


def widened(tensor: Tensor, width: int, axis: int = -1) -> Tensor:
    """Return a contiguous tensor with one axis padded by zeros."""
    missing = width - tensor.shape[axis]
    padded = functional.pad(tensor, (0, 0) * (-1 - axis) + (0, missing)) if missing else tensor
    return padded.contiguous()


def instance_first(tensor: Tensor) -> Tensor:
    """Return [T, M, ...] as a contiguous [M, T, ...], which is how the kernels keep it: no copy."""
    return tensor.transpose(0, 1).contiguous()


def arriving(gradients: Tensor, width: int) -> Tensor:
    """Return a chunk's gradients of outputs [T', M, N, B] as [M, T', B, width], with contiguous rows."""
    rows = gradients.permute(1, 0, 3, 2)
    return rows if rows.shape[-1] == width and rows.stride()[2:] == (width, 1) else widened(rows, width)


def drives(
    inputs: Tensor, instances: int, weight: Tensor, bias: Tensor, size: int
) -> Iterator[tuple[int, int, Tensor, tuple[int, ...]]]:
    """Yield chunks of time with what inputs [T, M or 1, B, D] give to each step.

    Few inputs are multiplied within a kernel: then there is one chunk, of the inputs themselves; else V s + b for
    weights V [M, P, D] and b [M, P]. While a chunk is scanned, ``size`` numbers are needed of a step.

    Yields:
        The first step, the one after the last, and a tensor with its strides by instance, step, sequence and number.
    """
    steps, _, batch, features = inputs.shape
    few = features <= MOST_FEATURES
    for start, stop in [(0, steps)] if few else spans(steps, size):
        drive = inputs
        if not few:
            with exact_products():
                chunk = inputs[start:stop].transpose(0, 1).flatten(1, 2).expand(instances, -1, -1)
                drive = torch.baddbmm(bias.unsqueeze(1), chunk, weight.mT)
            drive = drive.unflatten(1, (stop - start, batch)).transpose(0, 1)
        by_step, by_instance, by_row, by_unit = drive.stride()
        yield start, stop, drive, (by_instance if drive.shape[1] > 1 else 0, by_step, by_row, by_unit)


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
