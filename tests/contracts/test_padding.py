"""Padding changes nothing, for every recurrence: a batch of unequal lengths scores as its sequences one by one."""

import math

import pytest
import torch

from rnnbench.datamodules.task import Batch, Metric, Task
from rnnbench.lit_models.ensemble import Ensemble
from rnnbench.lit_models.network import Network
from rnnbench.lit_models.objective import instance_metrics, scored_sum, training_loss
from rnnbench.lit_models.recurrence import Recurrence
from tests.contracts.builders import INPUTS, variants

STEPS, OUTPUTS, INSTANCES = 9, 3, 2
LENGTHS = torch.tensor([4, 9, 1, 6])
METRICS = {
    "cross_entropy": ("accuracy", "cross_entropy", "perplexity", "bits_per_character", "slot_f1"),
    "mse": ("mse", "rmse", "normalized_mse"),
    "frame_nll": ("frame_nll",),
}


def make_task(readout: str, loss: str) -> Task:
    names = [name for name in METRICS[loss] if name != "slot_f1" or readout == "every"]
    metrics = tuple(
        Metric(name, "max", 0.1, 1.0) if name in ("accuracy", "slot_f1") else Metric(name, "min", 2.0, 0.0)
        for name in names
    )
    return Task("ragged", INPUTS, OUTPUTS, STEPS, readout, loss, metrics, labels=("O", "B-x", "I-x"))


def make_batch(task: Task) -> Batch:
    generator = torch.Generator().manual_seed(1)
    where = (len(LENGTHS), STEPS) if task.readout == "every" else (len(LENGTHS),)
    inputs = torch.randn(len(LENGTHS), STEPS, INPUTS, generator=generator, dtype=torch.float64)
    if task.loss == "cross_entropy":
        return Batch(inputs, torch.randint(OUTPUTS, where, generator=generator), LENGTHS)
    targets = torch.randint(2, (*where, OUTPUTS), generator=generator).double()
    return Batch(inputs, targets, LENGTHS)


def alone(task: Task, batch: Batch, index: int) -> Batch:
    """One sequence without its padding."""
    length = int(LENGTHS[index])
    targets = batch.targets[index : index + 1]
    return Batch(batch.inputs[index : index + 1, :length], targets[:, :length] if task.readout == "every" else targets)


def make_ensemble(cls: type[Recurrence], arguments: dict[str, object], task: Task) -> Ensemble:
    networks = []
    for seed in range(INSTANCES):
        torch.default_generator.manual_seed(seed)
        networks.append(Network(cls(**arguments), OUTPUTS, task.readout).double())
    return Ensemble(networks)


@pytest.mark.parametrize("readout", ["every", "last"])
@pytest.mark.parametrize(("cls", "arguments"), variants())
def test_scores_and_gradients_are_those_of_the_sequences_one_by_one(cls, arguments, readout):
    task = make_task(readout, "cross_entropy")
    batch, ensemble = make_batch(task), make_ensemble(cls, arguments, task)
    parameters = list(ensemble.parameters())
    metrics, expected_metrics = instance_metrics(task, INSTANCES), instance_metrics(task, INSTANCES)
    expected, count = torch.zeros(INSTANCES, dtype=torch.float64), 0
    for index in range(len(LENGTHS)):
        single = alone(task, batch, index)
        outputs = ensemble(single.inputs)
        total, terms = scored_sum("cross_entropy", outputs, single.targets, None)
        expected, count = expected + total, count + terms
        for metric in expected_metrics:
            metric.update(outputs.detach(), single.targets)
    outputs = ensemble(batch.inputs, batch.lengths)
    values, terms = training_loss(task, outputs, batch)
    for metric in metrics:
        metric.update(outputs.detach(), batch.targets, batch.lengths)
    torch.testing.assert_close(values, (expected / count).detach(), atol=1e-6, rtol=1e-6)
    for ours, theirs in zip(metrics, expected_metrics, strict=True):
        torch.testing.assert_close(ours.compute(), theirs.compute(), atol=1e-6, rtol=1e-6)
    found = torch.autograd.grad(terms.sum(), parameters, materialize_grads=True)
    alone_gradients = torch.autograd.grad(expected.sum() / count, parameters, materialize_grads=True)
    torch.testing.assert_close(found, alone_gradients, atol=1e-6, rtol=1e-6)
    assert any(gradient.abs().max() > 0 for gradient in found)


@pytest.mark.parametrize("readout", ["every", "last"])
@pytest.mark.parametrize("loss", METRICS)
def test_every_loss_and_metric(loss, readout):
    task = make_task(readout, loss)
    batch = make_batch(task)
    shape = (INSTANCES, *batch.targets.shape[: 2 if readout == "every" else 1], OUTPUTS)
    outputs = torch.randn(shape, dtype=torch.float64)
    # What stands behind a sequence's end is of no meaning, even where it is infinite.
    poisoned = outputs.clone()
    if readout == "every":
        poisoned[:, torch.arange(STEPS) >= LENGTHS.unsqueeze(-1)] = math.inf
    singles = [(outputs[:, i : i + 1], alone(task, batch, i)) for i in range(len(LENGTHS))]
    if readout == "every":
        singles = [(o[:, :, : single.targets.shape[1]], single) for o, single in singles]
    for metric, reference in zip(instance_metrics(task, INSTANCES), instance_metrics(task, INSTANCES), strict=True):
        metric.update(poisoned, batch.targets, batch.lengths)
        for single_outputs, single in singles:
            reference.update(single_outputs, single.targets)
        assert metric.compute().isfinite().all()
        torch.testing.assert_close(metric.compute(), reference.compute(), rtol=1e-12, atol=0)


def test_scored_steps_count_from_the_start_of_the_sequence():
    targets = torch.zeros(1, STEPS, OUTPUTS, dtype=torch.float64)
    outputs = torch.arange(STEPS, dtype=torch.float64).view(1, 1, STEPS, 1).expand(1, 1, STEPS, OUTPUTS)
    total, count = scored_sum("squared_error", outputs, targets, (2, 7), torch.tensor([4]))
    assert (total.item(), int(count)) == ((4 + 9) * OUTPUTS, 2 * OUTPUTS)
