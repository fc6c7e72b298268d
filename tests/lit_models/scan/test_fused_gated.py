"""The hand-derived scans of LSTM and GRU against the loop over ``step``, in float64."""

import pytest
import torch
from torch import nn

from rnnbench.lit_models.ensemble import Ensemble
from rnnbench.lit_models.network import Network
from rnnbench.lit_models.recurrences.gated import GRU, LSTM
from rnnbench.lit_models.recurrences.stacked import StackedRNN
from rnnbench.lit_models.scan.eager.gru import GRUKernel
from rnnbench.lit_models.scan.eager.lstm import LSTMKernel
from tests.lit_models.scan.against_loop import assert_equal, both, gradients, takes_loop

CELLS = pytest.mark.parametrize("cell", [LSTM, GRU])
WALKS = {LSTM: LSTMKernel, GRU: GRUKernel}


pytestmark = pytest.mark.usefixtures("float64")


def ensemble_of(size, cell, inputs=2, units=5, readout="last"):
    return Ensemble([Network(cell(inputs, units), 3, readout) for _ in range(size)])


@CELLS
@pytest.mark.parametrize("readout", ["last", "every"])
@pytest.mark.parametrize("size", [1, 2, 3, 5])
@pytest.mark.parametrize("batch", [4, 17])
def test_an_ensemble_equals_the_loop(cell, readout, size, batch):
    ensemble = ensemble_of(size, cell, readout=readout)
    inputs = torch.randn(batch, 7, 2, requires_grad=True)
    assert_equal(lambda: gradients(ensemble(inputs), [inputs, *ensemble.parameters()]))


@CELLS
@pytest.mark.parametrize(
    ("steps", "batch", "features", "units"), [(1, 1, 1, 1), (1, 4, 2, 3), (6, 1, 3, 2), (5, 20, 7, 2)]
)
def test_a_recurrence_alone_equals_the_loop_from_any_state(cell, steps, batch, features, units):
    recurrence = cell(features, units)
    inputs = torch.randn(steps, batch, features, requires_grad=True)
    state = torch.randn(batch, recurrence.state_size, requires_grad=True)

    def compute():
        outputs, final = recurrence(inputs, state)
        return gradients(torch.cat([outputs.flatten(), final.flatten()]), [inputs, state, *recurrence.parameters()])

    assert_equal(compute)


@CELLS
def test_many_steps_span_several_chunks_of_memory(cell, monkeypatch):
    monkeypatch.setattr("rnnbench.lit_models.scan.eager.layout._STORE_BYTES", 4000)
    ensemble = ensemble_of(2, cell)
    inputs = torch.randn(3, 23, 2, requires_grad=True)
    assert_equal(lambda: gradients(ensemble(inputs), [inputs, *ensemble.parameters()]))


@CELLS
def test_inputs_may_be_strided_or_expanded(cell):
    recurrence = cell(2, 3)
    strided = torch.randn(4, 2, 12).permute(2, 0, 1)[::2]
    expanded = torch.randn(6, 1, 2).expand(6, 4, 2)
    for inputs in (strided, expanded):
        assert_equal(lambda inputs=inputs: gradients(recurrence(inputs)[0], list(recurrence.parameters())))


@CELLS
def test_some_outputs_alone_pull_gradients(cell):
    recurrence = cell(2, 3)
    inputs = torch.randn(6, 4, 2)
    assert_equal(lambda: gradients(recurrence(inputs)[0][2], list(recurrence.parameters())))


@CELLS
@pytest.mark.parametrize("wanted", ["inputs", "state", "weight_ih"])
def test_one_kind_of_gradient_may_be_all_that_is_wanted(cell, wanted):
    recurrence = cell(2, 3).requires_grad_(False)
    tensors = {"inputs": torch.randn(5, 4, 2), "state": torch.randn(4, recurrence.state_size)}
    tensor = tensors.get(wanted, recurrence.weight_ih).requires_grad_()
    assert_equal(lambda: gradients(recurrence.forward_last(**tensors)[1], [tensor]))


@CELLS
@pytest.mark.parametrize("size", [1, 3])
def test_layers_on_each_other_in_an_ensemble_equal_the_loop(cell, size):
    def stack(inputs, units):
        return StackedRNN(inputs, lambda features: cell(features, units), num_layers=2)

    ensemble = ensemble_of(size, stack)
    inputs = torch.randn(4, 7, 2, requires_grad=True)
    assert_equal(lambda: gradients(ensemble(inputs), [inputs, *ensemble.parameters()]))


@CELLS
def test_a_batched_initial_state_and_batched_inputs_under_vmap(cell):
    recurrence = cell(2, 3)
    inputs = torch.randn(6, 4, 5, 2, requires_grad=True)
    states = torch.randn(5, 4, recurrence.state_size, requires_grad=True)

    def compute():
        finals = torch.vmap(lambda x, h: recurrence.forward_last(x, h)[1], in_dims=(2, 0))(inputs, states)
        return gradients(finals, [inputs, states, *recurrence.parameters()])

    assert_equal(compute)


