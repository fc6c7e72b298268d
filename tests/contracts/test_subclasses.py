"""A class derived from a registered recurrence computes what its own steps say, whichever method it overrides."""

import inspect
from functools import partial
from unittest import mock

import pytest
import torch
from torch.nn.utils import parametrize
from torch.utils._pytree import tree_map

from rnnbench.lit_models.recurrence import Recurrence
from rnnbench.lit_models.recurrences.elman import ElmanRNN
from rnnbench.lit_models.scan.contract import keeps_definition
from rnnbench.lit_models.scan.policy import use_backend
from tests.contracts.builders import INPUTS, variants

LENGTHS = torch.tensor([5, 1, 3, 5, 4, 2, 5, 5, 0])
OTHERS = {
    "__init__",
    "initial_state",
    "forward",
    "forward_last",
    "run",
    "scan_kernel",
    "scan_linear",
    "linear_transition",
}
DEFINITIONS = [
    pytest.param(*case.values, name, lengths, id=f"{case.id}.{name}-{label}", marks=marks)
    for case in variants()
    for label, lengths in (("lengths", LENGTHS), ("whole", None))
    # Variants take the same way through whole sequences as their recurrence.
    for marks in [pytest.mark.slow if "=" in case.id and lengths is None else ()]
    for name, method in inspect.getmembers(case.values[0], inspect.isfunction)
    if method.__module__.startswith("rnnbench.") and name not in OTHERS
]


def derive(cls: type[Recurrence], name: str) -> type[Recurrence]:
    """Return a class one method of which gives other numbers."""

    def method(self, *args, **kwargs):
        found = getattr(super(derived, self), name)(*args, **kwargs)
        return tree_map(lambda each: 0.7 * each if isinstance(each, torch.Tensor) else each, found)

    derived = type(f"Other{cls.__name__}", (cls,), {name: method})
    return derived


def run(scan: str, recurrence: Recurrence, lengths: torch.Tensor | None) -> list[torch.Tensor]:
    """Values and gradients; of ``loop`` those of the loop over ``advance``, whatever ``run`` does."""
    inputs = torch.randn(5, len(LENGTHS), INPUTS, generator=torch.Generator().manual_seed(1)).requires_grad_()
    of = Recurrence if scan == "loop" else type(recurrence)
    with use_backend(scan), parametrize.cached(), mock.patch.object(recurrence, "run", partial(of.run, recurrence)):
        outputs, final = recurrence(inputs, None, lengths)
        output, last = recurrence.forward_last(inputs, None, lengths)
    loss = outputs.square().sum() + (final * last).sum() + output.sum()
    wanted = [inputs, *recurrence.parameters()]
    return [outputs, final, output, *torch.autograd.grad(loss, wanted, materialize_grads=True)]


@pytest.mark.parametrize(("cls", "arguments", "name", "lengths"), DEFINITIONS)
def test_an_overridden_method_is_followed(cls, arguments, name, lengths):
    recurrence = derive(cls, name)(**arguments)
    assert all(map(torch.equal, run("auto", recurrence, lengths), run("loop", recurrence, lengths)))


@pytest.mark.parametrize(("cls", "arguments"), variants())
def test_what_overrides_nothing_keeps_the_fast_scan(cls, arguments):
    class Helped(cls):
        """Another docstring."""

        note: str = "an attribute of its own"

        def __init__(self, **arguments):
            super().__init__(**arguments)
            self.calls = 0

        def extra_repr(self):
            return f"calls={self.calls}"

        def helper(self):
            return self.state_size

    for scan in ("scan_kernel", "scan_linear", "linear_transition"):
        assert keeps_definition(Helped, scan) == keeps_definition(cls, scan)
    torch.default_generator.manual_seed(0)
    plain = cls(**arguments)
    torch.default_generator.manual_seed(0)
    assert all(map(torch.equal, run("auto", Helped(**arguments), None), run("auto", plain, None)))


def test_a_mixin_overrides_and_a_declared_scan_counts():
    class Leaky:
        def advance(self, projected, state):
            return 0.5 * state + super().advance(projected, state)

    class LeakyElman(Leaky, ElmanRNN):
        pass

    assert not keeps_definition(LeakyElman, "scan_kernel")

    class Declared(LeakyElman):
        scan_kernel = ElmanRNN.scan_kernel

    assert keeps_definition(Declared, "scan_kernel")
