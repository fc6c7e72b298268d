"""What the Triton kernels share: activations, pairs of units, and the product of a step, on chip or streamed.

Tiles hold sequences as rows and units as columns, [rows, units], both powers of two: units that pad are zero in every
weight and stay exactly zero.
"""

# The values of kernels have no Python types; most of their arguments are sizes and strides, which the names tell.
# ruff: noqa: ANN001, ANN201, ANN202, D402, SIM108

import triton
import triton.language as tl
from triton import knobs

#: The interpreter multiplies in float32.
INTERPRETED = tl.constexpr(knobs.runtime.interpret)


@triton.jit
def tanh(x):
    """Return tanh(x), within 2 units in the last place, without a branch."""
    magnitude = tl.abs(x)
    # Of -2|x|: a form without |x| is inf / inf for large negative x.
    decayed = tl.exp(-2.0 * magnitude)
    large = 1.0 - 2.0 * decayed / (1.0 + decayed)
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
def vjp(gradient, activated, NAME: tl.constexpr):
    """Return the gradient of a for that of act(a), given act(a)."""
    if NAME == "tanh":
        gradient = gradient * (1.0 - activated * activated)
    elif NAME == "relu":
        # As PyTorch's: of what is no number the gradient passes.
        gradient = tl.where(activated <= 0, 0.0, gradient)
    return gradient


@triton.jit
def swap_pairs(x):
    """Return [rows, units] with the units (2i, 2i+1) swapped."""
    even, odd = tl.split(tl.reshape(x, [x.shape[0], x.shape[1] // 2, 2]))
    return tl.reshape(tl.join(odd, even), [x.shape[0], x.shape[1]])


@triton.jit
def apply_pairs(x, own, cross, PAIRED: tl.constexpr):
    """Return own ∘ x, with PAIRED plus cross ∘ (x with its pairs swapped)."""
    image = own * x
    if PAIRED:
        image += cross * swap_pairs(x)
    return image


@triton.jit
def place_rows(batch, ROWS: tl.constexpr, UNITS: tl.constexpr, PADDED: tl.constexpr):
    """Return a program's instance, its rows, which of them there are, and mask and offsets of a tile of units."""
    row, unit = tl.program_id(1) * ROWS + tl.arange(0, ROWS), tl.arange(0, PADDED)
    inside = row < batch
    mask = inside[:, None] & (unit < UNITS)[None, :]
    return tl.program_id(0).to(tl.int64), row, inside, mask, row[:, None] * UNITS + unit[None, :]


@triton.jit
def load_matrix(matrix, ROWS: tl.constexpr, COLUMNS: tl.constexpr):
    """Return a contiguous padded matrix [ROWS, COLUMNS]."""
    row, column = tl.arange(0, ROWS), tl.arange(0, COLUMNS)
    return tl.load(matrix + row[:, None] * COLUMNS + column[None, :])


@triton.jit
def load_square(matrix, by_row, by_column, UNITS: tl.constexpr, PADDED: tl.constexpr):
    """Return [PADDED, PADDED] of a matrix [UNITS, UNITS]; zeros where units pad."""
    unit = tl.arange(0, PADDED)
    inside = unit < UNITS
    place = matrix + unit[:, None] * by_row + unit[None, :] * by_column
    return tl.load(place, mask=inside[:, None] & inside[None, :], other=0.0)


@triton.jit
def _leading(x):
    """Return x cut off after the digits that a bfloat16 has."""
    return (x.to(tl.int32, bitcast=True) & -65536).to(tl.float32, bitcast=True)


@triton.jit
def _known(x):
    """Return x with zero where it is not a number."""
    return tl.where(x == x, x, 0.0)


@triton.jit
def _as_bfloat16(x):
    """Return what has no more digits than that; without a conversion, of which a GPU does few at once."""
    return (x.to(tl.int32, bitcast=True) >> 16).to(tl.int16).to(tl.bfloat16, bitcast=True)


@triton.jit
def dot(x, y, IN_STEP: tl.constexpr):
    """Return x [rows, J] times y [J, I] on tensor cores, as near as float32 comes.

    Each number is the sum of three in bfloat16; of the nine products three are below a rounding. What is added up is
    cut off, not rounded: the small products come first, and nothing large is there before. IN_STEP two sums are made
    beside each other, because a step of few rows waits for one product after the other, and infinities keep to their
    rows; without it what is infinite makes NaN.
    """
    if INTERPRETED:
        found = tl.dot(x, y, input_precision="ieee")
    else:
        x_1, y_1 = _leading(x), _leading(y)
        x_rest, y_rest = x - x_1, y - y_1
        x_2, y_2 = _leading(x_rest), _leading(y_rest)
        x_3, y_3 = _as_bfloat16(x_rest - x_2), _as_bfloat16(y_rest - y_2)
        x_1, x_2, y_1, y_2 = _as_bfloat16(x_1), _as_bfloat16(x_2), _as_bfloat16(y_1), _as_bfloat16(y_2)
        small = tl.dot(x_2, y_2)
        small = tl.dot(x_3, y_1, small)
        small = tl.dot(x_1, y_3, small)
        if IN_STEP:
            found = tl.dot(x_2, y_1)
            found = tl.dot(x_1, y_2, found)
            # Of what is infinite the rest is no number, and infinity times zero is none; the last product tells.
            small, found = _known(small), _known(found)
            found = tl.dot(x_1, y_1, found) + small
        else:
            found = tl.dot(x_2, y_1, small)
            found = tl.dot(x_1, y_2, found)
            found = tl.dot(x_1, y_1, found)
    return found


@triton.jit
def product(x, tile, DOT: tl.constexpr):
    """Return x [rows, J] times a tile [J, I] in registers: multiplied and added up, with DOT on tensor cores."""
    if DOT:
        found = dot(x, tile, True)
    else:
        found = tl.sum(x[:, :, None] * tile[None, :, :], 1)
    return found


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
        total += product(part, load_matrix(matrix + block * BLOCK * COLUMNS, BLOCK, COLUMNS), False)
    return total
