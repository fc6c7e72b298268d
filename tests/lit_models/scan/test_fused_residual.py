"""The hand-derived scan of the residual family and the Elman network against the loop over ``step``."""

import functools
import itertools
from collections.abc import Callable

import pytest
import torch
from torch.func import functional_call, grad, jacrev, vmap

from rnnbench.lit_models.ensemble import Ensemble
from rnnbench.lit_models.network import Network
from rnnbench.lit_models.recurrence import Recurrence
from rnnbench.lit_models.recurrences.elman import ElmanRNN
from rnnbench.lit_models.recurrences.wcrnn import FORMS, RESIDUALS, WCRNN
from rnnbench.lit_models.scan.contract import Operands
from rnnbench.lit_models.scan.eager.residual import ResidualKernel
from rnnbench.lit_models.scan.eager.residual_map import ResidualMap
from rnnbench.lit_models.scan.eager.state_rows import CHUNK, StateRows
from rnnbench.lit_models.scan.policy import BackendName, use_backend
from tests.lit_models.scan.against_loop import takes_loop

UNITS = 32
close = functools.partial(torch.testing.assert_close, atol=1e-10, rtol=1e-10)
Build = Callable[[int], Recurrence]


def wcrnn(form: str, residual: str, activation: str, features: int) -> Recurrence:
    """A network with a strong coupling, each unit of which has its own constants where they may differ."""
    phi = (0.1, 3.0) if residual.startswith("rotation") else 0.0
    r = (0.4, 0.9) if residual.endswith("diagonal") else 0.7
    gamma = (0.1, 0.5)
    return WCRNN(features, UNITS, residual, r=r, phi=phi, gamma=gamma, form=form, activation=activation).double()


def elman(activation: str, features: int) -> Recurrence:
    return ElmanRNN(features, UNITS, time_activation=activation).double()


BUILDERS = [
    *(
        pytest.param(functools.partial(wcrnn, *choice), id="-".join(choice))
        for choice in itertools.product(FORMS, RESIDUALS, ("tanh", "identity"))
    ),
    *(pytest.param(functools.partial(elman, name), id=f"elman-{name}") for name in ("tanh", "relu", "identity")),
]
for_all = pytest.mark.parametrize("build", BUILDERS)
both_scans = pytest.mark.parametrize("name", ["eager", "native"])
DIAGONAL = functools.partial(wcrnn, "linear", "diagonal", "tanh")


def run(
    name: str, recurrence: Recurrence, inputs: torch.Tensor, state: torch.Tensor, last: bool = True
) -> tuple[torch.Tensor, ...]:
    """Values and the gradients of everything, buffers too, for a loss that weighs all that is returned."""
    buffers = [buffer.requires_grad_() for buffer in recurrence.buffers()]
    leaves = [leaf.requires_grad_() for leaf in (inputs, state)]
    with use_backend(name):
        values = (recurrence.forward_last if last else recurrence)(inputs, state)
    weights = torch.linspace(-1, 1, UNITS, dtype=values[0].dtype)
    loss = sum((value.square() * weights).sum() for value in values)
    return *values, *torch.autograd.grad(loss, [*leaves, *buffers, *recurrence.parameters()], materialize_grads=True)


def data(steps: int, batch: int, features: int) -> tuple[torch.Tensor, torch.Tensor]:
    return torch.randn(steps, batch, features).double(), torch.randn(batch, UNITS).double()


@for_all
@pytest.mark.parametrize("features", [2, 5], ids=["few inputs", "many inputs"])
@pytest.mark.parametrize(
    ("steps", "batch", "last"), [(1, 5, True), (CHUNK, 5, False), (2 * CHUNK + 3, 20, True), (2 * CHUNK + 3, 3, False)]
)
@both_scans
def test_is_the_loop(build: Build, features: int, steps: int, batch: int, last: bool, name: BackendName) -> None:
    recurrence = build(features)
    inputs, state = data(steps, batch, features)
    found, expected = (run(name, recurrence, inputs, state, last) for name in (name, "loop"))
    close(found, expected)
    assert all(gradient.abs().max() > 0 for gradient in found[2:])


