"""Forward and backward of one network over sequences as long as sequential MNIST's: scans of rnnbench and of others."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial

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
from rnnbench.benchmark.speed.jax_scan import build_jax
from rnnbench.datamodules.seeds import derive_seed


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
