"""Forward and backward of one network over sequences as long as sequential MNIST's: scans of rnnbench and of others."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from rnnbench.benchmark.speed.cases import SequenceCase, build_first_of_ensemble, build_loop, training
from rnnbench.benchmark.speed.contender import Contender, Report, Result, Target
from rnnbench.benchmark.speed.jax_scan import build_jax
from rnnbench.datamodules.seeds import derive_seed


class TorchNetwork(nn.Module):
    """A layer of ``torch.nn`` and an affine readout of its last output."""

    def __init__(self, layer: nn.RNNBase, readout: nn.Linear) -> None:
        """Take a layer that is batch-major, and its readout."""
        super().__init__()
        self.recurrence, self.readout = layer, readout

    def forward(self, inputs: Tensor) -> Tensor:
        """Return logits [B, K] for inputs [B, T, 1]."""
        # The final state, not the last of all outputs: without a gradient of all outputs it is faster.
        final = self.recurrence(inputs)[1]
        hidden = final[0] if isinstance(self.recurrence, nn.LSTM) else final
        logits: Tensor = self.readout(hidden[-1])
        return logits


def torch_network(case: SequenceCase, kind: Callable[..., nn.RNNBase]) -> TorchNetwork:
    """Return ``torch.nn``'s layer with a readout, and the weights of the case's first network where they match."""
    network = case.network(0)
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(derive_seed("speed", "weights", "torch.nn"))
        layer = kind(1, case.units, batch_first=True).to(case.dtype)
    if not isinstance(layer, nn.RNN):
        layer.load_state_dict({f"{name}_l0": value for name, value in network.recurrence.state_dict().items()})
    return TorchNetwork(layer, network.readout)


def build_torch(case: SequenceCase, kind: Callable[..., nn.RNNBase]) -> Callable[[], Result]:
    """Prepare the network of ``torch.nn``'s layer."""
    work = training(torch_network(case, kind), case.data())
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


def _ours(prefix: str, compared: bool = True, **other: Any) -> list[Contender[SequenceCase]]:
    def build(case: SequenceCase, size: int) -> Callable[[], Result]:
        return build_first_of_ensemble(replace(case, **other), size)

    return [
        Contender(f"{prefix}, M = {size}", partial(build, size=size), instances=size, compared=compared)
        for size in (1, 2, 5)
    ]


_ALONE, *_TOGETHER = (contender.name for contender in _ours("rnnbench"))
# What there is without a C compiler.
_IN_PYTORCH = Contender(
    "rnnbench in PyTorch alone, M = 5", partial(build_first_of_ensemble, instances=5, scan="eager"), instances=5
)
_LOOP = Contender("plain loop", build_loop)
_JAX = Contender("jax.lax.scan", partial(build_jax, project_in_step=False), package="jax")
_JAX_IN_STEP = Contender(
    "jax.lax.scan, inputs projected in the step", partial(build_jax, project_in_step=True), package="jax"
)
_FLOOR = Contender("floor: three matrix products a step", build_floor, compared=False)
# Not residual: it does other work, and is what people would use.
_RNN = Contender("nn.RNN (not residual)", partial(build_torch, kind=nn.RNN), compared=False)
_LSTM = Contender("nn.LSTM", partial(build_torch, kind=nn.LSTM))
_GRU = Contender("nn.GRU", partial(build_torch, kind=nn.GRU))


def _report(
    case: SequenceCase,
    others: list[Contender[SequenceCase]],
    largest: dict[str, float],
    quick: SequenceCase | None = None,
) -> Report[SequenceCase]:
    """Return a report of a case; ``largest`` are targets of the better of M = 2 and M = 5 by the reference's name."""
    targets = [Target(tuple(_TOGETHER), (name,), ratio) for name, ratio in largest.items()]
    compiled = [] if case.cell == "GRU" else [_IN_PYTORCH]
    if case.cell.startswith("WCRNN"):
        targets.append(Target((_ALONE,), tuple(_TOGETHER), 1.2))
    else:
        targets += [replace(target, contenders=(_ALONE,)) for target in targets]
    return Report(
        title=f"forward and backward of {case.cell}, {case.units} units, {case.precision}",
        case=case,
        quick=quick,
        contenders=(_LOOP, *_ours("rnnbench"), *compiled, *others, _JAX, _JAX_IN_STEP),
        # Sums of some thousand products, in double precision.
        tolerance=1e-10,
        agreement=case.for_agreement(),
        targets=tuple(targets),
    )


_DIAGONAL = SequenceCase("WCRNN, diagonal R", units=100)
_DIAGONAL_OURS = _ours("rnnbench, diagonal R", compared=False, cell="WCRNN, diagonal R")
_ROTATION = _report(SequenceCase("WCRNN, rotation R", units=100), [*_DIAGONAL_OURS, _FLOOR], {})
_TO_DIAGONAL = Target(tuple(_TOGETHER), tuple(contender.name for contender in _DIAGONAL_OURS[1:]), 1.15)
REPORTS = (
    _report(
        _DIAGONAL,
        [_RNN, _FLOOR],
        {_LOOP.name: 0.58, _RNN.name: 0.70, _JAX.name: 0.55, _FLOOR.name: 1.55},
        quick=replace(_DIAGONAL, sequences=4, steps=10),
    ),
    _report(replace(_DIAGONAL, units=50), [_RNN, _FLOOR], {_LOOP.name: 0.40, _RNN.name: 0.55}),
    replace(_ROTATION, targets=(*_ROTATION.targets, _TO_DIAGONAL)),
    _report(SequenceCase("LSTM", units=47), [_LSTM], {_LSTM.name: 0.80}),
    _report(SequenceCase("GRU", units=58), [_GRU], {_GRU.name: 0.80}),
)
