"""FeedForwardTruncation against brute force: the recurrence restarted k inputs before every output."""

import copy
import functools

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from rnnbench.lit_models.recurrence import Recurrence
from rnnbench.lit_models.recurrences.elman import ElmanRNN
from rnnbench.lit_models.recurrences.gated import GRU, LSTM
from rnnbench.lit_models.recurrences.second_order import SecondOrderRNN
from rnnbench.lit_models.recurrences.truncation import FeedForwardTruncation

close = functools.partial(torch.testing.assert_close, atol=1e-10, rtol=1e-10)
WRAPPED = {
    "ElmanRNN": functools.partial(ElmanRNN, hidden_size=4),
    "linear": functools.partial(ElmanRNN, hidden_size=4, time_activation="identity"),
    "LSTM": functools.partial(LSTM, hidden_size=3),
    "GRU": functools.partial(GRU, hidden_size=3),
    "SecondOrderRNN": functools.partial(SecondOrderRNN, hidden_size=3, rank=2),
}


class FromOnes(ElmanRNN):
    """A recurrence whose initial state is not zero."""

    def __init__(self, input_size: int, time_activation: str = "tanh") -> None:
        super().__init__(input_size, 3, time_activation)

    def initial_state(self, batch_size: int) -> torch.Tensor:
        return torch.ones_like(super().initial_state(batch_size))


def restarted(recurrence: Recurrence, inputs: torch.Tensor, k: int) -> torch.Tensor:
    """The outputs [T, B, N] by brute force."""
    return torch.stack([recurrence(inputs[max(0, t + 1 - k) : t + 1])[0][-1] for t in range(len(inputs))])


@settings(max_examples=40, deadline=None)
@given(
    wrapped=st.sampled_from([*WRAPPED.values(), FromOnes, functools.partial(FromOnes, time_activation="identity")]),
    steps=st.integers(1, 12),
    k=st.integers(1, 14),
    seed=st.integers(0, 2**31),
)
def test_equals_a_restart_at_every_step(wrapped: object, steps: int, k: int, seed: int) -> None:
    torch.manual_seed(seed)
    recurrence = wrapped(2).double()
    truncation = FeedForwardTruncation.of(recurrence, k)
    inputs = torch.randn(steps, 3, 2, dtype=torch.float64, requires_grad=True)
    outputs, expected = truncation(inputs)[0], restarted(recurrence, inputs, k)
    close(outputs, expected)
    leaves = [inputs, *recurrence.parameters()]
    close(torch.autograd.grad(outputs.sum(), leaves), torch.autograd.grad(expected.sum(), leaves))
    if k >= steps:
        close(outputs, recurrence(inputs)[0])
    else:
        assert (outputs - recurrence(inputs)[0]).abs().max() > 0


class Halved(ElmanRNN):
    """A linear recurrence whose steps are not those of the class it is derived from."""

    def __init__(self, input_size: int) -> None:
        super().__init__(input_size, 3, time_activation="identity")

    def advance(self, projected: torch.Tensor, state: torch.Tensor) -> torch.Tensor:
        return super().advance(projected, state) / 2


def test_a_class_with_steps_of_its_own_is_run_by_them() -> None:
    recurrence, inputs = Halved(2).double(), torch.randn(9, 2, 2, dtype=torch.float64)
    close(FeedForwardTruncation.of(recurrence, 4)(inputs)[0], restarted(recurrence, inputs, 4))


def test_nothing_cancels_where_a_linear_recurrence_grows() -> None:
    recurrence = WRAPPED["linear"](2)
    with torch.no_grad():
        recurrence.weight_hh.copy_(2.0 * torch.linalg.qr(torch.randn(4, 4))[0])
    inputs = torch.randn(60, 2, 2)
    outputs = FeedForwardTruncation.of(recurrence, 29)(inputs)[0]
    expected = restarted(copy.deepcopy(recurrence).double(), inputs.double(), 29)
    assert ((outputs - expected).norm(dim=-1) <= 1e-5 * expected.norm(dim=-1)).all()


@pytest.mark.parametrize("wrapped", ["ElmanRNN", "linear"])
def test_instances_with_sequences_of_unequal_length_equal_each_alone(wrapped: str) -> None:
    networks = [FeedForwardTruncation(2, WRAPPED[wrapped], k=5).double() for _ in range(3)]
    inputs, lengths = torch.randn(7, 4, 2, dtype=torch.float64), torch.tensor([7, 1, 3, 6])
    together = torch.vmap(
        lambda tensors: torch.func.functional_call(networks[0], tensors, (inputs, None, lengths)), randomness="error"
    )(torch.func.stack_module_state(networks)[0])
    for index, network in enumerate(networks):
        outputs, final = network(inputs, None, lengths)
        close((together[0][index], together[1][index]), (outputs, final))
        for place, length in enumerate(lengths):
            alone = restarted(network.recurrence, inputs[:length, place : place + 1], 5)
            close(outputs[:length, place : place + 1], alone)


def test_steps_are_nilpotent() -> None:
    truncation = FeedForwardTruncation(2, WRAPPED["ElmanRNN"], k=3).double()
    states = [torch.randn(4, truncation.state_size, dtype=torch.float64) for _ in range(2)]
    inputs = torch.randn(3, 4, 2, dtype=torch.float64)
    for x in inputs[:2]:
        states = [truncation.step(x, state) for state in states]
    assert not torch.equal(*states)
    assert torch.equal(*[truncation.step(inputs[2], state) for state in states])


def test_nothing_is_seen_before_the_first_input() -> None:
    recurrence = FromOnes(2).double()
    truncation = FeedForwardTruncation.of(recurrence, 4)
    close(truncation.output(truncation.initial_state(5)), recurrence.output(recurrence.initial_state(5)))


def test_an_input_of_zeros_counts_as_seen() -> None:
    recurrence = WRAPPED["LSTM"](2).double()
    inputs = torch.zeros(3, 1, 2, dtype=torch.float64)
    close(FeedForwardTruncation.of(recurrence, 5)(inputs)[0], recurrence(inputs)[0])


def test_of_shares_the_weights() -> None:
    recurrence = WRAPPED["GRU"](2)
    truncation = FeedForwardTruncation.of(recurrence, 2)
    assert [id(p) for p in truncation.parameters()] == [id(p) for p in recurrence.parameters()]