@for_all
@pytest.mark.parametrize("size", [1, 3])
@pytest.mark.parametrize("readout", ["last", "every"])
@pytest.mark.parametrize("features", [1, 5], ids=["few inputs", "many inputs"])
def test_ensemble_is_the_loop(build: Build, size: int, readout: str, features: int) -> None:
    ensemble = Ensemble([Network(build(features), 3, readout).double() for _ in range(size)])
    inputs = torch.randn(4, CHUNK + 2, features).double().requires_grad_()
    found = []
    for name in ("eager", "native", "loop"):
        with use_backend(name):
            outputs = ensemble(inputs)
        found.append([outputs, *torch.autograd.grad(outputs.square().sum(), [inputs, *ensemble.parameters()])])
    close(found[0], found[2])
    close(found[1], found[2])


@for_all
def test_float32_is_as_good_as_the_loop(build: Build) -> None:
    recurrence = build(1)
    inputs, state = data(50, 9, 1)
    exact = run("loop", recurrence, inputs, state)
    single = [tensor.detach().float() for tensor in (inputs, state)]
    recurrence.float()
    for name in ("eager", "native", "loop"):
        for value, expected in zip(run(name, recurrence, *single), exact, strict=True):
            assert value.dtype == torch.float32
            assert (value - expected).abs().max() <= 2e-5 * expected.abs().max() + 1e-12


@for_all
def test_is_used(build: Build, monkeypatch: pytest.MonkeyPatch) -> None:
    recurrence = build(2)
    monkeypatch.setattr(recurrence, "advance", None)
    recurrence(data(3, 2, 2)[0])
    with use_backend("loop"), pytest.raises(TypeError, match="not callable"):
        recurrence(data(3, 2, 2)[0])


@pytest.mark.parametrize("last", [True, False], ids=["last", "every"])
@pytest.mark.parametrize("layout", ["batch first", "every other"])
@both_scans
def test_any_layout(layout: str, last: bool, name: BackendName) -> None:
    recurrence = DIAGONAL(2)
    inputs, state = data(20, 5, 2)
    strange = inputs.transpose(0, 1).contiguous().transpose(0, 1)
    if layout == "every other":
        strange = torch.stack([inputs, inputs], -1).flatten(-2)[..., ::2]
    assert not strange.is_contiguous()
    turned = state.t().contiguous().t()
    close(run(name, recurrence, strange, turned, last), run(name, recurrence, inputs, state, last))


def test_nested_instances() -> None:
    recurrence = DIAGONAL(2)
    inputs, states = torch.randn(2, 5, 4, 2).double(), torch.randn(4, 4, UNITS).double()
    wanted = list(recurrence.parameters())

    def of_all() -> list[torch.Tensor]:
        final = vmap(lambda x: vmap(lambda state: recurrence.forward_last(x, state)[1])(states))(inputs)
        other = vmap(lambda state: vmap(lambda x: recurrence(x, state)[0])(inputs))(states)
        return [final, other, *torch.autograd.grad(final.square().sum() + other.square().sum(), wanted)]

    with use_backend("loop"):
        expected = of_all()
    close(of_all(), expected)


def test_functional_gradient() -> None:
    recurrence = DIAGONAL(2)
    inputs = data(5, 5, 2)[0]
    values = {name: value.detach() for name, value in recurrence.named_parameters()}

    def loss(values: dict[str, torch.Tensor]) -> torch.Tensor:
        return functional_call(recurrence, values, (inputs,))[0].square().sum()

    with use_backend("loop"):
        expected = grad(loss)(values)
    close(grad(loss)(values), expected)
    with pytest.raises(RuntimeError, match="no second derivative"):
        grad(lambda values: grad(loss)(values)["recurrent_map.weight"].square().sum())(values)


