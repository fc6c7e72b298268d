"""The Triton kernels, through Triton's interpreter (or on a GPU, with TRITON_INTERPRET=0), against a float64 loop."""

import functools
import itertools

import pytest
import torch

pytest.importorskip("triton")

from rnnbench.lit_models.scan.contract import Grads, Needs, Operands
from rnnbench.lit_models.scan.triton import plan
from rnnbench.lit_models.scan.triton.lstm import TritonLSTMKernel
from rnnbench.lit_models.scan.triton.residual import TritonResidualKernel
from tests.lit_models.scan.scanned import GPU as DEVICE
from tests.lit_models.scan.scanned import HAS_TRITON, INTERPRETED

if not HAS_TRITON:
    pytest.skip("neither an interpreter (TRITON_INTERPRET=1) nor a GPU", allow_module_level=True)

ACTIVATIONS = {"tanh": torch.tanh, "relu": torch.relu, "identity": lambda a: a}
#: Instances, sequences, steps, units, inputs, instances with inputs of their own.
SIZES = [(2, 5, 4, 6, 1, 1), (1, 3, 7, 18, 3, 1), (2, 4, 1, 2, 2, 2), (3, 1, 5, 4, 40, 3)]


@pytest.fixture(params=[False, True], ids=["few", "many"])
def many(request, monkeypatch):
    """With many sequences tensor cores multiply, 16 sequences a block."""
    if request.param:
        monkeypatch.setattr(plan, "_MANY", 1)
        monkeypatch.setattr(plan, "_MANY_GATED", 1)
    assert plan.make_plan(18, 1).dot == request.param
    return request.param


@pytest.fixture(autouse=True)
def short_chunks(monkeypatch):
    """Several chunks of time, and several sequences a block."""
    monkeypatch.setattr(plan, "_CHUNK_BYTES", 0)
    monkeypatch.setattr(plan, "_CHUNKS", 2)
    monkeypatch.setattr(plan, "_FULL", 1)


def loop_residual(kernel, inputs, state, weights):
    """The definition, in plain operations: outputs [T, M, N, B] and the final state [M, B, N]."""
    weight, input_weight, bias, gamma, own, cross, dense = weights
    act, outputs = ACTIVATIONS[kernel.activation], []
    for s in inputs.unbind(0):
        coupling = act(state @ weight.mT + s @ input_weight.mT + bias[:, None])
        if kernel.form == "plain":
            state = coupling
        else:
            residual = state @ dense.mT if dense is not None else own[:, None] * state
            if cross is not None:
                even, odd = state[..., 0::2], state[..., 1::2]
                residual = residual + cross[:, None] * torch.stack([odd, even], -1).flatten(-2)
            state = (act(residual) if kernel.form == "A" else residual) + gamma[:, None] * coupling
        outputs.append(state)
    return torch.stack(outputs).mT, state


def loop_lstm(inputs, state, weights):
    (weight,), (hidden, cell), outputs = weights, state.chunk(2, -1), []
    for s in inputs.unbind(0):
        s = s.expand(len(weight), -1, -1)
        write, keep, read, candidate = (torch.cat([hidden, s, torch.ones_like(s[..., :1])], -1) @ weight.mT).chunk(
            4, -1
        )
        cell = keep.sigmoid() * cell + write.sigmoid() * candidate.tanh()
        hidden = read.sigmoid() * cell.tanh()
        outputs.append(hidden)
    return torch.stack(outputs).mT, torch.cat([hidden, cell], -1)


def cotangents(outputs, final):
    """Gradients of outputs and final state; each element's is another, none is small by chance."""
    return tuple(
        torch.linspace(-1, 1.5, each.numel(), dtype=torch.float64).reshape(each.shape) for each in (outputs, final)
    )


