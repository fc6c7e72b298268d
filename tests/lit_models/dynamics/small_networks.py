"""Tiny networks, tasks and sequences for the tests of curvature and gradient flow."""

from typing import Any

import torch
from torch import Tensor

from rnnbench.datamodules.task import Batch, Metric, Task
from rnnbench.lit_models.network import Network
from rnnbench.lit_models.recurrence import Recurrence

INPUTS, STEPS = 2, 5


def small_task(readout: str = "last", loss: str = "mse", output_size: int = 3, **settings: Any) -> Task:
    classes = loss == "cross_entropy"
    metric = Metric("accuracy", "max", 1 / output_size, 1.0) if classes else Metric("mse", "min", 1.0, 0.0)
    return Task("small", INPUTS, output_size, STEPS, readout, loss, (metric,), **settings)


def small_batch(task: Task, size: int = 6, lengths: Tensor | None = None, seed: int = 0) -> Batch:
    generator = torch.Generator().manual_seed(seed)
    where = (size, task.steps) if task.readout == "every" else (size,)
    inputs = torch.randn(size, task.steps, task.input_size, generator=generator, dtype=torch.float64)
    if task.loss == "cross_entropy":
        targets = torch.randint(task.output_size, where, generator=generator)
    else:
        targets = torch.randn(*where, task.output_size, generator=generator, dtype=torch.float64)
    return Batch(inputs, targets, lengths)


def small_network(recurrence: Recurrence, task: Task) -> Network:
    return Network(recurrence, task.output_size, task.readout)


def plain_loss(network: Network, task: Task, batch: Batch) -> Tensor:
    """The loss written out, of the network's own forward."""
    outputs, targets = network(batch.inputs, batch.lengths), batch.targets
    if task.readout == "every":
        # Scored steps alone, sequence by sequence: those that the task scores, up to the sequence's end.
        first, last = task.loss_steps or (0, task.steps)
        ends = [last] * len(outputs) if batch.lengths is None else [min(last, end) for end in batch.lengths.tolist()]
        outputs, targets = (
            torch.cat([sequence[first:end] for sequence, end in zip(each, ends, strict=True)])
            for each in (outputs, targets)
        )
    if task.loss == "cross_entropy":
        return torch.nn.functional.cross_entropy(outputs.flatten(0, -2), targets.flatten())
    mean = (outputs - targets).square().mean()
    return mean.sqrt() if task.loss == "rmse" else mean
