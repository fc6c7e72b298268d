"""What every recurrence keeps, ours or a user's: ``rnnbench check`` and the tests call the same functions."""

import copy
import functools
import re
import types
import typing
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.func import functional_call, jacfwd, jacrev, stack_module_state, vmap

from rnnbench.datamodules.contracts import BrokenContract, expect
from rnnbench.datamodules.source_scan import constructor_hints, constructor_parameters
from rnnbench.lit_models.ensemble import Ensemble
from rnnbench.lit_models.recurrence import Recurrence
from rnnbench.lit_models.recurrences.elman import ElmanRNN
from rnnbench.lit_models.recurrences.truncation import FeedForwardTruncation

INPUTS, UNITS, STEPS, BATCH = 2, 4, 6, 3
_LENGTHS = torch.tensor([6, 1, 4])


@dataclass(frozen=True)
class RecurrenceCase:
    """A recurrence's class and the arguments of its constructor, at a tiny size."""

    cls: type[Recurrence]
    arguments: dict[str, Any]

    def build(self, seed: int = 0) -> Recurrence:
        """Return an instance in double precision, its weights drawn from a seed."""
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(seed)
            return self.cls(**self.arguments).double()

    @property
    def inputs(self) -> Tensor:
        """Inputs [T, B, D], the same each time."""
        return normal(STEPS, BATCH, self.build().input_size, seed=1)


def normal(*shape: int, seed: int) -> Tensor:
    """Return normal numbers in double precision, the same each time."""
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def visited_state(recurrence: Recurrence) -> Tensor:
    """Return a state [B, S] other than the first that the recurrence can be in."""
    return recurrence(normal(2, BATCH, recurrence.input_size, seed=2))[1].detach()


