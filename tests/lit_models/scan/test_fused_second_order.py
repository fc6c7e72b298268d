"""The hand-derived scan of second-order networks in CP factors against the loop over ``step``, in float64."""

import pytest
import torch

from rnnbench.lit_models.ensemble import Ensemble
from rnnbench.lit_models.network import Network
from rnnbench.lit_models.recurrences.second_order import SecondOrderRNN
from tests.lit_models.scan.against_loop import assert_equal, gradients, takes_loop

ACTIVATIONS = pytest.mark.parametrize("activation", ["tanh", "relu", "identity"])


pytestmark = pytest.mark.usefixtures("float64")


@ACTIVATIONS
@pytest.mark.parametrize("readout", ["last", "every"])
@pytest.mark.parametrize("size", [1, 3])
@pytest.mark.parametrize("batch", [4, 17])
def test_an_ensemble_equals_the_loop(activation, readout, size, batch):
    ensemble = Ensemble([Network(SecondOrderRNN(2, 5, 4, activation), 3, readout) for _ in range(size)])
    inputs = torch.randn(batch, 7, 2, requires_grad=True)
    assert_equal(lambda: gradients(ensemble(inputs), [inputs, *ensemble.parameters()]))


@ACTIVATIONS
@pytest.mark.parametrize(
    ("steps", "batch", "features", "units", "rank"), [(1, 1, 1, 1, 1), (6, 1, 3, 2, 7), (5, 3, 7, 4, 2)]
)
def test_a_recurrence_alone_equals_the_loop_from_any_state(activation, steps, batch, features, units, rank):
    recurrence = SecondOrderRNN(features, units, rank, activation)
    inputs = torch.randn(steps, batch, features, requires_grad=True)
    state = torch.randn(batch, units, requires_grad=True)

    def compute():
        outputs, final = recurrence(inputs, state)
        return gradients(torch.cat([outputs.flatten(), final.flatten()]), [inputs, state, *recurrence.parameters()])

    assert_equal(compute)


@pytest.mark.parametrize("size", [1, 3])
def test_without_gradients_the_values_are_the_same(size):
    ensemble = Ensemble([Network(SecondOrderRNN(2, 5, 4), 3, "every") for _ in range(size)])
    inputs = torch.randn(4, 7, 2)
    with torch.no_grad():
        assert_equal(lambda: ensemble(inputs))


def test_the_full_tensor_walks_the_loop():
    assert takes_loop(SecondOrderRNN(2, 3), torch.randn(5, 4, 2))
    assert not takes_loop(SecondOrderRNN(2, 3, 2), torch.randn(5, 4, 2))
