"""The product that tensor cores take, of numbers in three parts: in the interpreter with bfloat16 put in its place."""

import numpy as np
import pytest
import torch

pytest.importorskip("triton")

import triton
import triton.language as tl

from rnnbench.lit_models.scan.triton import primitives
from tests.lit_models.scan.scanned import GPU as DEVICE
from tests.lit_models.scan.scanned import HAS_TRITON, INTERPRETED

if not HAS_TRITON:
    pytest.skip("neither an interpreter (TRITON_INTERPRET=1) nor a GPU", allow_module_level=True)

ROWS, INNER, COLUMNS = 16, 64, 32


@pytest.fixture(autouse=True)
def parts_of_numbers(monkeypatch):
    """Have the interpreter multiply parts as a GPU does; by itself it takes a bfloat16 for a whole number."""
    if not INTERPRETED:
        yield
        return
    from triton.runtime.interpreter import InterpreterBuilder, TensorHandle

    def create_dot(self, x, y, total, input_precision, max_num_imprecise_acc):
        assert x.dtype.scalar == y.dtype.scalar == tl.bfloat16
        x, y = ((each.data.astype(np.uint32) << 16).view(np.float32) for each in (x, y))
        return TensorHandle(np.matmul(x, y) + total.data, total.dtype.scalar)

    monkeypatch.setattr(primitives, "INTERPRETED", tl.constexpr(False))
    monkeypatch.setattr(InterpreterBuilder, "create_dot", create_dot)
    with np.errstate(invalid="ignore"):
        yield


@triton.jit
def _kernel(x, y, found, IN_STEP: tl.constexpr, M: tl.constexpr, K: tl.constexpr, N: tl.constexpr):
    row, inner, column = tl.arange(0, M)[:, None], tl.arange(0, K), tl.arange(0, N)[None, :]
    product = primitives.dot(tl.load(x + row * K + inner[None, :]), tl.load(y + inner[:, None] * N + column), IN_STEP)
    tl.store(found + row * N + column, product)


def multiply(x, y, in_step):
    """Return what ``dot`` makes of them."""
    found = torch.empty(ROWS, COLUMNS, device=DEVICE)
    _kernel[(1,)](x.to(DEVICE), y.to(DEVICE), found, in_step, ROWS, INNER, COLUMNS)
    return found.cpu()


def factors(scale=1.0):
    """Return random factors."""
    generator = torch.Generator().manual_seed(0)
    return scale * torch.randn(ROWS, INNER, generator=generator), torch.randn(INNER, COLUMNS, generator=generator)


@pytest.mark.parametrize("in_step", [False, True])
@pytest.mark.parametrize("scale", [1.0, 1e-25, 1e25])
def test_products_are_as_near_to_float64_as_those_of_float32(scale, in_step):
    x, y = factors(scale)
    # Rows of a size of their own: each keeps its digits.
    x *= torch.logspace(-6, 6, ROWS)[:, None]
    exact = x.double() @ y.double()
    error, of_float32 = (
        ((found - exact) / exact.abs().amax(1, keepdim=True)).abs().max() for found in (multiply(x, y, in_step), x @ y)
    )
    assert error <= 3 * of_float32 < 1e-5


def test_what_is_no_finite_number_stays_in_its_row():
    x, y = factors()
    x[2, 5], x[3, 7], x[4, 9] = torch.inf, -torch.inf, torch.nan
    # Of a number with few digits the other parts are zero.
    y[5] = y[5].sign()
    y[6, 4] = torch.inf
    found, expected = multiply(x, y, True), x @ y
    torch.testing.assert_close(found, expected, equal_nan=True)
    assert found[2:4, :4].isinf().all()
    assert found[4].isnan().all()
    assert found[5:, 4].isinf().all()
    assert multiply(x, y, False)[2:5].isnan().all()


def test_infinities_of_both_signs_and_times_zero_make_no_number():
    x, y = factors()
    x[1, :2], x[2, 3], y[3, 8] = torch.tensor([torch.inf, -torch.inf]), torch.inf, 0
    y[:2] = y[:2].abs() + 1
    found, expected = multiply(x, y, True), x @ y
    torch.testing.assert_close(found, expected, equal_nan=True)
    assert found[1].isnan().all()
    assert found[2, 8].isnan()
