"""Truncation error against brute force and its bound, and scores of truncated networks."""

import functools
import math
from collections.abc import Iterator

import pytest
import torch
from torch import Tensor, nn

from rnnbench.datamodules.copying import CopyMemory
from rnnbench.datamodules.task import Batch
from rnnbench.lit_models.dynamics import truncation
from rnnbench.lit_models.dynamics.truncation import truncated_scores, truncation_error
from rnnbench.lit_models.network import make_network
from rnnbench.lit_models.objective import instance_metrics
from rnnbench.lit_models.recurrence import Recurrence
from rnnbench.lit_models.recurrences.elman import ElmanRNN
from rnnbench.lit_models.recurrences.gated import GRU, LSTM
from rnnbench.lit_models.recurrences.stacked import StackedRNN
from rnnbench.lit_models.recurrences.truncation import FeedForwardTruncation
from rnnbench.lit_models.stability import project_stable
from tests.contracts.builders import variants
from tests.lit_models.small_runs import ELMAN, adding

close = functools.partial(torch.testing.assert_close, atol=1e-12, rtol=1e-10)
CASES = 1000
KS = (1, 2, 4, 8)


def stable_cases(cls: type[Recurrence]) -> Iterator[tuple[Recurrence, Tensor, float]]:
    """Random stable recurrences with biases, in double precision, with inputs and their bound."""
    generator = torch.Generator().manual_seed(1)

    def uniform(low: float, high: float) -> float:
        return low + (high - low) * torch.rand((), generator=generator).item()

    for _ in range(CASES):
        units, features = (int(torch.randint(1, 5, (), generator=generator)) for _ in range(2))
        activation = ("tanh", "relu", "identity")[int(torch.randint(3, (), generator=generator))]
        settings = {"time_activation": activation} if cls is ElmanRNN else {}
        recurrence = cls(features, units, **settings).double()
        scales = {"weight_ih": uniform(0, 2), "weight_hh": uniform(0, 4), "bias_ih": uniform(0, 3), "bias_hh": 1.0}
        bound = uniform(0.01, 2)
        with torch.no_grad():
            for name, parameter in recurrence.named_parameters():
                parameter.copy_(scales[name] * torch.randn(parameter.shape, generator=generator, dtype=torch.float64))
        project_stable(recurrence, bound)
        inputs = bound * (2 * torch.rand(12, 2, features, generator=generator, dtype=torch.float64) - 1)
        yield recurrence, inputs, bound


@pytest.mark.parametrize("cls", [ElmanRNN, pytest.param(LSTM, marks=pytest.mark.slow)])
def test_the_bound_holds_in_every_stable_case(cls: type[Recurrence]) -> None:
    ratios, without_offset, errors = [], [], []
    for recurrence, inputs, bound in stable_cases(cls):
        found = truncation_error(recurrence, inputs, KS, steps="all")
        constants = found.contraction
        assert 0 <= constants.constant < 1
        assert constants.input_bound <= bound * (math.sqrt(inputs.shape[-1]) if cls is ElmanRNN else 1) + 1e-12
        worst = found.state_error.amax((1, 2))
        assert (worst <= found.bound * (1 + 1e-9) + 1e-12).all()
        assert (found.output_error <= found.state_error + 1e-12).all()
        drive = constants.input_lipschitz * constants.input_bound
        ratios.append((worst / found.bound).max().item())
        without_offset.append((worst * (drive + constants.offset) / (found.bound * drive)).max().item())
        errors.append(worst[0].item())
    # The cases are not trivial: states do depend on what is cut off, and the bound is nearly reached by some.
    assert sum(error > 1e-3 for error in errors) > 0.9 * CASES
    assert max(ratios) > (0.5 if cls is ElmanRNN else 0.05)
    if cls is ElmanRNN:
        # Biases alone move the state, which the bound of a map with φ(0, 0) = 0 knows nothing of.
        assert sum(ratio > 1 + 1e-6 for ratio in without_offset) >= 5


def linear_system(radius: float) -> ElmanRNN:
    torch.manual_seed(3)
    system = ElmanRNN(2, 16, time_activation="identity").double()
    with torch.no_grad():
        weight = torch.randn(16, 16, dtype=torch.float64)
        system.weight_hh.copy_(weight * radius / torch.linalg.eigvals(weight).abs().max())
        system.bias_ih.zero_()
        system.bias_hh.zero_()
    return system


