"""Trying what a task states before any training: a few of its sequences, its loss and its metrics."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import torch
from torch import Tensor

from rnnbench.datamodules.contracts import BrokenContract, TaskCase, check_batch, expect
from rnnbench.datamodules.objective import Objective
from rnnbench.datamodules.own_code import defined_at, own_line, reason_of
from rnnbench.datamodules.sequence_data_module import SPLITS, SequenceDataModule
from rnnbench.datamodules.sources import checked_sample
from rnnbench.datamodules.synthetic import SyntheticDataModule
from rnnbench.datamodules.task import Batch, Steps, Task
from rnnbench.lit_models.objective import InstanceMetric, instance_metrics, scored_sum, training_loss
from rnnbench.lit_models.span_f1 import SpanF1

#: Instances and sequences that are tried: so few that it takes no time, and enough to tell one from another.
INSTANCES, SEQUENCES = 2, 3


def loss_and_metrics_work(case: TaskCase) -> None:
    """The loss can be minimised, and the metrics score each sequence and each instance by itself."""
    draws = issubclass(case.cls, SyntheticDataModule)
    try_task(case.cls(**case.arguments) if draws else case.build())


def try_task(data: SequenceDataModule) -> None:
    """Score a few sequences as training and evaluation do, for outputs of two instances, and differentiate the loss.

    The sequences are what ``sample`` draws, or those of the data if they are loaded, or made up from what the task
    states. Of made-up ones no value is looked at: a loss of one's own need not be defined for them.

    Raises:
        BrokenContract: what is wrong, with the line of a user's own code that failed.

    >>> from rnnbench.datamodules.adding import Adding
    >>> try_task(Adding(length=20))
    """
    task, generator = data.task, torch.Generator().manual_seed(0)
    batch = _few_sequences(data, generator)
    is_real = batch is not None
    if batch is None:
        batch = _made_up(task, generator)
    leading = batch.targets.shape[: 1 if task.readout == "last" else 2]
    outputs = torch.randn(INSTANCES, *leading, task.output_size, generator=generator)
    _try_loss(task, outputs, batch, is_real)
    for made in instance_metrics(task, INSTANCES, over_devices=False):
        _try_metric(made, task, outputs, batch, is_real)


def _few_sequences(data: SequenceDataModule, generator: torch.Generator) -> Batch | None:
    """Return a few sequences of the task, checked against what it states; None where there are no data."""
    task, batch = data.task, None
    if isinstance(data, SyntheticDataModule):
        with _naming("sample"):
            batch = Batch(*checked_sample(data.sample(SEQUENCES, generator), SEQUENCES))
        check_batch(task, batch, "train", unequal=False)
    elif data.is_loaded:
        for split in SPLITS:
            source = data.source(split)
            with _naming(f"reading split {split}"):
                found = Batch(*source.read(0, torch.arange(min(SEQUENCES, len(source)))))
            check_batch(task, found, split, hasattr(source, "lengths"))
            batch = batch or found
    return batch


def _made_up(task: Task, generator: torch.Generator) -> Batch:
    """Return sequences of the sizes that a task states; values lie between 0 and 1, where most losses are defined."""
    steps = SEQUENCES, task.steps
    if task.tokens:
        inputs = torch.randint(task.tokens.vocabulary_size, steps, generator=generator)
    else:
        inputs = torch.randn(*steps, task.input_size, generator=generator)
    leading = steps[: 1 if task.readout == "last" else 2]
    if task.targets_are_classes:
        return Batch(inputs, torch.randint(task.output_size, leading, generator=generator))
    return Batch(inputs, 0.1 + 0.8 * torch.rand(*leading, task.output_size, generator=generator))


def _try_loss(task: Task, outputs: Tensor, batch: Batch, is_real: bool) -> None:
    what = f"loss {task.loss if isinstance(task.loss, str) else type(task.loss).__name__}"
    leaf = outputs.clone().requires_grad_()
    with _naming(what):
        values, terms = training_loss(task, leaf, batch, over_devices=False)
    remedy = "comparisons, argmax, round, sign and detach have no gradient"
    if isinstance(task.loss, Objective) and (place := defined_at(type(task.loss).terms)):
        remedy += f"; compute the terms of {type(task.loss).__qualname__} without them ({place})"
    expect(terms.requires_grad, f"{what} must be differentiable, but no gradient reaches the outputs: {remedy}")
    with _naming(f"the gradient of {what}"):
        (gradient,) = torch.autograd.grad(terms.sum(), leaf, materialize_grads=True)
    if is_real:
        is_finite = bool(values.isfinite().all() and gradient.isfinite().all())
        expect(is_finite, f"{what} and its gradient must be finite for outputs of any sign, got {values.tolist()}")
        expect(gradient.abs().max() > 0, f"{what} must be differentiable, but its gradient is 0: {remedy}")
    if isinstance(task.loss, Objective):
        _check_apart(task.loss, what, outputs, batch, task.loss_steps)


def _try_metric(made: InstanceMetric | SpanF1, task: Task, outputs: Tensor, batch: Batch, is_real: bool) -> None:
    metric, what = made.metric, f"metric {made.metric.name}"
    if isinstance(metric.score, Objective):
        _check_apart(metric.score, what, outputs, batch, metric.steps)
    with _naming(what), torch.no_grad():
        values = _value(made, outputs, batch)
        shape = list(values.shape) if isinstance(values, Tensor) else type(values).__name__
        expect(shape == [INSTANCES], f"value of {what} must return [{INSTANCES}], one an instance, got {shape}")
        if is_real:
            expect(bool(values.isfinite().all()), f"{what} must be finite, got {values.tolist()}")
        if isinstance(made, InstanceMetric):
            single = InstanceMetric(metric, 1, task.target_variance, over_devices=False)
            alone = _value(single, outputs[:1], batch)
            is_close = torch.allclose(alone.flatten(), values[:1], rtol=1e-4, equal_nan=True)
            expect(is_close, f"{what} must score each instance by itself, but one alone has another value")


def _value(metric: InstanceMetric | SpanF1, outputs: Tensor, batch: Batch) -> Tensor:
    metric.update(outputs, batch.targets, batch.lengths)
    return metric.compute()


def _check_apart(objective: Objective, what: str, outputs: Tensor, batch: Batch, steps: Steps) -> None:
    """Check that the terms of one sequence and one instance alone are those among others, and nothing is changed."""
    _, targets, lengths = batch
    kept = outputs.clone(), targets.clone()
    with _naming(what), torch.no_grad():
        whole, _ = scored_sum(objective, outputs, targets, steps, lengths)
        alone = torch.zeros_like(whole)
        for m in range(len(outputs)):
            for b in (slice(b, b + 1) for b in range(len(targets))):
                one = None if lengths is None else lengths[b]
                alone[m] += scored_sum(objective, outputs[m : m + 1, b], targets[b], steps, one)[0][0]
    is_same = torch.equal(outputs, kept[0]) and torch.equal(targets, kept[1])
    expect(is_same, f"{what} must not change outputs or targets in place")
    is_close = torch.allclose(alone, whole, rtol=1e-4, atol=1e-6, equal_nan=True)
    remedy = "its terms must not depend on what else is in the batch"
    expect(is_close, f"{what} must score each sequence and instance by itself: {remedy}")


@contextlib.contextmanager
def _naming(what: str) -> Iterator[None]:
    """Let what a user's own code raises name what was tried, and the line."""
    try:
        yield
    except BrokenContract:
        raise
    except (Exception, SystemExit) as error:
        if isinstance(error, ValueError) and not own_line(error):
            raise BrokenContract(str(error)) from error  # of rnnbench's own checks
        raise BrokenContract(f"{what} fails: {reason_of(error)}") from error
