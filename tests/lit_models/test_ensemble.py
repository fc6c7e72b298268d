"""Ensemble: stacked networks that behave as each of them alone, with their own tensors bit for bit."""

import functools
from collections.abc import Callable

import pytest
import torch
from torch import nn

from rnnbench.lit_models.ensemble import Ensemble
from rnnbench.lit_models.network import Network
from rnnbench.lit_models.recurrence import Recurrence
from rnnbench.lit_models.recurrences.elman import ElmanRNN
from rnnbench.lit_models.recurrences.gated import LSTM
from rnnbench.lit_models.recurrences.orthogonal import OrthogonalRNN
from rnnbench.lit_models.recurrences.second_order import SecondOrderRNN
from rnnbench.lit_models.recurrences.stacked import StackedRNN
from rnnbench.lit_models.recurrences.truncation import FeedForwardTruncation
from rnnbench.lit_models.recurrences.wcrnn import WCRNN

close = functools.partial(torch.testing.assert_close, atol=1e-12, rtol=1e-12)
LENGTHS = torch.tensor([5, 1, 3])
RECURRENCES = {
    "ElmanRNN": functools.partial(ElmanRNN, hidden_size=4),
    "LSTM": functools.partial(LSTM, hidden_size=3),
    "SecondOrderRNN": functools.partial(SecondOrderRNN, hidden_size=3),
    "WCRNN": functools.partial(WCRNN, hidden_size=4, residual="rotation_diagonal", r=(0.9, 1.0), phi=(0.0, 1.0)),
    "orthogonal": functools.partial(WCRNN, hidden_size=4, residual="orthogonal", gamma=(0.1, 0.9)),
    "StackedRNN": functools.partial(StackedRNN, layer=functools.partial(LSTM, hidden_size=3), num_layers=2),
    "truncated": functools.partial(FeedForwardTruncation, recurrence=functools.partial(ElmanRNN, hidden_size=3), k=2),
}
Factory = Callable[[int], Recurrence]
for_all = pytest.mark.parametrize("factory", RECURRENCES.values(), ids=RECURRENCES)


def networks(factory: Factory, count: int = 3, readout: str = "every") -> list[Network]:
    made = [Network(factory(2), 2, readout).double() for _ in range(count)]
    for network in made:
        for parameter in network.parameters():
            if parameter.dim() == 2:
                nn.init.orthogonal_(parameter)
    return made


@pytest.fixture
def inputs() -> torch.Tensor:
    return torch.randn(3, 5, 2, dtype=torch.float64)


@for_all
@pytest.mark.parametrize("readout", ["last", "every"])
@pytest.mark.parametrize("count", [1, 3])
@pytest.mark.parametrize("lengths", [None, LENGTHS], ids=["whole", "lengths"])
def test_values_and_gradients_are_those_of_each_network_alone(factory, readout, count, lengths, inputs) -> None:
    alone = networks(factory, count, readout)
    ensemble = Ensemble(alone)
    outputs = ensemble(inputs, lengths)
    expected = torch.stack([network(inputs, lengths) for network in alone])
    close(outputs, expected)
    weights = torch.randn_like(expected)
    (outputs * weights).sum().backward()
    (expected * weights).sum().backward()
    for name, stack in ensemble.network.named_parameters():
        close(stack.grad, torch.stack([network.get_parameter(name).grad for network in alone]), msg=name)


def test_a_single_network_goes_around_vmap(monkeypatch: pytest.MonkeyPatch, inputs: torch.Tensor) -> None:
    monkeypatch.delattr(torch, "vmap")
    alone = networks(RECURRENCES["LSTM"], 1)
    assert torch.equal(Ensemble(alone)(inputs)[0], alone[0](inputs))
    with pytest.raises(AttributeError, match="vmap"):
        Ensemble(networks(RECURRENCES["LSTM"], 2))(inputs)


def test_a_network_that_overflows_leaves_the_others_alone(inputs: torch.Tensor) -> None:
    alone = networks(RECURRENCES["ElmanRNN"])
    with torch.no_grad():
        alone[1].readout.weight.fill_(torch.inf)
    ensemble = Ensemble(alone)
    outputs = ensemble(inputs)
    assert not outputs[1].isfinite().any()
    close(outputs[[0, 2]], torch.stack([alone[0](inputs), alone[2](inputs)]))
    outputs[[0, 2]].sum().backward()
    assert all(parameter.grad[[0, 2]].isfinite().all() for parameter in ensemble.parameters())


@for_all
def test_tensors_are_bit_equal_under_the_same_names(factory: Factory) -> None:
    alone = networks(factory)
    before = [{name: tensor.clone() for name, tensor in network.state_dict().items()} for network in alone]
    ensemble = Ensemble(alone)
    state = ensemble.network.state_dict()
    assert list(state) == list(before[0])
    for name, stack in state.items():
        assert torch.equal(stack, torch.stack([tensors[name] for tensors in before])), name
    for network, tensors in zip(alone, before, strict=True):
        assert all(torch.equal(tensor, tensors[name]) for name, tensor in network.state_dict().items())
    parameters = [name for name, _ in alone[0].named_parameters()]
    assert [name for name, _ in ensemble.network.named_parameters()] == parameters


