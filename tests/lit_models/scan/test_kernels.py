"""Every kernel of every backend against the loop over steps: values, gradients, what is kept, what is refused."""

import copy

import pytest
import torch
from torch.func import functional_call, grad, jacrev, vmap

from rnnbench.lit_models.ensemble import Ensemble
from rnnbench.lit_models.network import Network
from rnnbench.lit_models.recurrences.multiplicative_integration import MIRNN
from rnnbench.lit_models.recurrences.second_order import SecondOrderRNN
from rnnbench.lit_models.recurrences.stacked import StackedRNN
from rnnbench.lit_models.scan.contract import Operands
from rnnbench.lit_models.scan.eager.residual import ResidualKernel
from rnnbench.lit_models.scan.eager.residual_map import ResidualMap
from rnnbench.lit_models.scan.eager.state_rows import CHUNK, StateRows
from rnnbench.lit_models.scan.policy import use_backend
from tests.lit_models.scan.scanned import BUILDERS, CASES, KEPT, Scanned, gradients, takes_loop

DIAGONAL = Scanned("eager", "WCRNN linear diagonal tanh")
#: One of each kernel, for what does not depend on the recurrence's options.
KINDS = ("LSTM", "GRU", "UR-LSTM", "CP tanh", "Elman relu", "WCRNN linear diagonal tanh")
ONE_OF_EACH = [case for case in CASES if case.name in KINDS]


def over(cases, slow=()):
    marked = [pytest.param(case, marks=[pytest.mark.slow] * (case in slow)) for case in cases]
    return pytest.mark.parametrize("scanned", marked, indirect=True, ids=lambda case: f"{case.backend}-{case.name}")


# What all kernels of a backend share takes long through the interpreter: one of Triton's will do.
one_of_each = over(
    ONE_OF_EACH, slow=[case for case in ONE_OF_EACH if case.backend == "triton" and "Elman" not in case.name]
)
on_a_cpu = over([case for case in ONE_OF_EACH if case.backend != "triton"])
SINGLE = ("WCRNN linear rotation_diagonal tanh", "WCRNN A diagonal tanh", "WCRNN A orthogonal tanh")


#: Steps, sequences and features; few or many inputs. Triton's own are in test_triton_kernels.
SIZES = {
    "eager": [
        (steps, batch, features) for steps, batch in ((1, 5), (2 * CHUNK + 3, 4), (CHUNK, 20)) for features in (2, 5)
    ],
    "triton": [(4, 3, 2)],
}
#: Every length and every number of features is in another size too.
SLOW_SIZES = ((1, 5, 5), (CHUNK, 20, 2))


@pytest.mark.parametrize("last", [True, False], ids=["last", "every"])
@pytest.mark.parametrize(
    ("scanned", "steps", "batch", "features"),
    [
        pytest.param(
            case,
            *size,
            marks=[pytest.mark.slow] * (size in SLOW_SIZES),
            id=f"{case.backend}-{case.name}-{'-'.join(map(str, size))}",
        )
        for case in CASES
        for size in SIZES.get(case.backend, SIZES["eager"])
    ],
    indirect=["scanned"],
)
def test_alone_from_any_state(scanned, steps, batch, features, last):
    recurrence = scanned.build(features)
    # Batch-major at the door: what the recurrence sees is not contiguous.
    inputs, state = scanned.draw(batch, steps, features), scanned.draw(batch, recurrence.state_size)
    buffers = [buffer.requires_grad_() for buffer in recurrence.buffers()]

    def compute():
        run = recurrence.forward_last if last else recurrence
        wanted = [inputs, state, *buffers, *recurrence.parameters()]
        return gradients(run(inputs.transpose(0, 1), state), wanted)

    found = scanned.check(compute)
    assert all(gradient.abs().max() > 0 for gradient in found[2 : 4 + len(buffers)])