def required_arguments(cls: type, given: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Return the given arguments, and small values for those without a default; ValueError where none is known."""
    given, hints = given or {}, constructor_hints(cls)
    named = constructor_parameters(cls).values()
    missing = [one.name for one in named if one.default is one.empty and one.name not in given]
    return {**{name: _small_value(name, hints.get(name, int)) for name in missing}, **given}


def _small_value(name: str, annotation: Any) -> Any:
    if name == "input_size":
        return INPUTS
    if annotation in (int, float):
        return UNITS if annotation is int else 0.5
    if typing.get_origin(annotation) is typing.get_origin(Callable[[int], Recurrence]):
        return functools.partial(ElmanRNN, hidden_size=UNITS)
    raise ValueError(f"no value is known for the required argument {name}: give one in the constructor's arguments")


def variants(cls: type, given: Mapping[str, Any] | None = None) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield ``required_arguments``, and those beside each other value that an annotation names, by a label."""
    hints, required = constructor_hints(cls), required_arguments(cls, given)
    yield "", required
    for name, parameter in constructor_parameters(cls).items():
        annotation, default = hints.get(name), parameter.default
        values: tuple[Any, ...] = ()
        if typing.get_origin(annotation) is typing.Literal:
            values = typing.get_args(annotation)
        elif isinstance(annotation, types.UnionType) and int in typing.get_args(annotation):
            values = (3,)
        elif annotation is bool:
            values = (not default,)
        elif annotation == tuple[int, ...]:
            values = ((3,),)
        others = () if name in (given or {}) else (value for value in values if value != default)
        yield from ((f"{name}={value}", {**required, name: value}) for value in others)


def _close(found: Any, expected: Any, message: str, atol: float = 1e-12, rtol: float = 1e-10) -> None:
    try:
        torch.testing.assert_close(found, expected, atol=atol, rtol=rtol)
    except AssertionError as error:
        text = " ".join(str(error).split())
        largest = re.search(r"Greatest absolute difference: ([-+.\de]+)", text)
        raise BrokenContract(f"{message}: " + (f"by up to {float(largest[1]):.2g}" if largest else text)) from error


def _shape(found: Tensor, expected: tuple[int, ...], what: str) -> None:
    shape = list(found.shape) if isinstance(found, Tensor) else type(found).__name__
    expect(shape == list(expected), f"{what} must have the shape {list(expected)}, got {shape}")


def shapes(case: RecurrenceCase) -> None:
    """States are [B, S] and outputs [B, N], of a step as of a whole sequence; input_size is the first argument."""
    expect(next(iter(constructor_parameters(case.cls))) == "input_size", "input_size must be the first argument")
    recurrence = case.build()
    units, size = recurrence.hidden_size, recurrence.state_size
    state = recurrence.initial_state(BATCH)
    _shape(state, (BATCH, size), "the initial state")
    _shape(recurrence.step(case.inputs[0], state), (BATCH, size), "the state after a step")
    _shape(recurrence.output(state), (BATCH, units), "the output")
    outputs, final = recurrence(case.inputs)
    _shape(outputs, (STEPS, BATCH, units), "the outputs of a sequence")
    _shape(final, (BATCH, size), "the state after a sequence")


def _by_definition(recurrence: Recurrence, inputs: Tensor, state: Tensor, lengths: Tensor | None) -> list[Tensor]:
    """Return what ``forward`` does, sequence by sequence, step by step."""
    columns, finals = [], []
    for b in range(inputs.shape[1]):
        current, outputs = state[b : b + 1], []
        for t in range(inputs.shape[0]):
            if lengths is None or t < int(lengths[b]):
                current = recurrence.step(inputs[t, b : b + 1], current)
            outputs.append(recurrence.output(current))
        columns.append(torch.stack(outputs))
        finals.append(current)
    return [torch.cat(columns, 1), torch.cat(finals)]


def sequences_stay_apart(case: RecurrenceCase) -> None:
    """No sequence of a batch changes what another one gives."""
    changed = case.inputs
    changed[:, 1] = 7.0
    outputs, changed_outputs = (case.build()(inputs)[0][:, [0, 2]] for inputs in (case.inputs, changed))
    message = "sequences of a batch act on each other: other inputs of one change the outputs of the others"
    _close(changed_outputs, outputs, message, atol=1e-14, rtol=0.0)


def causal(case: RecurrenceCase) -> None:
    """Outputs depend on the inputs up to their step, and on those of that step."""
    changed = case.inputs
    changed[3] += 1.0
    outputs, changed_outputs = (case.build()(inputs)[0] for inputs in (case.inputs, changed))
    _close(changed_outputs[:3], outputs[:3], "outputs depend on later inputs", atol=1e-14, rtol=0.0)
    expect((changed_outputs[3:] - outputs[3:]).abs().max() > 0, "the inputs do not reach the outputs")


def forward_is_the_loop_over_step(case: RecurrenceCase) -> None:
    """``forward`` equals the loop over ``step``, gradients too, from any state; past its length a state stays."""
    recurrence = case.build()
    inputs = case.inputs.requires_grad_()
    wanted = [inputs, *recurrence.parameters()]
    for given, lengths in ((g, n) for g in (None, visited_state(recurrence)) for n in (None, _LENGTHS)):
        state = recurrence.initial_state(BATCH) if given is None else given
        found, expected = recurrence(inputs, given, lengths), _by_definition(recurrence, inputs, state, lengths)
        what = "forward and the loop over step differ" + ("" if lengths is None else " where sequences have lengths")
        _close(list(found), expected, what)
        last, final = recurrence.forward_last(inputs, given, lengths)
        _close([last, final], [found[0][-1], found[1]], "forward_last and the last output of forward differ")
        weights = normal(*found[0].shape, seed=3)
        ours, theirs = (
            torch.autograd.grad((outputs * weights).sum(), wanted, materialize_grads=True)
            for outputs in (found[0], expected[0])
        )
        _close(ours, theirs, f"{what} in their gradients")
        expect(any(gradient.abs().max() > 0 for gradient in ours), "gradients reach neither inputs nor parameters")


def every_parameter_is_used(case: RecurrenceCase) -> None:
    """Gradients of the outputs reach every parameter."""
    recurrence = case.build()
    named = {name: one for name, one in recurrence.named_parameters() if one.requires_grad}
    loss = recurrence(case.inputs)[0].square().sum()
    found = torch.autograd.grad(loss, list(named.values()), allow_unused=True) if named else ()
    unused = ", ".join(name for name, gradient in zip(named, found, strict=True) if gradient is None)
    expect(not unused, f"no gradient reaches {unused}: use it in project, advance or output, or make it a buffer")


def goes_on_from_a_state(case: RecurrenceCase) -> None:
    """A sequence can be run in parts, one of no steps too; truncated to all its inputs it gives the same."""
    recurrence, inputs = case.build(), case.inputs
    outputs, final = recurrence(inputs)
    first, between = recurrence(inputs[:2])
    second, last = recurrence(inputs[2:], between)
    _close([torch.cat([first, second]), last], [outputs, final], "a sequence run in two parts differs from the whole")
    nothing, same = recurrence(inputs[:0], between)
    _shape(nothing, (0, BATCH, recurrence.hidden_size), "the outputs of no steps")
    expect(torch.equal(same, between), "no steps change the state")
    whole, last_two = (FeedForwardTruncation.of(recurrence, k=k)(inputs)[0] for k in (STEPS, 2))
    message = "FeedForwardTruncation differs from a sequence of the inputs that it sees"
    _close([whole, last_two[-1]], [outputs, recurrence(inputs[-2:])[0][-1]], message)


def deterministic(case: RecurrenceCase) -> None:
    """The same inputs give the same outputs, no global generator is used, and nothing given is changed in place."""
    recurrence, inputs = case.build(), case.inputs
    state = visited_state(recurrence)
    kept, generator = (inputs.clone(), state.clone()), torch.get_rng_state()
    first, again = recurrence(inputs, state), recurrence(inputs, state)
    recurrence.step(inputs[0], state)
    remedy = "return a new state, 'state * a' for 'state *= a', or clone it first"
    expect(torch.equal(torch.get_rng_state(), generator), "the global generator of random numbers is used")
    expect(all(map(torch.equal, (inputs, state), kept)), f"inputs or state are changed in place: {remedy}")
    expect(all(map(torch.equal, first, again)), "the same inputs give other outputs when run again")


def weights_follow_the_seed(case: RecurrenceCase) -> None:
    """The same seed draws the same weights, and ``state_dict`` and copies hold all that decides the outputs."""
    source, again, other = case.build(5), case.build(5), case.build(6)
    weights, outputs = source.state_dict(), source(case.inputs)[0]
    expect(all(torch.equal(again.state_dict()[name], weights[name]) for name in weights), "a seed gives other weights")
    other.load_state_dict(weights)
    expect(torch.equal(other(case.inputs)[0], outputs), "state_dict lacks something that decides the outputs")
    expect(torch.equal(copy.deepcopy(source)(case.inputs)[0], outputs), "a copy (copy.deepcopy) gives other outputs")


def instances_learn_apart(case: RecurrenceCase) -> None:
    """Networks of an ensemble give what each gives alone, gradients too."""
    instances, inputs = [case.build(seed) for seed in range(3)], case.inputs
    Ensemble(instances)
    parameters, buffers = stack_module_state(instances)
    skeleton = copy.deepcopy(instances[0]).to("meta")
    for lengths in (None, _LENGTHS):

        def run(*tensors: dict[str, Tensor], lengths: Tensor | None = lengths) -> tuple[Tensor, Tensor]:
            return functional_call(skeleton, tensors, (inputs, None, lengths))

        found, targets = vmap(run)(parameters, buffers), [each(inputs, None, lengths) for each in instances]
        expected = [torch.stack(parts) for parts in zip(*targets, strict=True)]
        _close(list(found), expected, "an instance of an ensemble (torch.vmap) and the same one alone differ")
        together = torch.autograd.grad(found[0].square().sum(), list(parameters.values()), materialize_grads=True)
        alone = [
            torch.autograd.grad(target[0].square().sum(), list(instance.parameters()), materialize_grads=True)
            for instance, target in zip(instances, targets, strict=True)
        ]
        stacked = tuple(torch.stack(each) for each in zip(*alone, strict=True))
        message = "gradients of an instance of an ensemble (torch.vmap) and of the same one alone differ"
        _close(together, stacked, message)


def jacobians_agree(case: RecurrenceCase) -> None:
    """Derivatives of ``step`` and ``output`` in forward mode (Lyapunov exponents) equal those in reverse mode."""
    recurrence, inputs = case.build(), case.inputs[0]
    state = visited_state(recurrence)
    for function, at in ((recurrence.output, (state,)), (recurrence.step, (inputs, state))):
        for argument in range(len(at)):
            forward, reverse = (jac(function, argnums=argument)(*at) for jac in (jacfwd, jacrev))
            _close(forward, reverse, f"Jacobians of {function.__name__} in forward and reverse mode differ")
            message = f"a Jacobian of {function.__name__} must be finite and not zero"
            expect(bool(forward.isfinite().all() and forward.abs().max() > 0), message)


def precision_is_kept(case: RecurrenceCase) -> None:
    """States and outputs have the precision of the weights; sizes are known without memory (device ``meta``)."""
    for recurrence, dtype in ((case.build(), torch.float64), (case.build().float(), torch.float32)):
        found = {value.dtype for value in (recurrence.initial_state(BATCH), *recurrence(case.inputs.to(dtype)))}
        expect(found == {dtype}, f"in {dtype}, states and outputs are {', '.join(map(str, found))}")
    with torch.device("meta"):
        described = {name: value.shape for name, value in case.cls(**case.arguments).state_dict().items()}
    built = {name: value.shape for name, value in case.build().state_dict().items()}
    expect(described == built, "built on the device meta, the shapes of its tensors differ")


CONTRACTS: tuple[Callable[[RecurrenceCase], None], ...] = (
    shapes,
    deterministic,
    sequences_stay_apart,
    causal,
    forward_is_the_loop_over_step,
    every_parameter_is_used,
    goes_on_from_a_state,
    weights_follow_the_seed,
    instances_learn_apart,
    jacobians_agree,
    precision_is_kept,
)
