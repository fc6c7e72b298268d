"""The gradients of weights and inputs on a GPU, from what a backward pass leaves: sums of products over time."""

# The values of kernels have no Python types; most of their arguments are sizes and strides, which the names tell.
# ruff: noqa: ANN001, ANN201, ANN202, D417

from collections.abc import Sequence
from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor

from rnnbench.lit_models.scan.eager.layout import InputGradients, Layout
from rnnbench.lit_models.scan.triton.plan import MOST_FEATURES, exact_products, on_device_of, pad_units
from rnnbench.lit_models.scan.triton.primitives import dot

#: Programs that are busy at once on a GPU of 132 multiprocessors: while one waits for its rows, others multiply.
_PROGRAMS = 3 * 132
_LARGEST, _BLOCK, _WARPS = 64, 32, 4


@triton.jit
def _folded(x):
    """Return a tile with its rows added up to eight, for a sum over all of them: a thread has every eighth."""
    return tl.sum(tl.reshape(x, [x.shape[0] // 8, 8, x.shape[1]]), 0)


@triton.jit(do_not_specialize=["rows"])
def sum_products(
    left,
    right,
    inputs,
    scale,
    sums,
    rows,
    batch,
    left_by_instance,
    right_by_instance,
    inputs_by_instance,
    inputs_by_step,
    inputs_by_row,
    inputs_by_unit,
    LEFT: tl.constexpr,
    RIGHT: tl.constexpr,
    TILE_LEFT: tl.constexpr,
    TILE_RIGHT: tl.constexpr,
    BLOCK: tl.constexpr,
    FEATURES: tl.constexpr,
    SIDE: tl.constexpr,
    SCALED: tl.constexpr,
):
    """Sum up leftᵀ right, and with SIDE leftᵀ [1, s], of the rows that are one program's part.

    Args:
        left: [M, rows, LEFT], an instance's rows one after the other.
        right: [M or 1, rows, RIGHT], likewise.
        inputs: s [steps, M or 1, B, FEATURES]; ``rows`` are steps times B.
        scale: with SCALED a factor of all, [M, LEFT].
        sums: [M, programs, LEFT, RIGHT, with SIDE + 1 + FEATURES].
    """
    instance, part, parts = tl.program_id(0).to(tl.int64), tl.program_id(1), tl.num_programs(1)
    across: tl.constexpr = (RIGHT + TILE_RIGHT - 1) // TILE_RIGHT
    tile_left, tile_right = tl.program_id(2) // across, tl.program_id(2) % across
    i, j = tile_left * TILE_LEFT + tl.arange(0, TILE_LEFT), tile_right * TILE_RIGHT + tl.arange(0, TILE_RIGHT)
    left += instance * left_by_instance
    right += instance * right_by_instance
    inputs += instance * inputs_by_instance
    length = tl.cdiv(tl.cdiv(rows, BLOCK), parts) * BLOCK
    total = tl.zeros([TILE_LEFT, TILE_RIGHT], tl.float32)
    if SIDE:
        ones = tl.zeros([8, TILE_LEFT], tl.float32)
        if FEATURES:
            firsts = tl.zeros([8, TILE_LEFT], tl.float32)
        if FEATURES == 2:
            seconds = tl.zeros([8, TILE_LEFT], tl.float32)
    start = part * length
    end = tl.minimum(start + length, rows)
    is_left, is_right = (i < LEFT)[None, :], (j < RIGHT)[None, :]
    while start < end:
        row = start + tl.arange(0, BLOCK)
        inside, far = (row < end)[:, None], tl.cast(row, tl.int64)[:, None]
        # In this order: the compiler has `one` wait for its numbers at once, and what is loaded after it too.
        other = tl.load(right + far * RIGHT + j[None, :], mask=inside & is_right, other=0.0)
        one = tl.load(left + far * LEFT + i[None, :], mask=inside & is_left, other=0.0)
        total += dot(tl.trans(one), other, False)
        if SIDE:
            ones += _folded(one)
            if FEATURES:
                place = inputs + tl.cast(row // batch, tl.int64) * inputs_by_step + (row % batch) * inputs_by_row
                firsts += _folded(one * tl.load(place, mask=row < end, other=0.0)[:, None])
                if FEATURES == 2:
                    seconds += _folded(one * tl.load(place + inputs_by_unit, mask=row < end, other=0.0)[:, None])
        start += BLOCK
    inside = i < LEFT
    factor = tl.load(scale + instance * LEFT + i, mask=inside, other=0.0) if SCALED else 1.0
    if SCALED:
        total *= factor[:, None]
    WIDTH: tl.constexpr = RIGHT + (1 + FEATURES if SIDE else 0)
    to = sums + ((instance * parts + part) * LEFT + i) * WIDTH
    tl.store(to[:, None] + j[None, :], total, mask=inside[:, None] & (j < RIGHT)[None, :])
    if SIDE:
        # Tiles beside each other have the same.
        inside = inside & (tile_right == 0)
        tl.store(to + RIGHT, factor * tl.sum(ones, 0), mask=inside)
        if FEATURES:
            tl.store(to + RIGHT + 1, factor * tl.sum(firsts, 0), mask=inside)
        if FEATURES == 2:
            tl.store(to + RIGHT + 2, factor * tl.sum(seconds, 0), mask=inside)


def layout(left: int, right: int, features: int | None, scaled: bool = False) -> dict[str, Any]:
    """Return the compile-time arguments: tiles, whether to multiply with [1, s] too, and with a factor."""
    tiles = min(_LARGEST, pad_units(left)), min(_LARGEST, pad_units(right))
    return {
        "LEFT": left,
        "RIGHT": right,
        "TILE_LEFT": tiles[0],
        "TILE_RIGHT": tiles[1],
        "BLOCK": _BLOCK if max(tiles) > 32 else _BLOCK // 2,
        "FEATURES": features or 0,
        "SIDE": features is not None,
        "SCALED": scaled,
        "num_warps": _WARPS,
    }


class ProductSums:
    """leftᵀ right, and leftᵀ [1, s] beside it, summed over all rows of all chunks.

    Rows have ``left`` and ``right`` numbers, and inputs s at most two ``features``, or None without leftᵀ [1, s];
    ``scale`` [M, left] is a factor of all.
    """

    def __init__(
        self,
        like: Tensor,
        instances: int,
        chunks: int,
        rows: int,
        left: int,
        right: int,
        features: int | None = None,
        scale: Tensor | None = None,
    ) -> None:
        self._options, self._scale = layout(left, right, features, scale is not None), scale
        self._count = -(-left // self._options["TILE_LEFT"]) * -(-right // self._options["TILE_RIGHT"])
        parts = max(1, min(_PROGRAMS // (instances * self._count), -(-rows // self._options["BLOCK"])))
        width = right + (0 if features is None else 1 + features)
        self._sums = like.new_empty(chunks, instances, parts, left, width)

    def add(self, chunk: int, left: Tensor, right: Tensor, inputs: Tensor) -> None:
        """Add a chunk's contiguous rows, left [M, steps, B, left] and right [M or 1, steps, B, right].

        Inputs s are [steps, M or 1, B, D]; where they are not multiplied, any.
        """
        instances, steps, batch, _ = left.shape
        by_step, by_instance, by_row, by_unit = inputs.stride()
        with on_device_of(left):
            sum_products[(instances, self._sums.shape[2], self._count)](
                left,
                right,
                inputs,
                left if self._scale is None else self._scale,
                self._sums[chunk],
                steps * batch,
                batch,
                left.stride(0),
                right.stride(0) if right.shape[0] > 1 else 0,
                by_instance if inputs.shape[1] > 1 else 0,
                by_step,
                by_row,
                by_unit,
                **self._options,
            )

    def result(self) -> Tensor:
        """Return them [M, left, right (+ 1 + D)]."""
        return self._sums.sum((0, 2))


class StepGradients:
    """The gradients of inputs s, W, V and b, from those of a = W x + V s + b, chunk by chunk.

    Inputs are s [T, M or 1, B, D], ``shape`` is that of W [M, height, units], and ``chunks`` are ``spans``. Those of
    ``weights`` may be wanted, with a factor ``scale`` [M, height], and those of inputs where V [M, height, D] is given.
    """

    def __init__(
        self,
        inputs: Tensor,
        shape: tuple[int, int, int],
        chunks: Sequence[tuple[int, int]],
        weights: bool,
        to_inputs: Tensor | None,
        scale: Tensor | None = None,
    ) -> None:
        (instances, height, self._units), features = shape, inputs.shape[3]
        self._inputs, self._chunks, self._to_inputs = inputs, chunks, to_inputs
        few, sizes = features <= MOST_FEATURES, (instances, len(chunks), chunks[0][1] * inputs.shape[2], height)
        self._states = self._features = None
        if weights:
            self._states = ProductSums(inputs, *sizes, self._units, features if few else 0, scale)
            self._features = None if few else ProductSums(inputs, *sizes, features, scale=scale)
        self._by_inputs = None if to_inputs is None else InputGradients(inputs, instances, Layout(1))

    def add(self, chunk: int, deltas: Tensor, states: Tensor) -> None:
        """Add a chunk, with the gradients of a [M, steps, B, height] and x before each step [M, T, B, units]."""
        start, stop = self._chunks[chunk]
        inputs = self._inputs[start:stop]
        if self._states is not None:
            self._states.add(chunk, deltas, states[:, start:stop], inputs)
        if self._features is not None:
            self._features.add(chunk, deltas, inputs.transpose(0, 1).contiguous(), inputs)
        if self._by_inputs is not None:
            with exact_products():
                own = torch.bmm(deltas.flatten(1, 2), self._to_inputs).unflatten(1, deltas.shape[1:3])
                self._by_inputs.set_steps(start, stop, own.transpose(0, 1))

    def result(self) -> tuple[Tensor | None, ...]:
        """Return those of inputs, W [M, height, units], V [M, height, D] and b [M, height]; None if not wanted."""
        by_inputs, units = None if self._by_inputs is None else self._by_inputs.result(), self._units
        if self._states is None:
            return by_inputs, None, None, None
        found = self._states.result()
        by_features = found[..., units + 1 :] if self._features is None else self._features.result()
        return by_inputs, found[..., :units], by_features, found[..., units]
