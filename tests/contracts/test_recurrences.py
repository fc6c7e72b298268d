"""What every registered recurrence keeps, whatever its file: a new one is tested without an edit here."""

import typing
from collections.abc import Callable

import pytest
import torch

from rnnbench.datamodules.contracts import broken
from rnnbench.lit_models.contracts import CONTRACTS, RecurrenceCase
from rnnbench.lit_models.recurrence import Recurrence
from rnnbench.lit_models.recurrences import registered_recurrences
from tests.contracts.builders import load, required_arguments, variants

# torch compiles its own forward-mode rules with torch.jit.script when the first one is used.
pytestmark = pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated:DeprecationWarning")
for_each_class = pytest.mark.parametrize("cls", [load(name) for name in registered_recurrences()])


@pytest.mark.parametrize("contract", CONTRACTS, ids=lambda contract: contract.__name__)
@pytest.mark.parametrize(("cls", "arguments"), variants())
def test_contract(cls: type[Recurrence], arguments: dict[str, object], contract: Callable) -> None:
    contract(RecurrenceCase(cls, arguments))


@pytest.mark.parametrize(("cls", "arguments"), variants())
def test_other_seed_other_weights(cls: type[Recurrence], arguments: dict[str, object]) -> None:
    first, other = (RecurrenceCase(cls, arguments).build(seed) for seed in (5, 6))
    inputs = RecurrenceCase(cls, arguments).inputs
    assert not torch.equal(first(inputs)[0], other(inputs)[0])


@for_each_class
@pytest.mark.parametrize("value", [0, -1])
def test_impossible_sizes_are_refused(cls: type[Recurrence], value: int) -> None:
    required = required_arguments(cls)
    sizes = [name for name, argument in required.items() if isinstance(argument, int)]
    assert "input_size" in sizes
    for name in sizes:
        with pytest.raises(ValueError, match=f"{name} .*{value}"):
            cls(**{**required, name: value})


@for_each_class
def test_unknown_options_are_refused(cls: type[Recurrence]) -> None:
    for argument, annotation in typing.get_type_hints(cls.__init__).items():
        if typing.get_origin(annotation) is typing.Literal:
            with pytest.raises(ValueError, match=rf"{argument} (?=.*'nothing').*{typing.get_args(annotation)[0]}"):
                cls(**required_arguments(cls), **{argument: "nothing"})


@for_each_class
@pytest.mark.parametrize(("steps", "batch_size", "lengths"), [(0, 3, None), (4, 0, None), (4, 0, []), (4, 2, [0, 4])])
def test_nothing_in_nothing_out(cls: type[Recurrence], steps: int, batch_size: int, lengths: list[int] | None) -> None:
    """No step, no sequence, or no step of one sequence."""
    recurrence = RecurrenceCase(cls, required_arguments(cls)).build()
    state = recurrence.initial_state(batch_size)
    inputs = torch.ones(steps, batch_size, recurrence.input_size, dtype=torch.float64)
    for enabled in (True, False):
        with torch.set_grad_enabled(enabled):
            outputs, final = recurrence(inputs, state, None if lengths is None else torch.tensor(lengths).long())
        assert outputs.shape == (steps, batch_size, recurrence.hidden_size)
        assert final.shape == state.shape
        if steps == 0 or lengths:
            assert torch.equal(final[:1], state[:1])


class Leaky(Recurrence):
    """A recurrence as a user writes one, whose step each case below gets wrong in its own way."""

    scale = 1.0

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__(input_size, hidden_size)
        self.weight = torch.nn.Parameter(torch.randn(hidden_size, input_size))

    def advance(self, projected: torch.Tensor, state: torch.Tensor) -> torch.Tensor:
        return self.scale * torch.tanh(0.5 * state + projected @ self.weight.t())


def advancing(change: Callable) -> dict[str, Callable]:
    """Another next state, made of the right one and the state."""
    return {"advance": lambda self, projected, state: change(Leaky.advance(self, projected, state), state)}


def hidden(self: Leaky, input_size: int, hidden_size: int) -> None:
    Leaky.__init__(self, input_size, hidden_size)
    self.scale = float(torch.rand(()))


def with_unused(self: Leaky, input_size: int, hidden_size: int) -> None:
    Leaky.__init__(self, input_size, hidden_size)
    self.unused = torch.nn.Parameter(torch.zeros(3))


# the message: what is wrong in the class
BROKEN = {
    None: {},
    "sequences of a batch act on each other": advancing(lambda following, _: following - following.mean(0)),
    "outputs depend on later inputs": {
        "forward": lambda self, inputs, *rest: Leaky.forward(self, inputs.flip(0), *rest),
    },
    "forward and the loop over step differ where sequences have lengths": {
        "forward": lambda self, inputs, state=None, lengths=None: Leaky.forward(self, inputs, state),
    },
    "the state after a step must have the shape [3, 4], got [3, 1]": advancing(lambda following, _: following[:, :1]),
    "the global generator of random numbers is used": advancing(
        lambda following, _: following + 1e-3 * torch.randn(following.shape).to(following)
    ),
    "inputs or state are changed in place: return a new state": {"step": lambda self, inputs, state: state.mul_(0.5)},
    "does not have a grad_fn (while checking: ``forward``": advancing(lambda following, _: following.detach()),
    "the inputs do not reach the outputs": advancing(lambda _, state: 0.5 * state),
    "in torch.float64, states and outputs are": advancing(lambda following, _: following.float()),
    "state_dict lacks something that decides the outputs": {"__init__": hidden},
    "no gradient reaches unused: use it in project, advance or output": {"__init__": with_unused},
    "vmap": advancing(lambda following, state: following if float(state.detach().sum()) < 100 else state),
}


@pytest.mark.parametrize("message", BROKEN)
def test_broken_recurrence_is_named(message: str | None) -> None:
    cls = type("Broken", (Leaky,), BROKEN[message])
    found = list(broken(CONTRACTS, RecurrenceCase(cls, required_arguments(cls))))
    assert any(message in line for line in found) if message else not found, found
    if message and ("shape" in message or "global" in message):
        assert len(found) == 1, "what builds on a broken contract is left out"