def by_loop(loop, dtype, inputs, state, weights, last):
    """Values and all gradients of the loop, computed in ``dtype``."""
    inputs, state, *weights = (
        None if each is None else each.to(dtype).requires_grad_() for each in (inputs, state, *weights)
    )
    outputs, final = loop(inputs, state, weights)
    by_outputs, by_final = (each.to(dtype) for each in cotangents(outputs, final))
    loss = (final * by_final).sum() + (0 if last else (outputs * by_outputs).sum())
    wanted = [each for each in (inputs, state, *weights) if each is not None]
    gradients = torch.autograd.grad(loss, wanted, materialize_grads=True)
    return [*([] if last else [outputs]), final, *gradients]


def by_kernels(kernel, inputs, state, weights, last):
    inputs, state, *weights = (None if each is None else each.to(DEVICE) for each in (inputs, state, *weights))
    outputs, final, stores = kernel.forward(Operands(inputs, state, weights), True, not last)
    assert (outputs.numel() == 0) == last
    shape = (len(inputs), *state.mT.shape) if last else outputs.shape
    by_outputs, by_final = (each.float().to(DEVICE) for each in cotangents(torch.empty(shape), final))
    needs = [True, True, *(each is not None for each in weights)]
    arriving = None if last else by_outputs
    found = kernel.backward(
        Operands(inputs, state, weights), stores, Grads(arriving, by_final), Needs(True, True, tuple(needs[2:]))
    )
    assert [each is not None for each in found] == needs
    results = [*([] if last else [outputs]), final, *(each for each in found if each is not None)]
    return [each.cpu().double() for each in results]


def errors(kernel, loop, inputs, state, weights, last=False):
    """The largest relative errors of the kernels and of the float32 loop, of each value and each gradient."""
    arguments = (inputs, state, weights, last)
    exact, single = (by_loop(loop, dtype, *arguments) for dtype in (torch.float64, torch.float32))
    ours = by_kernels(kernel, *arguments)
    assert [each.shape for each in ours] == [each.shape for each in exact]
    scales = [true.abs().max().item() for true in exact]
    return [
        [(each - true).abs().max().item() / scale for each, true, scale in zip(found, exact, scales, strict=True)]
        for found in (ours, single)
    ]


def assert_as_near(*arguments, **others):
    """The kernels' error against float64 is at most three times that of the float32 loop (and a few roundings)."""
    for ours, theirs in zip(*errors(*arguments, **others), strict=True):
        assert ours <= 3 * theirs + 5e-7


def draw_residual(form, residual, instances, units, features, strength=0.5):
    square = (instances, units, units)
    gamma, own, cross = (strength * torch.rand(instances, units) for _ in range(3))
    if form == "plain":
        gamma = None
    return [
        torch.randn(square) / units**0.5,
        torch.randn(instances, units, features) / features**0.5,
        torch.randn(instances, units),
        gamma,
        own if residual in ("own", "cross") else None,
        cross if residual == "cross" else None,
        torch.randn(square) / units**0.5 if residual == "dense" else None,
    ]


def draw(size, state_per_unit=1):
    instances, batch, steps, units, features, copies = size
    return torch.randn(steps, copies, batch, features), torch.randn(instances, batch, state_per_unit * units)


CASES = [
    *(("plain", None, activation) for activation in ACTIVATIONS),
    *(
        (form, residual, activation)
        for form in ("linear", "A")
        for residual in ("own", "cross", "dense")
        for activation in ACTIVATIONS
    ),
]


def with_few_and_many(cases, usual):
    """Each case with few and with many sequences; what is not the usual one of the case with an index is slow."""
    return [
        pytest.param(*case, many, marks=[pytest.mark.slow] * (many != usual(index)))
        for many in (False, True)
        for index, case in enumerate(cases)
    ]