@pytest.mark.parametrize(
    ("scanned", "size", "readout"),
    [
        # By default each of a kernel's two ways has one of the sizes.
        pytest.param(
            case,
            size,
            readout,
            marks=[pytest.mark.slow] * ((size == 1) != (readout == "last")),
            id=f"{case.backend}-{case.name}-{size}-{readout}",
        )
        for case in CASES
        for size in (1, 3)
        for readout in ("last", "every")
    ],
    indirect=["scanned"],
)
def test_an_ensemble(scanned, size, readout):
    batch, steps = (3, 4) if scanned.backend == "triton" else (9, CHUNK + 2)
    ensemble = Ensemble([Network(scanned.build(), 3, readout).to(**scanned.like) for _ in range(size)])
    inputs = scanned.draw(batch, steps, 2)
    scanned.check(lambda: gradients([ensemble(inputs)], [inputs, *ensemble.parameters()]))


@pytest.mark.parametrize("name", [case.name for case in ONE_OF_EACH if case.backend == "eager"])
def test_sizes_of_one(name):
    scanned, recurrence = Scanned("eager", name), BUILDERS[name](1, 1).double()
    inputs, state = scanned.draw(1, 1, 1), scanned.draw(1, recurrence.state_size)
    scanned.check(lambda: gradients(recurrence(inputs, state), [inputs, state, *recurrence.parameters()]))


@on_a_cpu
def test_many_steps_span_several_stores(scanned, monkeypatch):
    monkeypatch.setattr("rnnbench.lit_models.scan.eager.layout._STORE_BYTES", 4000)
    ensemble = Ensemble([Network(scanned.build(), 3, "last").double() for _ in range(2)])
    inputs = scanned.draw(5, 70, 2)
    scanned.check(lambda: gradients([ensemble(inputs)], [inputs, *ensemble.parameters()]))


@on_a_cpu
def test_inputs_and_states_may_be_strided_or_expanded(scanned):
    recurrence, state = scanned.build(), scanned.draw(scanned.build().state_size, 5).t()
    strided, expanded = scanned.draw(5, 2, 12).permute(2, 0, 1)[::2], scanned.draw(6, 1, 2).expand(6, 5, 2)
    for inputs in (strided, expanded):
        scanned.check(lambda inputs=inputs: gradients(recurrence(inputs, state), list(recurrence.parameters())))


@on_a_cpu
@pytest.mark.parametrize("wanted", ["inputs", "state", "a weight", "of some outputs"])
def test_one_kind_of_gradient_may_be_all_that_is_wanted(scanned, wanted):
    recurrence = scanned.build().requires_grad_(False)
    inputs, state = scanned.draw(5, 5, 2).detach(), scanned.draw(5, recurrence.state_size).detach()
    tensor = {"inputs": inputs, "state": state}.get(wanted, next(recurrence.parameters())).requires_grad_()
    pick = (lambda: recurrence(inputs, state)[0][2]) if wanted == "of some outputs" else lambda: recurrence(inputs)[1]
    if wanted == "state":
        pick = lambda: recurrence.forward_last(inputs, state)[1]  # noqa: E731
    scanned.check(lambda: gradients([pick()], [tensor]))


@on_a_cpu
def test_frozen_parts_get_no_gradient_and_the_rest_does(scanned):
    ensemble = Ensemble([Network(scanned.build(), 3, "last").double() for _ in range(2)])
    frozen = next(ensemble.network.recurrence.parameters()).requires_grad_(False)
    trained = [parameter for parameter in ensemble.parameters() if parameter.requires_grad]
    inputs = scanned.draw(4, 7, 2)
    scanned.check(lambda: gradients([ensemble(inputs)], trained))
    ensemble(inputs).square().sum().backward()
    assert frozen.grad is None


@on_a_cpu
@pytest.mark.parametrize("size", [1, 3])
def test_layers_on_each_other_in_an_ensemble(scanned, size):
    def stack():
        return StackedRNN(2, lambda features: BUILDERS[scanned.name](features, scanned.units), num_layers=2)

    ensemble = Ensemble([Network(stack(), 3, "last").double() for _ in range(size)])
    inputs = scanned.draw(4, 7, 2)
    scanned.check(lambda: gradients([ensemble(inputs)], [inputs, *ensemble.parameters()]))


