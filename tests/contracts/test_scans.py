"""Every registered recurrence's hand-derived scan equals the loop over its step; without one, the loop runs."""

import functools
from collections.abc import Callable
from unittest import mock

import pytest
import torch
from torch.func import functional_call, jacfwd, stack_module_state, vmap
from torch.utils.checkpoint import checkpoint

from rnnbench.lit_models.contracts import normal
from rnnbench.lit_models.ensemble import Ensemble
from rnnbench.lit_models.network import Network
from rnnbench.lit_models.recurrence import Recurrence
from rnnbench.lit_models.recurrences._state_space import StateSpaceBlock
from rnnbench.lit_models.scan.native.library import find_library
from rnnbench.lit_models.scan.policy import BackendName, use_backend
from tests.contracts.builders import INPUTS, variants

# torch compiles its own forward-mode rules with torch.jit.script when the first one is used.
pytestmark = [
    pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated:DeprecationWarning"),
    pytest.mark.parametrize(("cls", "arguments"), variants()),
]
BATCH, INSTANCES = 5, 3
close = functools.partial(torch.testing.assert_close, atol=1e-10, rtol=1e-10)
draw = functools.partial(normal, seed=1)
Build = Callable[[int], Recurrence]
LIBRARY = "rnnbench.lit_models.scan.native.library.find_library"


@pytest.fixture
def build(cls: type[Recurrence], arguments: dict[str, object]) -> Build:
    def at_seed(seed: int) -> Recurrence:
        with torch.random.fork_rng():
            torch.default_generator.manual_seed(seed)
            recurrence = cls(**arguments).double()
            for buffer in recurrence.buffers():
                # Constants of the class differ between instances too, and between units.
                buffer.mul_(1 + 0.2 * torch.rand_like(buffer))
        return recurrence

    return at_seed


def visited_state(recurrence: Recurrence, seed: int = 2) -> torch.Tensor:
    """A state other than the first that the recurrence can be in."""
    with use_backend("loop"):
        return recurrence(draw(2, BATCH, INPUTS, seed=seed))[1].detach()


def check(run: Callable[[], object]) -> None:
    """Check that the compiled scan, and that in PyTorch where it is another one, do what the loop does."""
    with use_backend("loop"):
        expected = run()
    with use_backend("native"), mock.patch(LIBRARY, side_effect=find_library) as compiled:
        close(run(), expected)
    if compiled.called:
        with use_backend("eager"):
            close(run(), expected)


def gradients(values: tuple[torch.Tensor, ...], wanted: list[torch.Tensor]) -> tuple[torch.Tensor, ...]:
    loss = sum((value * draw(*value.shape, seed=3)).sum() for value in values if value.numel())
    return torch.autograd.grad(loss, wanted, materialize_grads=True)


@pytest.mark.parametrize(("steps", "recomputed"), [(1, False), (6, False), (18, False), (6, True)])
@pytest.mark.parametrize("last", [True, False], ids=["last", "every"])
def test_alone(build: Build, steps: int, recomputed: bool, last: bool) -> None:
    recurrence = build(0)
    inputs, state = draw(steps, BATCH, INPUTS).requires_grad_(), visited_state(recurrence).requires_grad_()

    def run() -> object:
        scan = recurrence.forward_last if last else recurrence
        values = checkpoint(scan, inputs, state, use_reentrant=False) if recomputed else scan(inputs, state)
        return values, gradients(values, [inputs, state, *recurrence.parameters()])

    check(run)


