"""What the Triton kernels share: activations, pairs of units, and the product of a step, on chip or streamed.

Tiles hold sequences as rows and units as columns, [rows, units], both powers of two: units that pad are zero in every
weight and stay exactly zero.
"""

# The values of kernels have no Python types; most of their arguments are sizes and strides, which the names tell.
# ruff: noqa: ANN001, ANN201, D402

from __future__ import annotations

import triton
import triton.language as tl


@triton.jit
def tanh(x):
    """Give tanh(x), within 2 units in the last place, without a branch."""
    magnitude = tl.abs(x)
    # Of -2|x|: a form without |x| is inf / inf for large negative x.
    decayed = tl.exp(-2.0 * magnitude)
    large = (1.0 - decayed) / (1.0 + decayed)
    # 1 - exp(-2|x|) cancels for small x. The minimax polynomial of (tanh(x) / x - 1) / x² below 0.6, fitted to 3e-9 of
    # tanh(x) / x: an error of one degree less, 8e-8, has one sign over long stretches and adds up over time.
    near = tl.where(magnitude < 0.6, x, 0.0)
    z = near * near
    p = 0.020805377513170242 - 0.00590586056932807 * z
    p = p * z - 0.05378668010234833
    p = p * z + 0.13331958651542664
    p = p * z - 0.33333298563957214
    small = near + near * (z * p)
    return tl.where(magnitude < 0.6, small, tl.where(x < 0, -large, large))


@triton.jit
def sigmoid(x):
    """Return 1 / (1 + exp(-x)), without an overflow."""
    decayed = tl.exp(-tl.abs(x))
    return tl.where(x < 0, decayed, 1.0) / (1.0 + decayed)


@triton.jit
def activate(a, NAME: tl.constexpr):
    """Return act(a); a NaN stays one."""
    if NAME == "tanh":
        a = tanh(a)
    elif NAME == "relu":
        a = tl.where(a < 0, 0.0, a)
    return a


@triton.jit
def pull_back(gradient, activated, NAME: tl.constexpr):
    """Return the gradient of a for that of act(a), given act(a)."""
    if NAME == "tanh":
        gradient = gradient * (1.0 - activated * activated)
    elif NAME == "relu":
        gradient = tl.where(activated > 0, gradient, 0.0)
    return gradient


@triton.jit
def swap_pairs(x):
    """Return [rows, units] with the units (2i, 2i+1) swapped."""
    even, odd = tl.split(tl.reshape(x, [x.shape[0], x.shape[1] // 2, 2]))
    return tl.reshape(tl.join(odd, even), [x.shape[0], x.shape[1]])


@triton.jit
def apply_pairs(x, own, cross, PAIRED: tl.constexpr):
    """Return own ∘ x, with PAIRED plus cross ∘ (x with its pairs swapped)."""
    turned = own * x
    if PAIRED:
        turned += cross * swap_pairs(x)
    return turned


@triton.jit
def load_matrix(matrix, ROWS: tl.constexpr, COLUMNS: tl.constexpr):
    """Return a contiguous padded matrix [ROWS, COLUMNS]."""
    row, column = tl.arange(0, ROWS), tl.arange(0, COLUMNS)
    return tl.load(matrix + row[:, None] * COLUMNS + column[None, :])


@triton.jit
def product(x, tile):
    """Return x [rows, J] times a tile [J, I] in registers: plain multiplications and additions, exact float32."""
    return tl.sum(x[:, :, None] * tile[None, :, :], 1)


@triton.jit
def streamed_product(x, matrix, COLUMNS: tl.constexpr, BLOCK: tl.constexpr):
    """Return x [rows, J] times a matrix [J, COLUMNS] in memory, read again in blocks of BLOCK rows."""
    blocks: tl.constexpr = x.shape[1] // BLOCK
    by_block = tl.reshape(x, [x.shape[0], blocks, BLOCK])
    number = tl.arange(0, blocks)[None, :, None]
    total = tl.zeros([x.shape[0], COLUMNS], tl.float32)
    for block in tl.range(0, blocks):
        # A tile cannot be indexed by a variable; to mask it out of all of x costs little beside the product.
        part = tl.sum(tl.where(number == block, by_block, 0.0), 1)
        total += product(part, load_matrix(matrix + block * BLOCK * COLUMNS, BLOCK, COLUMNS))
    return total