@for_all
def test_the_networks_are_not_trained_through_the_ensemble(factory: Factory) -> None:
    alone = networks(factory)
    before = [tensor.clone() for tensor in alone[0].state_dict().values()]
    ensemble = Ensemble(alone)
    with torch.no_grad():
        for tensor in ensemble.state_dict().values():
            tensor.zero_()
    assert all(torch.equal(tensor, old) for tensor, old in zip(alone[0].state_dict().values(), before, strict=True))


@for_all
def test_an_instance_is_a_network_of_its_own(factory: Factory, inputs: torch.Tensor) -> None:
    alone = networks(factory)
    ensemble = Ensemble(alone)
    for index, network in enumerate(alone):
        copy = ensemble.instance(index)
        close(copy(inputs), network(inputs))
        assert all(torch.equal(tensor, network.state_dict()[name]) for name, tensor in copy.state_dict().items())
        with torch.no_grad():
            next(copy.parameters()).zero_()
    close(ensemble(inputs)[0], alone[0](inputs))


def tied_networks(count: int = 3) -> list[Network]:
    made = networks(functools.partial(ElmanRNN, hidden_size=2), count)
    for network in made:
        network.readout.weight = network.recurrence.weight_ih
    return made


def test_tied_weights_are_stacked_once(inputs: torch.Tensor) -> None:
    alone = tied_networks()
    ensemble = Ensemble(alone)
    network = ensemble.network
    assert network.readout.weight is network.recurrence.weight_ih
    assert len(list(ensemble.parameters())) == len(list(alone[0].parameters())) == 5
    assert list(ensemble.network.state_dict()) == list(alone[0].state_dict())
    ensemble(inputs).square().sum().backward()
    alone[2](inputs).square().sum().backward()
    close(network.readout.weight.grad[2], alone[2].readout.weight.grad)
    copy = ensemble.instance(2)
    assert copy.readout.weight is copy.recurrence.weight_ih


def test_frozen_parameters_stay_frozen() -> None:
    alone = networks(RECURRENCES["ElmanRNN"])
    for network in alone:
        network.readout.bias.requires_grad_(False)
    ensemble = Ensemble(alone)
    assert not ensemble.network.readout.bias.requires_grad
    assert ensemble.network.readout.weight.requires_grad
    assert not ensemble.instance(1).readout.bias.requires_grad


class Scaled(nn.Linear):
    """A layer with settings outside its tensors."""

    def __init__(self, scale: float = 1.0) -> None:
        super().__init__(2, 2)
        self.scale = scale


@pytest.mark.parametrize(
    ("others", "message"),
    [
        ([], "at least 1 network"),
        ([nn.Linear(2, 3), nn.Linear(2, 4)], r"tensors differ in weight: \(\(3, 2\).*\(\(4, 2\)"),
        ([nn.Linear(2, 3), nn.Linear(2, 3, bias=False)], "tensors differ in bias: .* and None"),
        ([nn.Linear(2, 3), nn.Linear(2, 3).double()], "tensors differ in weight: .*float32.*float64"),
        ([nn.Linear(2, 2), Scaled()], "modules differ in the network itself: .*Linear.*Scaled"),
        ([nn.Sequential(nn.Linear(2, 2)), nn.Sequential(nn.Linear(2, 2), nn.Tanh())], "modules differ in 1: None and"),
        ([nn.Sequential(Scaled()), nn.Sequential(Scaled(0.5))], r"settings differ in 0: .*'scale': 1.0.*'scale': 0.5"),
        ([OrthogonalRNN(1, 7), OrthogonalRNN(1, 7, time_activation="tanh")], "settings differ"),
        ([tied_networks(1)[0], networks(functools.partial(ElmanRNN, hidden_size=2), 1)[0]], "tied to recurrence"),
    ],
)
def test_unlike_networks_are_refused(others: list[nn.Module], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Ensemble(others)


def test_modules_may_be_replaced_after_a_forward():
    ensemble, other = (Ensemble([nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 2)) for _ in range(3)]) for _ in range(2))
    inputs = torch.randn(4, 3)
    before = ensemble(inputs)
    ensemble.network[1] = other.network[1]
    after = ensemble(inputs)
    assert not torch.equal(before, after)
    for index in range(3):
        torch.testing.assert_close(after[index], ensemble.instance(index)(inputs))


@pytest.mark.parametrize("size", [1, 3])
def test_gradients_of_summands_have_memory_of_their_own(size):
    ensemble = Ensemble([Network(ElmanRNN(2, 4), 3, "last") for _ in range(size)])
    ensemble(torch.randn(5, 6, 2)).sum().backward()
    places = [parameter.grad.untyped_storage().data_ptr() for parameter in ensemble.parameters()]
    assert len(set(places)) == len(places)


@pytest.mark.parametrize("index", [-1, 2])
def test_instances_that_are_not_there_are_refused(index: int) -> None:
    with pytest.raises(IndexError, match=f"instance must be at least 0 and below 2, got {index}"):
        Ensemble([nn.Linear(1, 1), nn.Linear(1, 1)]).instance(index)
