"""The products that Lyapunov exponents are made of equal the Jacobian of ``step``, of every recurrence."""

import copy

import pytest
import torch
from torch.func import functional_call, jacfwd, vmap

from rnnbench.lit_models.contracts import RecurrenceCase, normal, visited_state
from rnnbench.lit_models.dynamics.tangent import tangent_products
from rnnbench.lit_models.ensemble import Ensemble
from rnnbench.lit_models.recurrence import Recurrence
from tests.contracts.builders import INPUTS, variants

BATCH, VECTORS, INSTANCES = 3, 5, 2


@pytest.mark.parametrize(("cls", "arguments"), variants())
def test_products_equal_the_jacobian_times_vectors(cls: type[Recurrence], arguments: dict[str, object]) -> None:
    ensemble = Ensemble([RecurrenceCase(cls, arguments).build(seed) for seed in range(INSTANCES)])
    inputs, state = normal(BATCH, INPUTS, seed=2), visited_state(ensemble.instance(0))
    vectors = normal(VECTORS, BATCH, state.shape[1], seed=3)
    skeleton = Stepper(copy.deepcopy(ensemble.network).to("meta"))
    tensors = {
        f"recurrence.{name}": value
        for name, value in [*ensemble.network.named_parameters(), *ensemble.network.named_buffers()]
    }

    def jacobians(own: dict[str, torch.Tensor]) -> torch.Tensor:
        return jacfwd(lambda value: functional_call(skeleton, own, (inputs, value)))(state)

    together = vmap(jacobians)(tensors).detach()
    for i in range(INSTANCES):
        instance = ensemble.instance(i)
        products = tangent_products(instance, instance.project(inputs), state, vectors)
        expected = torch.einsum("bicj,kcj->kbi", together[i], vectors)
        torch.testing.assert_close(products, expected, atol=1e-10, rtol=1e-10)
        assert products.abs().max() > 0


class Stepper(torch.nn.Module):
    """Makes ``step`` what a module does when called."""

    def __init__(self, recurrence: Recurrence) -> None:
        super().__init__()
        self.recurrence = recurrence

    def forward(self, inputs: torch.Tensor, state: torch.Tensor) -> torch.Tensor:
        return self.recurrence.step(inputs, state)