def test_an_unstable_linear_system_breaks_every_truncation() -> None:
    inputs = torch.randn(128, 8, 2, dtype=torch.float64)
    ks = [1, 2, 4, 8, 16, 32, 64]
    unstable = truncation_error(linear_system(1.1), inputs, ks)
    relative = unstable.state_error.mean((1, 2)) / unstable.state_norm.mean()
    assert unstable.contraction.constant > 1
    assert unstable.bound.isnan().all()
    # What was cut off has grown as fast as the state: half of the sequence is no better than its last input.
    assert (relative > 0.5).all()
    assert relative[-1] > 0.9 * relative[0]
    stable = truncation_error(linear_system(0.8), inputs, ks)
    falling = stable.state_error.mean((1, 2)) / stable.state_norm.mean()
    assert (falling.diff() < 0).all()
    assert falling[-1] < 1e-4


def brute_force(recurrence: Recurrence, inputs: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """Differences of states and outputs [T, B, ...] from a restart k inputs before each step."""
    states, outputs = [], []
    for t in range(1, len(inputs) + 1):
        full, restarted = (recurrence.initial_state(inputs.shape[1]) for _ in range(2))
        for x in inputs[:t]:
            full = recurrence.step(x, full)
        for x in inputs[max(0, t - k) : t]:
            restarted = recurrence.step(x, restarted)
        states.append(full - restarted)
        outputs.append(recurrence.output(full) - recurrence.output(restarted))
    return torch.stack(states), torch.stack(outputs)


@pytest.mark.parametrize("entries", [1, 2**22])
@pytest.mark.parametrize(("cls", "arguments"), variants(slow_extras=True))
def test_equals_a_restart_before_every_step(cls, arguments, entries, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(truncation, "MOST_ENTRIES", entries)
    recurrence = cls(**arguments).double()
    inputs = torch.randn(6, 3, recurrence.input_size, dtype=torch.float64)
    ks = (1, 2, 5, 6, 9)
    found = truncation_error(recurrence, inputs, ks, steps="all")
    order = math.inf if cls is LSTM else 2
    assert found.norm == ("inf" if cls is LSTM else "2")
    for index, k in enumerate(ks):
        states, outputs = brute_force(recurrence, inputs, k)
        close(found.state_error[index], torch.linalg.vector_norm(states, order, -1).detach())
        close(found.output_error[index], torch.linalg.vector_norm(outputs, order, -1).detach())
    last = truncation_error(recurrence, inputs, ks)
    close(last.state_error, found.state_error[:, -1:])
    close(last.output_error, found.output_error[:, -1:])
    close(last.state_norm, found.state_norm[-1:])
    assert found.state_error[0, 1:].max() > 0
    # No error as long as fewer than k + 1 inputs were there.
    assert all((found.state_error[index, :k] == 0).all() for index, k in enumerate(ks))


def test_outputs_are_those_of_the_readout() -> None:
    recurrence, readout = GRU(2, 3), nn.Linear(3, 2)
    inputs = torch.randn(5, 4, 2)
    found = truncation_error(recurrence, inputs, [2], readout=readout)
    outputs = brute_force(recurrence.double(), inputs.double(), 2)[1][-1]
    expected = torch.linalg.vector_norm(outputs @ readout.weight.detach().double().T, 2, -1)
    close(found.output_error[0, 0], expected.detach())
    assert readout.weight.dtype == torch.float32


def test_stacks_and_truncations_have_no_bound() -> None:
    inputs = torch.randn(6, 2, 2)
    stack = truncation_error(StackedRNN(2, ELMAN, 2), inputs, [2])
    assert stack.contraction is None
    assert stack.bound.isnan().all()
    forgetful = truncation_error(FeedForwardTruncation(2, ELMAN, k=2), inputs, [1, 2, 3])
    assert forgetful.output_error[0].max() > 0
    assert forgetful.output_error[1:].max() == 0


def test_a_larger_input_bound_gives_a_larger_bound() -> None:
    recurrence, inputs = LSTM(2, 3), torch.rand(5, 2, 2)
    project_stable(recurrence, 2.0)
    own, larger = (truncation_error(recurrence, inputs, [2], input_bound=bound) for bound in (None, 2.0))
    assert own.contraction.input_bound == inputs.max().item()
    assert larger.contraction.input_bound == 2.0
    assert own.bound < larger.bound
    assert own.contraction.constant < larger.contraction.constant < 1
    assert torch.equal(own.state_error, larger.state_error)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"ks": []}, "ks must hold at least 1"),
        ({"ks": [2, 0]}, r"ks\[1\] must be at least 1, got 0"),
        ({"steps": "first"}, "unknown steps 'first': did you mean 'last'"),
        ({"inputs": torch.ones(4, 2)}, r"inputs must have the shape \[T, B, D\] .* got \[4, 2\]"),
        ({"inputs": torch.ones(0, 2, 2)}, r"got \[0, 2, 2\]"),
        ({"inputs": torch.full((4, 1, 2), torch.nan)}, "inputs must be finite"),
        ({"input_bound": 0.5}, "input_bound must be at least 1.41.* got 0.5"),
    ],
)
def test_impossible_arguments_are_refused(settings: dict, message: str) -> None:
    arguments = {"recurrence": ELMAN(2), "inputs": torch.ones(4, 1, 2), "ks": [1], **settings}
    with pytest.raises(ValueError, match=message):
        truncation_error(**arguments)
    if "ks" in settings:
        data = adding()
        with pytest.raises(ValueError, match=message):
            truncated_scores(make_network(ELMAN, data.task, 0), data.task, batch_of(data), settings["ks"])