@pytest.mark.parametrize("last", [True, False], ids=["last", "every"])
@pytest.mark.parametrize("steps", [1, 18])
def test_unequal_lengths(build: Build, steps: int, last: bool) -> None:
    instances = [build(seed) for seed in range(INSTANCES)]
    lengths = torch.tensor([steps, steps // 2, 0, 1, steps])
    inputs = draw(steps, BATCH, INPUTS).requires_grad_()
    states = torch.stack([visited_state(each, seed) for seed, each in enumerate(instances)]).requires_grad_()
    tensors = stack_module_state(instances)

    def call(tensors: tuple[dict[str, torch.Tensor], ...], state: torch.Tensor) -> object:
        with mock.patch.object(instances[0], "forward", instances[0].forward_last if last else instances[0].forward):
            return functional_call(instances[0], tensors, (inputs, state, lengths))

    def run() -> object:
        values = vmap(call)(tensors, states)
        return values, gradients(values, [inputs, states, *tensors[0].values()])

    check(run)


@pytest.mark.parametrize("name", ["loop", "eager", "native"])
@pytest.mark.parametrize("instances", [1, INSTANCES])
def test_checkpointed(build: Build, name: BackendName, instances: int) -> None:
    ensemble = Ensemble([Network(build(seed), 2, "every").double() for seed in range(instances)])
    # Segments of unequal lengths.
    inputs = draw(BATCH, 8, INPUTS).requires_grad_()

    def run() -> object:
        values = ensemble(inputs)
        return values, gradients((values,), [inputs, *ensemble.parameters()])

    with use_backend("loop"):
        expected = run()
    with use_backend(name, checkpoint_every=3):
        close(run(), expected)


@pytest.mark.parametrize("readout", ["last", "every"])
@pytest.mark.parametrize("batch", [1, BATCH])
def test_ensemble(build: Build, readout: str, batch: int) -> None:
    ensemble = Ensemble([Network(build(seed), 2, readout).double() for seed in range(INSTANCES)])
    # Batch-major at the door: what the recurrence sees is not contiguous.
    inputs = draw(batch, 6, INPUTS).requires_grad_()

    def run() -> object:
        values = ensemble(inputs)
        return values, gradients((values,), [inputs, *ensemble.parameters()])

    check(run)


@pytest.mark.parametrize("own_inputs", [True, False], ids=["own inputs", "shared inputs"])
@pytest.mark.parametrize("own_states", [True, False], ids=["own states", "shared states"])
def test_instances_with_inputs_and_states(build: Build, own_inputs: bool, own_states: bool) -> None:
    instances = [build(seed) for seed in range(INSTANCES)]
    tensors = stack_module_state(instances)
    inputs = draw(*([INSTANCES] if own_inputs else []), 4, BATCH, INPUTS).requires_grad_()
    states = torch.stack([visited_state(instance, seed) for seed, instance in enumerate(instances)])
    states = (states if own_states else states[0]).requires_grad_()

    def call(tensors: tuple[dict[str, torch.Tensor], ...], x: torch.Tensor, state: torch.Tensor) -> object:
        return functional_call(instances[0], tensors, (x, state))

    def run() -> object:
        in_dims = (0, 0 if own_inputs else None, 0 if own_states else None)
        values = vmap(call, in_dims)(tensors, inputs, states)
        return values, gradients(values, [inputs, states, *tensors[0].values()])

    check(run)


def test_without_gradients(build: Build) -> None:
    recurrence, inputs = build(0), draw(18, BATCH, INPUTS)
    ensemble = Ensemble([Network(build(seed), 2, "last").double() for seed in range(INSTANCES)])
    with torch.no_grad():
        for run in (lambda: recurrence(inputs), lambda: recurrence.forward_last(inputs), lambda: ensemble(inputs)):
            check(run)
    frozen = recurrence.requires_grad_(False)
    assert not any(value.requires_grad for value in frozen(inputs))
    check(lambda: frozen(inputs))


def right_or_refused(derive: Callable[[], object]) -> bool:
    """Check that a faster scan gives what the loop does, or says that it cannot; return whether it was right."""
    with use_backend("loop"):
        expected = derive()
    with use_backend("native"):
        try:
            found = derive()
        except RuntimeError as error:
            refusal = str(error)
        else:
            close(found, expected)
            return True
    assert any(words in refusal for words in ("hand-derived scan", "implement the jvp"))
    return False


def test_other_derivatives_are_right_or_refused(build: Build) -> None:
    recurrence, inputs = build(0), draw(3, BATCH, INPUTS).requires_grad_()

    def second() -> tuple[torch.Tensor, ...]:
        loss = recurrence.forward_last(inputs)[0].square().sum()
        first = torch.autograd.grad(loss, [*recurrence.parameters()], create_graph=True, materialize_grads=True)
        total = sum(gradient.square().sum() for gradient in first)
        return torch.autograd.grad(total, [inputs], materialize_grads=True)

    for derive in (lambda: jacfwd(lambda x: recurrence.forward_last(x)[0])(inputs.detach()), second):
        right = right_or_refused(derive)
        # A block of state spaces is made of operations that can be differentiated; a scan derived by hand refuses.
        by_hand = recurrence.scan_kernel() is not None
        assert right if isinstance(recurrence, StateSpaceBlock) else not (by_hand and right)