@on_a_cpu
def test_nested_instances_and_gradients_within_and_around_vmap(scanned):
    recurrence = scanned.build()
    own = dict(recurrence.named_parameters())
    stacks = {name: torch.randn(2, 3, *tensor.shape).double() / 3 for name, tensor in own.items()}
    inputs, states = scanned.draw(6, 4, 5, 2), scanned.draw(5, 4, recurrence.state_size)

    def loss(tensors, inputs):
        outputs, final = functional_call(recurrence, tensors, (inputs,))
        return (outputs**3).sum() + (final**2).sum()

    def summed(tensors, inputs):
        return vmap(vmap(loss, (0, None)), (0, None))(tensors, inputs).sum()

    def compute():
        finals = vmap(lambda x, h: recurrence.forward_last(x, h)[1], in_dims=(2, 0))(inputs, states)
        nested = vmap(lambda h: vmap(lambda x: recurrence(x, h)[0], in_dims=2)(inputs))(states)
        one = inputs[:, :, 0].detach()
        within = vmap(vmap(grad(loss, argnums=(0, 1)), in_dims=(0, None)), in_dims=(0, None))(stacks, one)
        around = grad(summed, argnums=(0, 1))(stacks, one)
        rows = jacrev(lambda values: functional_call(recurrence, values, (one,))[1][0, 0])(
            {name: value.detach() for name, value in own.items()}
        )
        found = gradients([finals, nested], [inputs, states, *recurrence.parameters()])
        return *found, *within[0].values(), within[1], *around[0].values(), around[1], *rows.values()

    scanned.check(compute)


@on_a_cpu
@pytest.mark.parametrize("last", [True, False], ids=["last", "every"])
def test_little_is_stored_and_nothing_without_gradients(scanned, last, monkeypatch):
    steps, batch, held = 20 * CHUNK, 8, {}
    recurrence, inputs = scanned.build(1), scanned.draw(20 * CHUNK, 8, 1).detach()

    def note(tensor):
        held[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    run = recurrence.forward_last if last else recurrence
    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor), use_backend(scanned.backend):
        outputs = run(inputs)[0]
        numbers = (sum(held.values()) + (0 if last else outputs.untyped_storage().nbytes())) / (8 * scanned.units)
        assert numbers <= (KEPT.get(scanned.name, 1) + (0 if last else 1) + 0.25) * steps * batch
        held.clear()
        with torch.no_grad():
            assert torch.equal(run(inputs)[0], outputs)
        assert torch.equal(
            copy.deepcopy(recurrence).requires_grad_(False)(inputs)[0][-1], outputs if last else outputs[-1]
        )
    assert not held


@one_of_each
def test_backward_may_be_repeated_while_other_graphs_live_and_further_derivatives_raise(scanned):
    recurrence = scanned.build()
    parameters, inputs = list(recurrence.parameters()), scanned.draw(4, 4, 2).detach()
    with use_backend(scanned.backend):
        first, second = (recurrence(scanned.draw(4, 4, 2).detach())[0].pow(2).sum() for _ in range(2))
        expected = torch.autograd.grad(first, parameters, retain_graph=True)
        torch.autograd.grad(second, parameters)
        slopes = torch.autograd.grad(first, parameters, create_graph=True)
        torch.testing.assert_close(slopes, expected, rtol=0, atol=0)
        with pytest.raises(RuntimeError, match="no second derivative"):
            sum(slope.pow(2).sum() for slope in slopes).backward()
        with pytest.raises(RuntimeError, match="no second derivative"):
            grad(lambda x: grad(lambda y: recurrence(y)[1].square().sum())(x).square().sum())(inputs)
        with pytest.raises(RuntimeError, match="no derivative in forward mode"):
            torch.func.jvp(lambda x: recurrence(x)[1], (inputs,), (inputs,))
        with pytest.raises(RuntimeError, match="no derivative in forward mode"):
            torch.func.jacfwd(lambda x: recurrence(x)[1])(inputs)