@pytest.mark.parametrize(
    ("form", "residual", "activation", "number", "many"),
    with_few_and_many([(*case, number) for number, case in enumerate(CASES)], lambda index: index // 3 % 2 == 1),
    indirect=["many"],
)
def test_residual_family_is_as_near_to_float64_as_the_float32_loop(form, residual, activation, number, many):
    kernel, size = TritonResidualKernel(form, activation), SIZES[number % len(SIZES)]
    weights = draw_residual(form, residual, size[0], size[3], size[4])
    loop = functools.partial(loop_residual, kernel)
    assert_as_near(kernel, loop, *draw(size), weights, last=number % 2 == 1)


@pytest.mark.parametrize(
    ("last", "size", "many"),
    with_few_and_many(list(itertools.product([True, False], SIZES)), lambda index: (index + index // 4) % 2 == 1),
    indirect=["many"],
)
def test_lstm_is_as_near_to_float64_as_the_float32_loop(size, last, many):
    weight = torch.randn(size[0], 4 * size[3], size[3] + size[4] + 1) / size[3] ** 0.5
    assert_as_near(TritonLSTMKernel(), loop_lstm, *draw(size, 2), [weight], last)


@pytest.mark.parametrize(("form", "residual"), [("plain", None), ("A", "cross"), ("linear", "dense"), ("A", "dense")])
def test_residual_family_with_streamed_weights(form, residual, monkeypatch):
    monkeypatch.setattr(plan, "LARGEST_TILE", 16)
    kernel, size = TritonResidualKernel(form, "tanh"), (2, 3, 3, 20, 1, 1)
    assert plan.make_plan(20, 6).block == 8
    loop = functools.partial(loop_residual, kernel)
    assert_as_near(kernel, loop, *draw(size), draw_residual(form, residual, 2, 20, 1))


def test_lstm_with_streamed_weights(monkeypatch):
    monkeypatch.setattr(plan, "LARGEST_TILE", 16)
    assert_as_near(TritonLSTMKernel(), loop_lstm, *draw((1, 3, 3, 18, 1, 1), 2), [torch.randn(1, 72, 20) / 4])


def draw_rotation(steps):
    """A rotation by all angles, weakly coupled: errors of the state stay and add up."""
    units, angle = 8, torch.linspace(0.1, 3.0, 4).repeat_interleave(2)[None]
    weights = draw_residual("linear", "cross", 1, units, 1)
    weights[3] = torch.full((1, units), 0.05)
    weights[4] = angle.cos()
    weights[5] = angle.sin() * torch.tensor([-1.0, 1.0]).repeat(units // 2)
    return draw((1, 3, steps, units, 1, 1)), weights


@pytest.mark.parametrize("steps", [60, pytest.param(784, marks=pytest.mark.slow)])
def test_a_long_rotation_trajectory(steps, many, monkeypatch):
    (inputs, state), weights = draw_rotation(steps)
    kernel = TritonResidualKernel("linear", "tanh")
    loop = functools.partial(loop_residual, kernel)
    # How rounding errors add up is chance in each value: they are compared all together, by their root mean square.
    ours, theirs = (torch.tensor(each).square().mean().sqrt() for each in errors(kernel, loop, inputs, state, weights))
    assert ours <= 3 * theirs


def test_a_coupling_of_zero_leaves_the_weights_without_gradient():
    (inputs, state), weights = draw_rotation(5)
    weights[3] = torch.zeros(1, 8)
    weights = [None if each is None else each.to(DEVICE) for each in weights]
    kernel = TritonResidualKernel("linear", "tanh")
    inputs, state = inputs.to(DEVICE), state.to(DEVICE)
    _, final, stores = kernel.forward(Operands(inputs, state, weights), True, False)
    needs = Needs(True, True, (True,) * 6 + (False,))
    found = kernel.backward(Operands(inputs, state, weights), stores, Grads(None, torch.ones_like(final)), needs)
    _, by_state, by_weight, by_input_weight, by_bias, by_gamma, *_ = found
    assert not any(each.any() for each in (by_weight, by_input_weight, by_bias))
    assert by_gamma.abs().min() > 0
    # A rotation keeps lengths.
    torch.testing.assert_close(by_state.pow(2).sum(-1), torch.full_like(by_state[..., 0], 8.0))


@pytest.mark.parametrize("name", ["tanh", "sigmoid"])
def test_activations_are_exact_to_a_few_roundings_and_saturate(name):
    import triton
    import triton.language as tl

    from rnnbench.lit_models.scan.triton import primitives

    activation = getattr(primitives, name)

    @triton.jit
    def kernel(values, results, SIZE: tl.constexpr):
        place = tl.arange(0, SIZE)
        tl.store(results + place, activation(tl.load(values + place)))

    ends = torch.tensor([0.0, 0.6, 1e-30, 20.0, 90.0, 1e4, torch.inf])
    values = torch.cat([torch.linspace(-12, 12, 1024 - 15), ends, -ends, torch.tensor([torch.nan])]).to(DEVICE)
    results = torch.empty_like(values)
    globals().update(activation=activation)
    kernel[(1,)](values, results, SIZE=len(values))
    expected = getattr(torch, name)(values.double())
    # A GPU's exp(x) is off by a rounding of x as well.
    rtol = 3e-7 if INTERPRETED or name == "tanh" else 3e-6
    torch.testing.assert_close(results.double(), expected, rtol=rtol, atol=1e-37, equal_nan=True)
    if name == "tanh":
        # Gradients take what is missing to one, of which rounding to the nearest leaves half.
        flat = values.abs() > 2
        rtol = 6e-8 if INTERPRETED else 1e-7
        torch.testing.assert_close(results.double()[flat], expected[flat], rtol=rtol, atol=0)


@pytest.mark.parametrize("wanted", range(9))
def test_one_gradient_may_be_all_that_is_wanted(wanted, many):
    inputs, state = draw((1, 2, 4, 4, 1, 1))
    weights = draw_residual("A", "cross", 1, 4, 1)
    kernel = TritonResidualKernel("A", "tanh")
    arguments = [None if each is None else each.to(DEVICE) for each in (inputs, state, *weights)]
    given = Operands(*arguments[:2], arguments[2:])
    _, final, stores = kernel.forward(given, True, False)
    every = [each is not None for each in arguments]
    only = [index == wanted and each for index, each in enumerate(every)]
    found, alone = (
        kernel.backward(given, stores, Grads(None, torch.ones_like(final)), Needs(*needs[:2], tuple(needs[2:])))
        for needs in (every, only)
    )
    assert [each is not None for each in alone] == only
    for one, other in zip(alone, found, strict=True):
        # Another kernel is compiled for what is wanted, which may contract other products and sums into one rounding.
        if one is not None:
            torch.testing.assert_close(one, other, rtol=0 if INTERPRETED else 1e-6, atol=0 if INTERPRETED else 1e-6)


def test_without_a_backward_nothing_is_stored_and_values_are_the_same():
    inputs, state = (each.to(DEVICE) for each in draw((2, 3, 4, 6, 1, 1)))
    weights = [None if each is None else each.to(DEVICE) for each in draw_residual("linear", "own", 2, 6, 1)]
    kernel = TritonResidualKernel("linear", "tanh")
    outputs, final, stores = kernel.forward(Operands(inputs, state, weights), True, True)
    bare_outputs, bare_final, nothing = kernel.forward(Operands(inputs, state, weights), False, False)
    assert (bare_outputs.numel(), nothing) == (0, [])
    assert sum(each.numel() for each in stores) == 2 * 3 * plan.widen(6) * (4 + 5)
    torch.testing.assert_close(bare_final, final, rtol=0, atol=0)
    torch.testing.assert_close(outputs[-1].mT, final, rtol=0, atol=0)


def test_layout_of_every_size_is_a_power_of_two_that_holds_the_units():
    for units in range(1, 513):
        for sequences in (1, 128, 300, 2048):
            for gates, matrices in ((1, 1), (1, 2), (4, 1)):
                made = plan.make_plan(units, sequences, gates, matrices)
                assert units <= made.padded < max(17, 2 * units)
                assert made.padded.bit_count() == made.rows.bit_count() == made.warps.bit_count() == 1
                assert (made.block == 0) == (gates * made.padded**2 <= 128 * 128)
                assert made.dot == (sequences == 2048 and matrices * gates * made.padded**2 <= 128 * 128)
                assert made.padded % max(1, made.block) == 0
