"""Cases that several reports share: loss and gradients of small recurrent classifiers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from rnnbench.benchmark.speed.contender import Contender, Measured, Report, Result
from rnnbench.datamodules.seeds import derive_seed, named_generator
from rnnbench.lit_models.ensemble import Ensemble
from rnnbench.lit_models.network import Network
from rnnbench.lit_models.recurrence import Recurrence
from rnnbench.lit_models.recurrences.block_diagonal import BlockDiagonalRNN
from rnnbench.lit_models.recurrences.delta_net import DeltaNet
from rnnbench.lit_models.recurrences.gated import GRU, LSTM
from rnnbench.lit_models.recurrences.linoss import LinOSS
from rnnbench.lit_models.recurrences.lru import LRU
from rnnbench.lit_models.recurrences.minimal import MinGRU, MinLSTM
from rnnbench.lit_models.recurrences.mlstm import MLSTM
from rnnbench.lit_models.recurrences.rg_lru import RGLRU
from rnnbench.lit_models.recurrences.rwkv7 import RWKV7
from rnnbench.lit_models.recurrences.s4 import S4
from rnnbench.lit_models.recurrences.s4d import S4D
from rnnbench.lit_models.recurrences.s6 import S6
from rnnbench.lit_models.recurrences.wcrnn import WCRNN
from rnnbench.lit_models.scan.policy import BackendName, CheckpointEvery, use_backend

Cell = Literal[
    "WCRNN, diagonal R",
    "WCRNN, rotation R",
    "LSTM",
    "GRU",
    "S4D",
    "S4",
    "LRU",
    "LinOSS",
    "MinGRU",
    "MinLSTM",
    "RGLRU",
    "S6",
    "BlockDiagonalRNN",
    "DeltaNet",
    "DeltaNet, gated",
    "MLSTM",
    "RWKV7",
]
CLASSES = 10
_PLAIN: dict[str, Callable[[int, int], Recurrence]] = {
    **{cls.__name__: cls for cls in (LSTM, GRU, S4D, S4, LRU, LinOSS, MinGRU, MinLSTM, RGLRU, S6, BlockDiagonalRNN)},
    **{cls.__name__: partial(cls, heads=4) for cls in (DeltaNet, MLSTM, RWKV7)},
    "DeltaNet, gated": partial(DeltaNet, heads=4, gated=True),
}


@dataclass(frozen=True)
class SequenceCase:
    """N units of a cell, B sequences of T inputs from U(0, 1), classified into 10 at the last step.

    ``gamma`` is the coupling of a WCRNN.
    """

    cell: Cell = "WCRNN, diagonal R"
    units: int = 100
    sequences: int = 128
    steps: int = 784
    precision: Literal["float32", "float64"] = "float32"
    gamma: float = 0.01

    def for_agreement(self) -> SequenceCase:
        """Return a small case in double precision, where formulas that agree do so to the last digits."""
        # So strongly coupled that an error in the coupling's gradient cannot hide.
        return replace(self, units=12, sequences=5, steps=20, precision="float64", gamma=1.0)

    def recurrence(self) -> Recurrence:
        """Return a recurrence of one input, drawn from the global generator."""
        if self.cell in _PLAIN:
            return _PLAIN[self.cell](1, self.units)
        if self.cell == "WCRNN, rotation R":
            return WCRNN(1, self.units, residual="rotation", phi=(0.0, 1.0), gamma=self.gamma)
        return WCRNN(1, self.units, residual="diagonal", r=(0.9, 1.0), gamma=self.gamma)

    def network(self, instance: int) -> Network:
        """Return an instance, the same in every process."""
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(derive_seed("speed", "weights", instance))
            return Network(self.recurrence(), CLASSES, "last").to(self.dtype)

    def data(self) -> tuple[Tensor, Tensor]:
        """Return inputs [B, T, 1] and classes [B], which all instances share."""
        generator = named_generator("speed", "data")
        inputs = torch.rand(self.sequences, self.steps, 1, dtype=torch.float64, generator=generator)
        return inputs.to(self.dtype), torch.randint(CLASSES, (self.sequences,), generator=generator)

    @property
    def dtype(self) -> torch.dtype:
        """The numbers' type."""
        return torch.float64 if self.precision == "float64" else torch.float32


