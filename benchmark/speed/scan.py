"""Forward and backward of one network over sequences as long as sequential MNIST's: scans of rnnbench and of others."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from rnnbench.benchmark.speed.cases import (
    LOOP,
    SequenceCase,
    build_first_of_ensemble,
    ensembles,
    sequence_report,
    training,
)
from rnnbench.benchmark.speed.contender import Contender, Report, Result, Target
from rnnbench.datamodules.seeds import derive_seed

#: Arrays by the names that they have in a network.
Weights = dict[str, Any]


class TorchNetwork(nn.Module):
    """A layer of ``torch.nn`` and an affine readout of its last output: inputs [B, T, 1] to logits [B, K].

    Layer and readout have the weights of the case's first network where they match.
    """

    def __init__(self, case: SequenceCase, kind: Callable[..., nn.RNNBase]) -> None:
        super().__init__()
        network = case.network(0)
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(derive_seed("speed", "weights", "torch.nn"))
            self.recurrence = kind(1, case.units, batch_first=True).to(case.dtype)
        if not isinstance(self.recurrence, nn.RNN):
            weights = network.recurrence.state_dict()
            self.recurrence.load_state_dict({f"{name}_l0": value for name, value in weights.items()})
        self.readout = network.readout

    def forward(self, inputs: Tensor) -> Tensor:
        """Return logits [B, K]."""
        # The final state, not the last of all outputs: without a gradient of all outputs it is faster.
        final = self.recurrence(inputs)[1]
        hidden = final[0] if isinstance(self.recurrence, nn.LSTM) else final
        logits: Tensor = self.readout(hidden[-1])
        return logits


def build_torch(case: SequenceCase, kind: Callable[..., nn.RNNBase]) -> Callable[[], Result]:
    """Prepare the network of ``torch.nn``'s layer."""
    work = training(TorchNetwork(case, kind), case.data())
    return lambda: {name.removesuffix("_l0"): value for name, value in work().items()}


def build_floor(case: SequenceCase) -> Callable[[], Result]:
    """Prepare the matrix products of a residual network: one a step forward, two backward, and nothing else."""
    units, shape = case.units, (case.sequences, case.units)
    generator = torch.Generator().manual_seed(0)
    weight = torch.randn(units, units, dtype=case.dtype, generator=generator)
    state = torch.randn(shape, dtype=case.dtype, generator=generator)
    product, gradient = torch.empty_like(state), torch.zeros_like(weight)

    @torch.no_grad()
    def work() -> Result:
        for _ in range(case.steps):
            torch.mm(state, weight.t(), out=product)
        for _ in range(case.steps):
            torch.mm(state, weight, out=product)
            gradient.addmm_(state.t(), state)
        return {"product": product.double().numpy()}

    return work


def build_jax(case: SequenceCase, project_in_step: bool) -> Callable[[], Result]:
    """Prepare one instance whose gradients jax derives; the first call compiles.

    Inputs are projected for all steps at once, as the plain loop does it, or in the step, which spares memory traffic.
    """
    import jax  # optional
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

_OURS = ensembles(1, 2, 5)
_ALONE, *_TOGETHER = (contender.name for contender in _OURS)
# What there is without a C compiler.
_IN_PYTORCH = Contender(
    "rnnbench in PyTorch alone, M = 5", partial(build_first_of_ensemble, instances=5, scan="eager"), instances=5
)
_JAX, _JAX_IN_STEP = (
    Contender(name, partial(build_jax, project_in_step=in_step), package="jax")
    for name, in_step in (("jax.lax.scan", False), ("jax.lax.scan, inputs projected in the step", True))
)
_FLOOR = Contender("floor: three matrix products a step", build_floor, compared=False)
# Not residual: it does other work, and is what people would use.
_RNN = Contender("nn.RNN (not residual)", partial(build_torch, kind=nn.RNN), compared=False)
_LSTM, _GRU = (Contender(f"nn.{kind.__name__}", partial(build_torch, kind=kind)) for kind in (nn.LSTM, nn.GRU))


def _report(
    case: SequenceCase,
    others: tuple[Contender[SequenceCase], ...],
    largest: dict[str, float],
    quick: SequenceCase | None = None,
    targets: tuple[Target, ...] = (),
) -> Report[SequenceCase]:
    """Return a report of a case; ``largest`` are targets of the better of M = 2 and M = 5 by the reference's name."""
    bounds = [Target(tuple(_TOGETHER), (name,), ratio) for name, ratio in largest.items()]
    if case.cell.startswith("WCRNN"):
        bounds.append(Target((_ALONE,), tuple(_TOGETHER), 1.2))
    else:
        bounds += [replace(target, contenders=(_ALONE,)) for target in bounds]
    compiled = () if case.cell == "GRU" else (_IN_PYTORCH,)
    return sequence_report(
        f"forward and backward of {case.cell}, {case.units} units, {case.precision}",
        case,
        (LOOP, *_OURS, *compiled, *others, _JAX, _JAX_IN_STEP),
        quick=quick,
        targets=(*bounds, *targets),
    )


_DIAGONAL = SequenceCase("WCRNN, diagonal R", units=100)
_DIAGONAL_OURS = ensembles(
    *(1, 2, 5),
    prefix="rnnbench, diagonal R",
    build=lambda case, instances: build_first_of_ensemble(replace(case, cell=_DIAGONAL.cell), instances),
    compared=False,
)
REPORTS = (
    _report(
        _DIAGONAL,
        (_RNN, _FLOOR),
        {LOOP.name: 0.58, _RNN.name: 0.70, _JAX.name: 0.55, _FLOOR.name: 1.55},
        quick=replace(_DIAGONAL, sequences=4, steps=10),
    ),
    _report(replace(_DIAGONAL, units=50), (_RNN, _FLOOR), {LOOP.name: 0.40, _RNN.name: 0.55}),
    _report(
        SequenceCase("WCRNN, rotation R", units=100),
        (*_DIAGONAL_OURS, _FLOOR),
        {},
        targets=(Target(tuple(_TOGETHER), tuple(contender.name for contender in _DIAGONAL_OURS[1:]), 1.15),),
    ),
    _report(SequenceCase("LSTM", units=47), (_LSTM,), {_LSTM.name: 0.80}),
    _report(SequenceCase("GRU", units=58), (_GRU,), {_GRU.name: 0.80}),
)
