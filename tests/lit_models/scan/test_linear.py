"""The scan of diagonal linear recurrences against the loop that it stands for."""

import functools

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.func import jacfwd, jacrev, vmap

from rnnbench.lit_models.scan.linear import diagonal
from rnnbench.lit_models.scan.linear.diagonal import diagonal_scan

close = functools.partial(torch.testing.assert_close, atol=1e-11, rtol=1e-11)
TYPES = {"real": torch.float64, "complex": torch.complex128}
# Torch compiles its own forward-mode rules with torch.jit.script when the first one is used.
pytestmark = pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated:DeprecationWarning")


def loop(decay: torch.Tensor, inputs: torch.Tensor, state: torch.Tensor) -> torch.Tensor:
    states = []
    for step in inputs.unbind(0):
        state = decay * state + step
        states.append(state)
    return torch.stack(states)


def draw(dtype: torch.dtype, *shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, dtype=dtype, generator=torch.Generator().manual_seed(seed))


def unit(values: torch.Tensor) -> torch.Tensor:
    return values / values.abs()


def values_and_gradients(scan, decay, inputs, state):
    arguments = [value.detach().clone().requires_grad_() for value in (decay, inputs, state)]
    states = scan(*arguments)
    weights = draw(states.dtype, *states.shape, seed=9)
    return states, torch.autograd.grad((states * weights).abs().square().sum(), arguments)


@pytest.mark.parametrize("kind", TYPES)
@given(steps=st.integers(1, 150), batch=st.integers(1, 4), units=st.sampled_from([1, 3, 400]), seed=st.integers(0, 99))
def test_equals_the_loop(kind: str, steps: int, batch: int, units: int, seed: int) -> None:
    dtype = TYPES[kind]
    decay = unit(draw(dtype, units, seed=seed)) * torch.linspace(0, 1.01, units)
    arguments = decay, draw(dtype, steps, batch, units, seed=seed + 1), draw(dtype, batch, units, seed=seed + 2)
    close(values_and_gradients(diagonal_scan, *arguments), values_and_gradients(loop, *arguments))


def test_both_scans_are_used(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    for name in ("_one_by_one", "_in_blocks"):
        scan = getattr(diagonal, name)
        monkeypatch.setattr(diagonal, name, lambda *given, name=name, scan=scan: (seen.append(name), scan(*given)))
    for batch in (1, 400):
        diagonal_scan(torch.ones(3), torch.ones(100, batch, 3), torch.zeros(batch, 3))
    assert seen[0] == "_in_blocks"
    assert seen[-1] == "_one_by_one"
    assert seen.count("_in_blocks") == 1


@pytest.mark.parametrize("dims", [(0, 1, 0), (0, None, None), (None, 2, None), (None, None, 1)])
@pytest.mark.parametrize("steps", [5, 80])
def test_instances_equal_one_by_one(dims: tuple[int | None, ...], steps: int) -> None:
    arguments = []
    for shape, dim in zip(((4,), (steps, 2, 4), (2, 4)), dims, strict=True):
        value = draw(torch.complex128, *shape[: dim or 0], *([3] if dim is not None else []), *shape[dim or 0 :])
        arguments.append((value / 3).requires_grad_())
    together = vmap(diagonal_scan, dims)(*arguments)
    alone = torch.stack(
        [loop(*(v if d is None else v.select(d, i) for v, d in zip(arguments, dims, strict=True))) for i in range(3)]
    )
    close(together, alone)
    gradients = [torch.autograd.grad(each.abs().square().sum(), arguments) for each in (together, alone)]
    close(*gradients)


@pytest.mark.parametrize("kind", TYPES)
def test_derivatives_of_every_kind(kind: str) -> None:
    dtype = TYPES[kind]
    shapes = ((2,), (4, 2, 2), (2, 2))
    arguments = tuple((draw(dtype, *shape, seed=i) / 2).requires_grad_() for i, shape in enumerate(shapes))
    assert torch.autograd.gradcheck(diagonal_scan, arguments, check_forward_ad=True)
    assert torch.autograd.gradgradcheck(diagonal_scan, arguments)


def test_jacobians_forward_and_reverse_agree() -> None:
    arguments = draw(torch.float64, 3) / 2, draw(torch.float64, 70, 2, 3), draw(torch.float64, 2, 3)
    for i in range(3):
        forward = jacfwd(diagonal_scan, argnums=i)(*arguments)
        close(forward, jacrev(diagonal_scan, argnums=i)(*arguments))
        close(forward, jacrev(loop, argnums=i)(*arguments))


@pytest.mark.parametrize("batch", [1, 64], ids=["in blocks", "one by one"])
def test_single_precision_on_the_unit_circle_over_many_steps(batch: int) -> None:
    decay = unit(draw(torch.complex64, 20))
    inputs, state = draw(torch.complex64, 5_000, batch, 20), draw(torch.complex64, batch, 20)
    # The modulus that rounding leaves counts over this length: both scan with the same eigenvalues.
    exact = diagonal_scan(*(value.to(torch.complex128) for value in (decay, inputs, state)))
    found = diagonal_scan(decay, inputs, state)
    assert (found - exact).abs().max() <= 1e-4 * exact.abs().max()


def test_a_gradient_of_the_last_state_vanishes_instead_of_staying_denormal() -> None:
    inputs = torch.zeros(784, 64, 32, requires_grad=True)
    diagonal_scan(torch.full((32,), 0.7), inputs, torch.zeros(64, 32))[-1].sum().backward()
    assert inputs.grad[-1].eq(1).all()
    assert not inputs.grad[:300].any()


def test_impossible_arguments_are_refused() -> None:
    ones = torch.ones(2)
    with pytest.raises(ValueError, match=r"one type, got .*float64"):
        diagonal_scan(ones.double(), torch.ones(3, 2), ones)
    with pytest.raises(ValueError, match="at least one step"):
        diagonal_scan(ones, torch.ones(0, 2), ones)
