"""What every registered recurrence keeps, whatever its file: a new one is tested without an edit here."""

import copy
import functools
import inspect
import typing
from collections.abc import Callable

import pytest
import torch
from torch.func import functional_call, jacfwd, jacrev, stack_module_state, vmap

from rnnbench.lit_models.recurrence import Recurrence
from rnnbench.lit_models.recurrences import registered_recurrences
from rnnbench.lit_models.recurrences.truncation import FeedForwardTruncation
from tests.contracts.builders import INPUTS, load, required_arguments, variants

# torch compiles its own forward-mode rules with torch.jit.script when the first one is used.
pytestmark = pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated:DeprecationWarning")
STEPS, BATCH = 6, 3
LENGTHS = torch.tensor([6, 1, 4])
close = functools.partial(torch.testing.assert_close, atol=1e-12, rtol=1e-10)


Build = Callable[[int], Recurrence]


@pytest.fixture
def build(cls: type[Recurrence], arguments: dict[str, object]) -> Build:
    def at_seed(seed: int) -> Recurrence:
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            return cls(**arguments).double()

    return at_seed


@pytest.fixture
def inputs() -> torch.Tensor:
    return torch.randn(STEPS, BATCH, INPUTS, dtype=torch.float64, generator=torch.Generator().manual_seed(1))