def test_batched_gradient() -> None:
    recurrence = DIAGONAL(2)
    inputs = data(5, 5, 2)[0]
    values = {name: value.detach() for name, value in recurrence.named_parameters()}

    def jacobian() -> dict[str, torch.Tensor]:
        return jacrev(lambda values: functional_call(recurrence, values, (inputs,))[1][0])(values)

    with use_backend("loop"):
        expected = jacobian()
    close(jacobian(), expected)


def test_backward_again() -> None:
    recurrence = DIAGONAL(1)
    loss = recurrence(data(20, 4, 1)[0])[0].square().sum()
    wanted = list(recurrence.parameters())
    first = torch.autograd.grad(loss, wanted, retain_graph=True)
    assert all(map(torch.equal, torch.autograd.grad(loss, wanted), first))
    with pytest.raises(RuntimeError, match="a second time"):
        torch.autograd.grad(loss, wanted)


def test_two_graphs_alive() -> None:
    recurrence = DIAGONAL(1)
    wanted = list(recurrence.parameters())
    losses = [recurrence(inputs)[1].square().sum() for inputs in (data(20, 4, 1)[0], data(20, 4, 1)[0])]
    with use_backend("loop"):
        expected = torch.autograd.grad(sum(losses), wanted, retain_graph=True)
    separate = [torch.autograd.grad(loss, wanted) for loss in losses]
    close([sum(each) for each in zip(*separate, strict=True)], list(expected))


@for_all
@pytest.mark.parametrize("last", [True, False], ids=["last", "every"])
@both_scans
def test_little_is_stored(build: Build, last: bool, name: BackendName) -> None:
    recurrence, batch, steps = build(1), 8, 40 * CHUNK
    held: dict[int, int] = {}

    def note(tensor: torch.Tensor) -> torch.Tensor:
        held[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor), use_backend(name):
        values = recurrence.forward_last(data(steps, batch, 1)[0]) if last else recurrence(data(steps, batch, 1)[0])
    outputs = 0 if last else values[0].untyped_storage().nbytes()
    assert sum(held.values()) + outputs <= 2.2 * steps * batch * UNITS * 8


def test_nothing_is_stored_without_gradients() -> None:
    shapes = [(40, 1, 2, 1), (3, 2, 4), (3, 4, 4), (3, 4, 1), (3, 4), (3, 4), (3, 4)]
    inputs, state, *weights = map(torch.ones, shapes)
    kernel = ResidualKernel("linear")
    *_, nothing = kernel.forward(Operands(inputs, state, [*weights, None, None]), store=False, keep_outputs=False)
    assert nothing == []
    *_, stored = kernel.forward(Operands(inputs, state, [*weights, None, None]), store=True, keep_outputs=False)
    assert [len(each) for each in stored] == [3, 40]


def test_left_to_the_loop() -> None:
    recurrence = DIAGONAL(1)
    inputs, state = data(3, 2, 1)
    assert not takes_loop(recurrence, inputs, state)
    assert takes_loop(recurrence, inputs[:0], state)
    assert takes_loop(recurrence.bfloat16(), inputs.bfloat16(), state.bfloat16())


@pytest.mark.parametrize("batch", [3, 20], ids=["small batch", "large batch"])
@pytest.mark.parametrize("kind", ["own", "cross", "dense"])
def test_residual_map_and_its_transpose_are_adjoint(kind: str, batch: int) -> None:
    own, cross, dense = torch.randn(2, 6), torch.randn(2, 6), torch.randn(2, 6, 6)
    parts = {"own": (own, None, None), "cross": (own, cross, None), "dense": (None, None, dense)}[kind]
    rows = StateRows(torch.zeros(1, 1, batch, 1).double(), torch.zeros(2, batch, 6).double())
    residual = ResidualMap(rows, *(None if part is None else part.double() for part in parts))
    x, y, image, back = residual.split(rows.new(4, rows.rows).normal_())
    image.whole.zero_()
    residual.add(x, image)
    residual.set_transposed(y, back)
    assert not rows.layout.slice(back.whole, rows.units, None).any()
    close(*((rows.units_of(a.whole) * rows.units_of(b.whole)).sum() for a, b in ((image, y), (x, back))))