def class_losses(logits: Tensor, classes: Tensor) -> Tensor:
    """Return the mean cross-entropy [...] of logits [..., B, K] for classes [B]."""
    chosen = functional.log_softmax(logits, -1).gather(-1, classes.unsqueeze(-1).expand(*logits.shape[:-1], 1))
    return -chosen.squeeze(-1).mean(-1)


def gradient_work(
    network: nn.Module,
    data: tuple[Tensor, Tensor],
    scan: BackendName = "auto",
    checkpoint_every: CheckpointEvery = None,
) -> Callable[[], dict[str, Tensor]]:
    """Prepare the ``loss`` of every instance and its gradients by name, computed again at each call, on its device.

    The network gives logits [..., B, K] for the data, inputs [B, T, 1] and classes [B].
    """
    inputs, classes = data
    parameters = {name.removeprefix("network."): value for name, value in network.named_parameters()}

    def work() -> dict[str, Tensor]:
        with use_backend(scan, checkpoint_every):
            losses = class_losses(network(inputs), classes)
            gradients = torch.autograd.grad(losses.sum(), list(parameters.values()), allow_unused=True)
        known = {name: value for name, value in zip(parameters, gradients, strict=True) if value is not None}
        return {"loss": losses.detach(), **known}

    return work


def training(
    network: nn.Module, data: tuple[Tensor, Tensor], scan: BackendName = "auto", every: CheckpointEvery = None
) -> Callable[[], Result]:
    """Prepare ``gradient_work`` on the processor, as what contenders return."""
    work = gradient_work(network, data, scan, every)
    return lambda: {name: tensor.double().numpy() for name, tensor in work().items()}


def build_loops_in_turn(case: SequenceCase, instances: int) -> Callable[[], Result]:
    """Prepare M instances on the plain loop, one after the other; the result is stacked, [M, ...]."""
    data = case.data()
    works = [training(case.network(index), data, "loop") for index in range(instances)]

    def work() -> Result:
        results = [each() for each in works]
        return {name: np.stack([result[name] for result in results]) for name in results[0]}

    return work


def build_ensemble(
    case: SequenceCase, instances: int, scan: BackendName = "auto", checkpoint_every: CheckpointEvery = None
) -> Callable[[], Result]:
    """Prepare M instances in one ensemble; the result is stacked, [M, ...]."""
    ensemble = Ensemble([case.network(index) for index in range(instances)])
    return training(ensemble, case.data(), scan, checkpoint_every)


def build_first_of_ensemble(case: SequenceCase, instances: int, **settings: Any) -> Callable[[], Result]:
    """Prepare ``build_ensemble``; the result is that of the first instance, to be compared with one alone."""
    work = build_ensemble(case, instances, **settings)
    return lambda: {name: stack[0] for name, stack in work().items()}


def ensembles(
    *sizes: int,
    prefix: str = "rnnbench",
    build: Callable[..., Callable[[], Result | Measured]] = build_first_of_ensemble,
    **settings: Any,
) -> tuple[Contender[SequenceCase], ...]:
    """Return contenders of so many instances; ``settings`` are those of ``Contender``."""
    return tuple(
        Contender(f"{prefix}, M = {size}", partial(build, instances=size), instances=size, **settings) for size in sizes
    )


def sequence_report(
    title: str, case: SequenceCase, contenders: tuple[Contender[SequenceCase], ...], **settings: Any
) -> Report[SequenceCase]:
    """Return a report whose contenders agree on a small case; ``settings`` are those of ``Report``."""
    # Sums of some thousand products, in double precision.
    agreement = {"tolerance": 1e-10, "agreement": case.for_agreement()}
    return Report(title=title, case=case, contenders=contenders, **{**agreement, **settings})


LOOP = Contender[SequenceCase]("plain loop", lambda case: training(case.network(0), case.data(), "loop"))