@CELLS
def test_gradients_within_and_around_vmap(cell):
    recurrence = cell(2, 3)
    own = dict(recurrence.named_parameters())
    stacks = {name: torch.randn(2, 3, *tensor.shape) for name, tensor in own.items()}
    inputs = torch.randn(6, 4, 2)

    def loss(tensors, inputs):
        outputs, final = torch.func.functional_call(recurrence, tensors, (inputs,))
        return (outputs**3).sum() + (final**2).sum()

    def summed(tensors, inputs):
        return torch.vmap(torch.vmap(loss, (0, None)), (0, None))(tensors, inputs).sum()

    def compute():
        each = torch.func.grad(loss, argnums=(0, 1))
        within = torch.vmap(torch.vmap(each, in_dims=(0, None)), in_dims=(0, None))(stacks, inputs)
        return within, torch.func.grad(summed, argnums=(0, 1))(stacks, inputs)

    assert_equal(compute)


def stored_by(cell, monkeypatch):
    """Return a list that fills with the numbers of elements which each forward pass keeps."""
    kept = []

    class Watched(WALKS[cell]):
        def forward(self, *args):
            outputs, final, stores = super().forward(*args)
            kept.append(sum(stored.numel() for stored in stores))
            return outputs, final, stores

    monkeypatch.setattr(f"rnnbench.lit_models.recurrences.gated.{WALKS[cell].__name__}", Watched)
    return kept


@CELLS
@pytest.mark.parametrize("size", [1, 3])
@pytest.mark.parametrize("readout", ["last", "every"])
def test_without_gradients_the_values_are_the_same_and_nothing_is_stored(cell, size, readout, monkeypatch):
    kept = stored_by(cell, monkeypatch)
    ensemble = ensemble_of(size, cell, readout=readout)
    inputs = torch.randn(4, 7, 2)
    with torch.no_grad():
        assert_equal(lambda: ensemble(inputs))
    ensemble.requires_grad_(False)
    assert_equal(lambda: ensemble(inputs))
    assert kept
    assert not any(kept)


@CELLS
@pytest.mark.parametrize("size", [1, 3])
def test_what_is_stored_is_at_most_six_numbers_a_unit_and_step(cell, size, monkeypatch):
    kept = stored_by(cell, monkeypatch)
    ensemble_of(size, cell)(torch.randn(4, 7, 2)).sum().backward()
    assert kept == [size * 7 * 4 * 5 * {LSTM: 6, GRU: 5}[cell]]


@CELLS
def test_backward_may_be_repeated_while_other_graphs_live(cell):
    ensemble = ensemble_of(2, cell)
    parameters = list(ensemble.parameters())
    first, second = (ensemble(torch.randn(4, 7, 2)).pow(2).sum() for _ in range(2))
    expected = torch.autograd.grad(first, parameters, retain_graph=True)
    torch.autograd.grad(second, parameters)
    torch.testing.assert_close(torch.autograd.grad(first, parameters), expected, rtol=0, atol=0)


@CELLS
@pytest.mark.parametrize("size", [1, 2])
def test_a_second_derivative_raises(cell, size):
    ensemble = ensemble_of(size, cell)
    inputs = torch.randn(4, 7, 2)
    slopes = torch.autograd.grad(ensemble(inputs).pow(2).sum(), list(ensemble.parameters()), create_graph=True)
    with pytest.raises(RuntimeError, match="no second derivative"):
        sum(slope.pow(2).sum() for slope in slopes).backward()


@CELLS
def test_forward_mode_raises(cell):
    recurrence = cell(2, 3)
    inputs = torch.randn(5, 4, 2)
    with pytest.raises(RuntimeError, match="no derivative in forward mode"):
        torch.func.jvp(lambda x: recurrence(x)[1], (inputs,), (inputs,))
    with pytest.raises(RuntimeError, match="no derivative in forward mode"):
        torch.func.jacfwd(lambda x: recurrence(x)[1])(inputs)


@CELLS
def test_in_float32_it_is_about_as_exact_as_the_loop(cell):
    exact = cell(2, 20)
    inputs = torch.randn(100, 8, 2)
    expected = gradients(exact(inputs)[0], list(exact.parameters()))
    single = cell(2, 20).float()
    single.load_state_dict(exact.state_dict())
    near = both(lambda: gradients(single(inputs.float())[0], list(single.parameters())))
    for true, by_loop, fused in zip(expected, *near, strict=True):
        scale = true.abs().max()
        assert (fused - true).abs().max() / scale <= 3 * (by_loop - true).abs().max() / scale + 1e-6


@CELLS
def test_half_precision_and_autocast_run_the_loop(cell):
    recurrence = cell(2, 3)
    assert takes_loop(recurrence.bfloat16(), torch.ones(5, 4, 2).bfloat16())
    recurrence.float()
    with torch.autocast("cpu", torch.bfloat16):
        assert takes_loop(recurrence, torch.ones(5, 4, 2).float())
        assert recurrence(torch.ones(5, 4, 2).float())[0].shape == (5, 4, 3)


@CELLS
def test_frozen_parts_get_no_gradient_and_the_rest_does(cell):
    ensemble = ensemble_of(2, cell)
    ensemble.network.recurrence.weight_hh.requires_grad_(False)
    trained = [parameter for parameter in ensemble.parameters() if parameter.requires_grad]
    inputs = torch.randn(4, 7, 2)
    assert_equal(lambda: gradients(ensemble(inputs), trained))
    nn.functional.mse_loss(ensemble(inputs), torch.zeros(2, 4, 3)).backward()
    assert ensemble.network.recurrence.weight_hh.grad is None
