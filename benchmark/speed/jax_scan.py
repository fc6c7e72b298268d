"""The work of ``SequenceCase`` written for jax: one step of each cell, scanned by ``jax.lax.scan``.

Inputs are projected for all steps at once, as the plain loop does it, or in the step, which spares jax memory traffic.

jax is optional: it is imported where it is used, so that this module can be imported without it.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from rnnbench.benchmark.speed.cases import SequenceCase
from rnnbench.benchmark.speed.contender import Result

#: Arrays by the names that they have in a network.
Weights = dict[str, Any]


def build_jax(case: SequenceCase, project_in_step: bool) -> Callable[[], Result]:
    """Prepare one instance whose gradients jax derives; the first call compiles."""
    import jax
    import jax.numpy as jnp

    jax.config.update("jax_platforms", "cpu")
    jax.config.update("jax_enable_x64", case.precision == "float64")
    network = case.network(0)
    parameters = {name: jnp.asarray(value.detach().numpy()) for name, value in network.named_parameters()}
    buffers = {name: jnp.asarray(value.numpy()) for name, value in network.named_buffers()}
    inputs, classes = (jnp.asarray(tensor.numpy()) for tensor in case.data())
    state = jnp.zeros((case.sequences, network.recurrence.state_size), inputs.dtype)
    project, advance = _CELLS[case.cell]

    def loss_of(parameters: Weights, inputs: Any, classes: Any) -> Any:
        weights = {name.removeprefix("recurrence."): value for name, value in {**parameters, **buffers}.items()}
        steps = inputs.swapaxes(0, 1)
        if project_in_step:
            final, _ = jax.lax.scan(lambda h, x: (advance(jax, weights, project(weights, x), h), None), state, steps)
        else:
            final, _ = jax.lax.scan(lambda h, x: (advance(jax, weights, x, h), None), state, project(weights, steps))
        logits = final[:, : case.units] @ weights["readout.weight"].T + weights["readout.bias"]
        chosen = jnp.take_along_axis(jax.nn.log_softmax(logits), classes[:, None], 1)
        return -chosen.mean()

    differentiate = jax.jit(jax.value_and_grad(loss_of))

    def work() -> Result:
        loss, gradients = differentiate(parameters, inputs, classes)
        return {name: np.asarray(value, np.float64) for name, value in {"loss": loss, **gradients}.items()}

    return work


def _project_wcrnn(weights: Weights, inputs: Any) -> Any:
    return inputs @ weights["input_map.weight"].T + (weights["input_map.bias"] + weights["recurrent_map.bias"])


def _diagonal(jax: Any, weights: Weights, projected: Any, state: Any) -> Any:
    coupling = weights["gamma"] * jax.nn.tanh(projected + state @ weights["recurrent_map.weight"].T)
    return weights["residual_own"] * state + coupling


def _rotation(jax: Any, weights: Weights, projected: Any, state: Any) -> Any:
    swapped = state.reshape(len(state), -1, 2)[..., ::-1].reshape(state.shape)
    return _diagonal(jax, weights, projected, state) + weights["residual_cross"] * swapped


def _project_gated(weights: Weights, inputs: Any) -> Any:
    return inputs @ weights["weight_ih"].T + weights["bias_ih"]


def _lstm(jax: Any, weights: Weights, projected: Any, state: Any) -> Any:
    hidden, cell = jax.numpy.split(state, 2, -1)
    gates = projected + hidden @ weights["weight_hh"].T + weights["bias_hh"]
    input_gate, forget_gate, candidate, output_gate = jax.numpy.split(gates, 4, -1)
    cell = jax.nn.sigmoid(forget_gate) * cell + jax.nn.sigmoid(input_gate) * jax.nn.tanh(candidate)
    return jax.numpy.concatenate([jax.nn.sigmoid(output_gate) * jax.nn.tanh(cell), cell], -1)


def _gru(jax: Any, weights: Weights, projected: Any, state: Any) -> Any:
    reset_in, update_in, new_in = jax.numpy.split(projected, 3, -1)
    reset_h, update_h, new_h = jax.numpy.split(state @ weights["weight_hh"].T + weights["bias_hh"], 3, -1)
    new = jax.nn.tanh(new_in + jax.nn.sigmoid(reset_in + reset_h) * new_h)
    return new + jax.nn.sigmoid(update_in + update_h) * (state - new)


# What projects inputs [..., D], and what gives the next state from jax itself, weights, projected inputs and state.
_CELLS: dict[str, tuple[Callable[[Weights, Any], Any], Callable[[Any, Weights, Any, Any], Any]]] = {
    "WCRNN, diagonal R": (_project_wcrnn, _diagonal),
    "WCRNN, rotation R": (_project_wcrnn, _rotation),
    "LSTM": (_project_gated, _lstm),
    "GRU": (_project_gated, _gru),
}
