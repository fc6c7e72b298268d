"""Losses and metrics per instance, against torchmetrics, torch and autograd."""

import dataclasses
from collections import defaultdict

import pytest
import torch
import torch.nn.functional as F
import torchmetrics.functional as reference
from torch import Tensor

from rnnbench.datamodules.task import UNLABELLED, Batch, Metric, MetricName, Task
from rnnbench.lit_models.objective import InstanceMetric, instance_metrics, scored_sum, training_loss

INSTANCES, STEPS, OUTPUTS, VARIANCE = 3, 6, 4, 0.7
SHAPES = {"last": (), "every": (STEPS,)}
for_readouts = pytest.mark.parametrize("readout", SHAPES)
for_scored_steps = pytest.mark.parametrize(("readout", "scored"), [("last", None), ("every", None), ("every", (2, 5))])
# Direction, chance and best.
RANGE = defaultdict(lambda: ("min", 1.0, 0.0), accuracy=("max", 0.1, 1.0))


def draw(size: int, shape: tuple[int, ...], classes: bool) -> tuple[Tensor, Tensor]:
    outputs = torch.randn(INSTANCES, size, *shape, OUTPUTS)
    return outputs, torch.randint(OUTPUTS, (size, *shape)) if classes else torch.randn(size, *shape, OUTPUTS)


def expected_value(name: MetricName, outputs: Tensor, targets: Tensor) -> float:
    """The metric of one instance by torchmetrics, outputs [..., K]."""
    flat, goal = outputs.flatten(0, -2), targets.flatten(0, outputs.dim() - 2)
    if name == "accuracy":
        return reference.classification.multiclass_accuracy(flat, goal, OUTPUTS, average="micro").item()
    if name == "cross_entropy":
        return F.cross_entropy(flat, goal).item()
    mse = reference.mean_squared_error(flat, goal, squared=name != "rmse").item()
    return mse / VARIANCE if name == "normalized_mse" else mse


@for_scored_steps
@pytest.mark.parametrize("name", ["accuracy", "cross_entropy", "mse", "rmse", "normalized_mse"])
def test_metric_over_uneven_batches(name: MetricName, readout: str, scored: tuple[int, int] | None) -> None:
    batches = [draw(size, SHAPES[readout], name in ("accuracy", "cross_entropy")) for size in (7, 3, 1)]
    metric = InstanceMetric(Metric(name, *RANGE[name], steps=scored), INSTANCES, VARIANCE)
    for outputs, targets in batches:
        metric.update(outputs, targets)
    every, goals = torch.cat([o for o, _ in batches], 1), torch.cat([t for _, t in batches])
    if scored:
        every, goals = every[:, :, slice(*scored)], goals[:, slice(*scored)]
    expected = [expected_value(name, outputs, goals) for outputs in every]
    assert len(set(expected)) > 1
    assert metric.compute().tolist() == pytest.approx(expected, rel=1e-5)


def test_metrics_add_up_in_double_precision() -> None:
    metric = InstanceMetric(Metric("accuracy", "max", 0.5, 1.0), 1, 1.0)
    metric.total += 2**24
    metric.count += 2**24
    metric.update(torch.tensor([[[0.0, 1.0]]]), torch.tensor([0]))
    assert metric.compute().item() == 2**24 / (2**24 + 1)


def as_batch(targets: Tensor) -> Batch:
    return Batch(inputs=torch.empty(len(targets), STEPS, 1), targets=targets, lengths=None)


def make_task(loss: str, scored: tuple[int, int] | None = None) -> Task:
    metric = Metric("cross_entropy" if loss == "cross_entropy" else "mse", "min", 1.0, 0.0)
    return Task("task", 1, OUTPUTS, STEPS, "every", loss, (metric,), scored)


def expected_loss(loss: str, outputs: Tensor, targets: Tensor) -> Tensor:
    """The loss of one instance, differentiable."""
    if loss == "cross_entropy":
        return F.cross_entropy(outputs.flatten(0, -2), targets.flatten())
    mse = F.mse_loss(outputs, targets)
    return mse.sqrt() if loss == "rmse" else mse