@one_of_each
def test_segments_are_computed_again(scanned):
    recurrence, inputs = scanned.build(), scanned.draw(7, 4, 2)
    with use_backend("loop"):
        expected = gradients(recurrence(inputs), [inputs, *recurrence.parameters()])
    with use_backend(scanned.backend, checkpoint_every=3):
        found = gradients(recurrence(inputs), [inputs, *recurrence.parameters()])
    tolerance = 1e-4 if scanned.backend == "triton" else 1e-10
    torch.testing.assert_close(found, expected, rtol=tolerance, atol=tolerance / 10)


@pytest.mark.parametrize("size", [1.0, 1e-3, 1e-6, 1e-8])
@pytest.mark.parametrize("batch", [9, 20])
@over([case for case in CASES if case.backend != "triton" and case.name in KINDS + SINGLE])
def test_in_single_precision_as_exact_as_the_loop_also_from_tiny_states(scanned, size, batch):
    exact = scanned.build()
    with torch.no_grad():
        for key, parameter in exact.named_parameters():
            # The gates of a UR-LSTM are biased apart; what else does not vanish with the input goes.
            if size < 1 and "bias" in key and key != "forget_bias":
                parameter.zero_()
    single = copy.deepcopy(exact).float()
    exact = copy.deepcopy(single).double()
    inputs, state = size * scanned.draw(40, batch, 2), size * scanned.draw(batch, exact.state_size)

    def compute(recurrence, dtype):
        given = [tensor.detach().to(dtype).requires_grad_() for tensor in (inputs, state)]
        return gradients(recurrence(*given), [*given, *recurrence.parameters()])

    with use_backend("loop"):
        right = compute(exact, torch.float64)
    for true, by_loop, found in zip(right, *scanned.both(lambda: compute(single, torch.float32)), strict=True):
        assert found.dtype == torch.float32
        error, of_loop = ((each - true).norm() / true.norm() for each in (found, by_loop))
        assert error <= 3 * of_loop + 1e-6


def test_left_to_the_loop():
    recurrence = DIAGONAL.build()
    inputs, state = torch.ones(5, 4, 2).double(), torch.ones(4, 32).double()
    assert not takes_loop(recurrence, inputs, state)
    assert takes_loop(recurrence, inputs[:0], state)
    assert takes_loop(recurrence.bfloat16(), inputs.bfloat16(), state.bfloat16())
    with torch.autocast("cpu", torch.bfloat16):
        assert takes_loop(recurrence.float(), inputs.float(), state.float())
    assert takes_loop(MIRNN(2, 3), torch.ones(5, 4, 2))
    assert not takes_loop(SecondOrderRNN(2, 3), torch.ones(5, 4, 2))


def test_residual_stores_first_states_of_chunks_and_activations():
    shapes = [(40, 1, 2, 1), (3, 2, 4), (3, 4, 4), (3, 4, 1), (3, 4), (3, 4), (3, 4)]
    inputs, state, *weights = map(torch.ones, shapes)
    given = Operands(inputs, state, [*weights, None, None])
    assert ResidualKernel("linear").forward(given, store=False, keep_outputs=False)[2] == []
    *_, stored = ResidualKernel("linear").forward(given, store=True, keep_outputs=False)
    assert [len(each) for each in stored] == [3, 40]


@pytest.mark.parametrize("batch", [3, 20], ids=["small batch", "large batch"])
@pytest.mark.parametrize("kind", ["own", "cross", "dense"])
def test_residual_map_and_its_transpose_are_adjoint(kind, batch):
    own, cross, dense = torch.randn(2, 6).double(), torch.randn(2, 6).double(), torch.randn(2, 6, 6).double()
    parts = {"own": (own, None, None), "cross": (own, cross, None), "dense": (None, None, dense)}[kind]
    rows = StateRows(torch.zeros(1, 1, batch, 1).double(), torch.zeros(2, batch, 6).double())
    residual = ResidualMap(rows, *parts)
    x, y, image, back = residual.split(rows.new(4, rows.rows).normal_())
    image.whole.zero_()
    residual.add(x, image)
    residual.set_transposed(y, back)
    assert not rows.layout.slice(back.whole, rows.units, None).any()
    products = ((rows.units_of(a.whole) * rows.units_of(b.whole)).sum() for a, b in ((image, y), (x, back)))
    torch.testing.assert_close(*products, atol=1e-10, rtol=1e-10)