def test_states_that_overflow_are_an_error() -> None:
    system = linear_system(1e10)
    with pytest.raises(ValueError, match="states and outputs of ElmanRNN must be finite"):
        truncation_error(system, torch.ones(64, 1, 2), [64])


def batch_of(data, size: int = 20) -> Batch:
    inputs, targets = data.draw_split("test")
    return Batch(inputs[:size], targets[:size], None)


@pytest.mark.parametrize("entries", [1, 2**22])
@pytest.mark.parametrize("kind", ["last", "every"])
def test_scores_are_those_of_truncated_networks(kind: str, entries: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(truncation, "MOST_ENTRIES", entries)
    small = {"train_size": 64, "val_size": 20, "test_size": 24, "batch_size": 8, "eval_batch_size": 9}
    data = adding() if kind == "last" else CopyMemory(delay=1, **small)
    task, batch = data.task, batch_of(data)
    assert task.readout == kind
    network = make_network(functools.partial(LSTM, hidden_size=4), task, 0)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    found = truncated_scores(network, task, batch, [1, 3, task.steps, task.steps + 5])
    assert found.scores.keys() == {metric.name for metric in task.metrics}
    for index, k in enumerate([1, 3, task.steps]):
        truncated = make_network(functools.partial(LSTM, hidden_size=4), task, 0)
        truncated.recurrence = FeedForwardTruncation.of(truncated.recurrence, k)
        outputs = truncated(batch.inputs).unsqueeze(0)
        for metric in instance_metrics(task, 1):
            metric.update(outputs.detach(), batch.targets)
            value = metric.compute().item()
            assert found.scores[metric.metric.name][index].item() == pytest.approx(value, rel=1e-6)
    for name, values in found.scores.items():
        assert torch.equal(values[2:], found.full[name].expand(2))
    assert found.scores[task.metrics[1].name][0] != found.full[task.metrics[1].name]
    assert type(network.recurrence) is LSTM
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())


def test_scores_respect_lengths() -> None:
    data = adding()
    inputs, targets, _ = batch_of(data, 4)
    network = make_network(ELMAN, data.task, 0)
    lengths = torch.tensor([6, 3, 5, 6])
    found = truncated_scores(network, data.task, Batch(inputs, targets, lengths), [3])
    outputs = torch.cat([network(inputs[b : b + 1, max(0, n - 3) : n]) for b, n in enumerate(lengths.tolist())])
    expected = (outputs - targets).square().mean().sqrt().item()
    assert found.scores["rmse"].item() == pytest.approx(expected, rel=1e-6)