@for_scored_steps
@pytest.mark.parametrize("loss", ["mse", "rmse", "cross_entropy"])
def test_loss_and_gradient_per_instance(loss: str, readout: str, scored: tuple[int, int] | None) -> None:
    outputs, targets = draw(5, SHAPES[readout], loss == "cross_entropy")
    outputs, targets = outputs.double().requires_grad_(), targets if loss == "cross_entropy" else targets.double()
    values, terms = training_loss(make_task(loss, scored), outputs, as_batch(targets))
    assert values.shape == terms.shape == (INSTANCES,)
    assert not values.requires_grad
    found = torch.autograd.grad(terms.sum(), outputs)[0]
    window = slice(*scored) if scored else slice(None)
    cut = [o[:, window] if readout == "every" else o for o in outputs]
    goal = targets[:, window] if readout == "every" else targets
    expected = torch.stack([expected_loss(loss, o, goal) for o in cut])
    torch.testing.assert_close(values, expected.detach(), rtol=1e-12, atol=0)
    torch.testing.assert_close(found, torch.autograd.grad(expected.sum(), outputs)[0], rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("loss", ["mse", "rmse"])
def test_a_perfect_instance_has_no_gradient_and_leaves_the_others_alone(loss: str, dtype: torch.dtype) -> None:
    targets = torch.randn(4, STEPS, OUTPUTS, dtype=dtype)
    outputs = torch.stack([targets, targets + 0.5]).requires_grad_()
    values, terms = training_loss(make_task(loss), outputs, as_batch(targets))
    gradient = torch.autograd.grad(terms.sum(), outputs)[0]
    assert values.tolist() == pytest.approx([0.0, 0.5 if loss == "rmse" else 0.25])
    assert not gradient[0].any()
    assert gradient[1].isfinite().all()
    assert gradient[1].any()


@for_readouts
@pytest.mark.parametrize("quantity", ["squared_error", "cross_entropy", "correct"])
def test_a_device_without_sequences_adds_nothing(quantity: str, readout: str) -> None:
    total, count = scored_sum(quantity, *draw(0, SHAPES[readout], quantity != "squared_error"), None)
    assert total.tolist() == [0.0] * INSTANCES
    assert count == 0


def test_a_tasks_metrics_come_in_its_order_and_know_its_variance() -> None:
    metrics = (Metric("rmse", "min", 1.0, 0.0), Metric("normalized_mse", "min", 1.0, 0.0, steps=(0, 2)))
    task = dataclasses.replace(make_task("mse"), metrics=metrics, target_variance=4.0)
    made = instance_metrics(task, 2)
    assert [each.metric for each in made] == list(metrics)
    for each in made:
        each.update(torch.full((2, 1, STEPS, 1), 2.0), torch.zeros(1, STEPS, 1))
    assert [each.compute().tolist() for each in made] == [[2.0, 2.0], [1.0, 1.0]]


@pytest.mark.parametrize(
    ("quantity", "targets", "steps", "message"),
    [
        # What would be broadcast: every sequence against the targets of all.
        ("squared_error", (7,), None, r"shape \[B, \(T,\) K\], got \[7\] for outputs \[2, 7, 3\]"),
        ("correct", (7, 1), None, r"shape \[B, \(T\)\], got \[7, 1\]"),
        ("cross_entropy", (1,), None, r"shape \[B, \(T\)\], got \[1\]"),
        ("squared_error", (7, 3), (0, 1), r"a range within a readout at every step, got \(0, 1\) for \[2, 7, 3\]"),
        ("squared_error", (7, 4, 3), (2, 5), r"a range within .*, got \(2, 5\) for \[2, 7, 4, 3\]"),
        ("squared_error", (7, 4, 3), (2, 2), r"a range within .*, got \(2, 2\)"),
    ],
)
def test_targets_and_steps_that_do_not_fit_are_refused(quantity, targets, steps, message) -> None:
    outputs = torch.zeros(2, 7, 4, 3) if len(targets) == 3 else torch.zeros(2, 7, 3)
    with pytest.raises(ValueError, match=message):
        scored_sum(quantity, outputs, torch.zeros(targets), steps)


@pytest.mark.parametrize("lengths", [None, torch.tensor([6, 3, 4])])
@pytest.mark.parametrize("name", ["accuracy", "cross_entropy"])
def test_labelled_steps_are_scored_alone(name: MetricName, lengths: Tensor | None) -> None:
    outputs, targets = draw(3, (STEPS,), classes=True)
    labelled = torch.rand(3, STEPS) < 0.6
    labelled[:, 0] = True
    given = torch.where(labelled, targets, UNLABELLED)
    metric = InstanceMetric(Metric(name, *RANGE[name], steps="labelled"), INSTANCES, VARIANCE)
    metric.update(outputs, given, lengths)
    if lengths is not None:
        labelled &= torch.arange(STEPS) < lengths[:, None]
    expected = [expected_value(name, one[labelled], targets[labelled]) for one in outputs]
    assert metric.compute().tolist() == pytest.approx(expected, rel=1e-5)
    with pytest.raises(ValueError, match="labelled steps need classes and a readout at every step"):
        metric.update(outputs[:, :, 0], given[:, 0])