def visited_state(recurrence: Recurrence) -> torch.Tensor:
    """A state other than the first that the recurrence can be in."""
    warm_up = torch.randn(2, BATCH, INPUTS, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    return recurrence(warm_up)[1].detach()


def walk(
    recurrence: Recurrence, inputs: torch.Tensor, state: torch.Tensor, lengths: torch.Tensor | None
) -> tuple[torch.Tensor, torch.Tensor]:
    """The definition of ``forward``: sequence by sequence, step by step."""
    columns, finals = [], []
    for b in range(inputs.shape[1]):
        current, outputs = state[b : b + 1], []
        for t in range(inputs.shape[0]):
            if lengths is None or t < int(lengths[b]):
                current = recurrence.step(inputs[t, b : b + 1], current)
            outputs.append(recurrence.output(current))
        columns.append(torch.stack(outputs))
        finals.append(current)
    return torch.cat(columns, 1), torch.cat(finals)


for_all = pytest.mark.parametrize(("cls", "arguments"), variants())
for_each_class = pytest.mark.parametrize("cls", [load(name) for name in registered_recurrences()])
for_lengths = pytest.mark.parametrize("lengths", [None, LENGTHS], ids=["whole", "lengths"])
for_start = pytest.mark.parametrize("from_start", [True, False], ids=["from start", "from a state"])


@for_all
@for_lengths
@for_start
def test_forward_is_the_loop_over_step(
    build: Build, inputs: torch.Tensor, lengths: torch.Tensor | None, from_start: bool
) -> None:
    recurrence = build(0)
    state = recurrence.initial_state(BATCH) if from_start else visited_state(recurrence)
    inputs.requires_grad_()
    wanted = [inputs, *recurrence.parameters()]
    outputs, final = recurrence(inputs, None if from_start else state, lengths)
    expected_outputs, expected_final = walk(recurrence, inputs, state, lengths)
    close(outputs, expected_outputs)
    close(final, expected_final)
    assert outputs.shape == (STEPS, BATCH, recurrence.hidden_size)
    assert final.shape == state.shape == (BATCH, recurrence.state_size)
    weights = torch.randn(outputs.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(3))
    gradients = torch.autograd.grad((outputs * weights).sum(), wanted, materialize_grads=True)
    expected = torch.autograd.grad((expected_outputs * weights).sum(), wanted, materialize_grads=True)
    close(gradients, expected)
    assert any(gradient.abs().max() > 0 for gradient in gradients)


@for_all
@for_lengths
@for_start
def test_forward_last_is_the_last_of_forward(
    build: Build, inputs: torch.Tensor, lengths: torch.Tensor | None, from_start: bool
) -> None:
    recurrence = build(0)
    state = None if from_start else visited_state(recurrence)
    outputs, final = recurrence(inputs, state, lengths)
    last, last_final = recurrence.forward_last(inputs, state, lengths)
    close(last, outputs[-1])
    close(last_final, final)


@for_all
def test_a_sequence_can_be_run_in_two_parts(build: Build, inputs: torch.Tensor) -> None:
    recurrence = build(0)
    outputs, final = recurrence(inputs)
    first, between = recurrence(inputs[:2])
    second, last = recurrence(inputs[2:], between)
    close(torch.cat([first, second]), outputs)
    close(last, final)


@for_all
def test_no_steps_give_no_outputs_and_leave_the_state(build: Build, inputs: torch.Tensor) -> None:
    recurrence = build(0)
    state = visited_state(recurrence)
    outputs, final = recurrence(inputs[:0], state)
    assert outputs.shape == (0, BATCH, recurrence.hidden_size)
    assert torch.equal(final, state)


@for_all
def test_truncation_longer_than_the_sequence_changes_nothing(build: Build, inputs: torch.Tensor) -> None:
    recurrence = build(0)
    close(FeedForwardTruncation.of(recurrence, k=STEPS)(inputs)[0], recurrence(inputs)[0])
    shorter = FeedForwardTruncation.of(recurrence, k=2)(inputs)[0]
    close(shorter[-1], recurrence(inputs[-2:])[0][-1])


@for_all
def test_causal(build: Build, inputs: torch.Tensor) -> None:
    recurrence = build(0)
    changed = inputs.clone()
    changed[3] += 1.0
    outputs, changed_outputs = recurrence(inputs)[0], recurrence(changed)[0]
    close(changed_outputs[:3], outputs[:3], atol=1e-14, rtol=0.0)
    assert (changed_outputs[3:] - outputs[3:]).abs().max() > 0


@for_all
def test_sequences_do_not_touch_each_other(build: Build, inputs: torch.Tensor) -> None:
    recurrence = build(0)
    changed = inputs.clone()
    changed[:, 1] = 7.0
    close(recurrence(changed)[0][:, [0, 2]], recurrence(inputs)[0][:, [0, 2]], atol=1e-14, rtol=0.0)


@for_all
@for_lengths
def test_stacked_instances_equal_one_by_one(build: Build, inputs: torch.Tensor, lengths: torch.Tensor | None) -> None:
    instances = [build(seed) for seed in range(3)]
    parameters, buffers = stack_module_state(instances)
    skeleton = copy.deepcopy(instances[0]).to("meta")

    def run(parameters: dict[str, torch.Tensor], buffers: dict[str, torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:
        return functional_call(skeleton, (parameters, buffers), (inputs, None, lengths))

    outputs, finals = vmap(run)(parameters, buffers)
    targets = [instance(inputs, None, lengths) for instance in instances]
    close(outputs, torch.stack([target[0] for target in targets]))
    close(finals, torch.stack([target[1] for target in targets]))
    assert not torch.equal(outputs[0], outputs[1])
    gradients = torch.autograd.grad(outputs.square().sum(), list(parameters.values()), materialize_grads=True)
    alone = [
        torch.autograd.grad(target[0].square().sum(), list(instance.parameters()), materialize_grads=True)
        for instance, target in zip(instances, targets, strict=True)
    ]
    close(list(gradients), [torch.stack(each) for each in zip(*alone, strict=True)])


@for_all
def test_jacobians_forward_and_reverse_agree(build: Build, inputs: torch.Tensor) -> None:
    recurrence = build(0)
    state = visited_state(recurrence)
    for argument in (0, 1):
        forward = jacfwd(recurrence.step, argnums=argument)(inputs[0], state)
        close(forward, jacrev(recurrence.step, argnums=argument)(inputs[0], state))
        assert forward.isfinite().all()
        assert forward.abs().max() > 0


@for_all
def test_output_jacobians_agree(build: Build) -> None:
    recurrence = build(0)
    state = visited_state(recurrence)
    close(jacfwd(recurrence.output)(state), jacrev(recurrence.output)(state))


@for_all
def test_float64_throughout(build: Build, inputs: torch.Tensor) -> None:
    recurrence = build(0)
    assert recurrence.initial_state(BATCH).dtype == torch.float64
    assert {value.dtype for value in recurrence(inputs)} == {torch.float64}


@for_all
def test_state_dict_holds_everything(build: Build, inputs: torch.Tensor) -> None:
    source, target = build(0), build(1)
    assert not torch.equal(target(inputs)[0], source(inputs)[0])
    target.load_state_dict(source.state_dict())
    assert torch.equal(target(inputs)[0], source(inputs)[0])


@for_all
def test_same_seed_same_weights(build: Build) -> None:
    first, again, other = (build(seed).state_dict() for seed in (5, 5, 6))
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert any(not torch.equal(first[name], other[name]) for name in first)


@for_all
def test_size_is_known_without_memory(cls: type[Recurrence], arguments: dict[str, object], build: Build) -> None:
    with torch.device("meta"):
        shapes = {name: value.shape for name, value in cls(**arguments).state_dict().items()}
    assert shapes == {name: value.shape for name, value in build(0).state_dict().items()}


@for_each_class
@pytest.mark.parametrize("value", [0, -1])
def test_impossible_sizes_are_refused(cls: type[Recurrence], value: int) -> None:
    required = required_arguments(cls)
    sizes = [name for name, argument in required.items() if isinstance(argument, int)]
    assert "input_size" in sizes
    for name in sizes:
        with pytest.raises(ValueError, match=f"{name} is {value}"):
            cls(**{**required, name: value})


@for_each_class
def test_unknown_options_are_refused(cls: type[Recurrence]) -> None:
    for argument, annotation in typing.get_type_hints(cls.__init__).items():
        if typing.get_origin(annotation) is typing.Literal:
            with pytest.raises(ValueError, match=f"{argument} is 'nothing': .*{typing.get_args(annotation)[0]}"):
                cls(**required_arguments(cls), **{argument: "nothing"})


@for_each_class
def test_docstring_has_a_worked_example(cls: type[Recurrence]) -> None:
    assert ">>>" in (cls.__doc__ or "")


@for_each_class
def test_input_size_comes_first(cls: type[Recurrence]) -> None:
    assert next(iter(inspect.signature(cls).parameters)) == "input_size"


def test_all_are_found() -> None:
    known = {"ElmanRNN", "LSTM", "GRU", "SecondOrderRNN", "WCRNN", "StackedRNN", "FeedForwardTruncation"}
    known |= {"DeepTransitionRNN", "URLSTM", "MIRNN", "OrthogonalRNN", "AntisymmetricRNN", "CoRNN", "LipschitzRNN"}
    assert known <= set(registered_recurrences())
