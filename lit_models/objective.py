"""Losses and metrics per instance: sums over scored terms, which add up over batches and devices."""

import functools
import math
from collections.abc import Sequence

import torch
import torch.distributed
import torch.nn.functional as F
from torch import Tensor
from torchmetrics import Metric as TorchMetric

from rnnbench.datamodules.objective import Objective
from rnnbench.datamodules.task import Batch, Metric, Steps, Task
from rnnbench.lit_models.span_f1 import SpanF1

#: Which quantity (``scored_sum``) each loss and each metric is a mean of.
QUANTITIES = {
    **dict.fromkeys(("mse", "rmse", "normalized_mse"), "squared_error"),
    **dict.fromkeys(("cross_entropy", "perplexity", "bits_per_character"), "cross_entropy"),
    **{"accuracy": "correct", "frame_nll": "frame_nll"},
}


def scored_sum(
    quantity: str | Objective,
    outputs: Tensor,
    targets: Tensor,
    steps: Steps,
    lengths: Tensor | None = None,
) -> tuple[Tensor, int | Tensor]:
    """Return a quantity's sum per instance [M] and the number of terms, the same for every instance.

    Args:
        quantity: ``squared_error``, ``cross_entropy`` (nats), ``correct``, or ``frame_nll`` (nats, of K independent
            keys that are 0 or 1; one term a step), or an objective of one's own.
        outputs: [M, B, K], or [M, B, T, K] for a readout at every step.
        targets: [B] or [B, T] classes, or [B, K] or [B, T, K] values.
        steps: half-open range of the steps that count, ``labelled`` for those whose class is not negative, or None for
            all; for a readout at every step only.
        lengths: [B] valid steps, beyond which nothing counts; None for all T. A readout at the last step is scored
            whatever the length.

    Raises:
        ValueError: the shapes do not fit, or there are no such steps.

    >>> scored_sum("correct", torch.tensor([[[0.1, 0.9], [0.8, 0.2]]]), torch.tensor([1, 1]), None)
    (tensor([1.]), 2)
    """
    _check_shapes(quantity, outputs, targets, steps)
    labelled: Tensor | None = None
    if steps == "labelled":
        labelled, targets, steps = targets >= 0, targets.clamp_min(0), None
    elif steps is not None:
        outputs, targets = outputs[:, :, steps[0] : steps[1]], targets[:, steps[0] : steps[1]]
    if isinstance(quantity, Objective):
        terms = quantity.terms(outputs, targets)
        if terms.shape != outputs.shape[:-1]:
            expected = f"must have the shape {list(outputs.shape[:-1])}, got {list(terms.shape)}"
            raise ValueError(f"terms of {type(quantity).__name__} {expected}")
    elif quantity == "squared_error":
        terms = (outputs - targets).square()
    elif quantity == "cross_entropy":
        classes = targets.expand(outputs.shape[:-1])
        terms = F.cross_entropy(outputs.flatten(0, -2), classes.flatten(), reduction="none").view(classes.shape)
    elif quantity == "frame_nll":
        terms = F.binary_cross_entropy_with_logits(outputs, targets.expand_as(outputs), reduction="none").sum(-1)
    else:
        terms = (outputs.argmax(-1) == targets).to(outputs.dtype)
    masks = [] if labelled is None else [labelled]
    if lengths is not None and outputs.dim() == 4:
        masks.append(valid_steps(lengths, terms.shape[2], 0 if steps is None else steps[0]))
    if not masks:
        return terms.flatten(1).sum(1), terms[0].numel()
    valid = functools.reduce(torch.logical_and, masks)
    valid = valid.view(valid.shape + (1,) * (terms.dim() - 3)).expand(terms.shape[1:])
    # where, not a product: what a padded step gives may be infinite.
    return torch.where(valid, terms, 0.0).flatten(1).sum(1), valid.sum()


def _check_shapes(quantity: str | Objective, outputs: Tensor, targets: Tensor, steps: Steps) -> None:
    """Raise ValueError for shapes that would be broadcast, or steps that are not there."""
    classes = quantity.classes if isinstance(quantity, Objective) else quantity in ("cross_entropy", "correct")
    needed = outputs.shape[1:-1] if classes else outputs.shape[1:]
    if targets.shape != needed:
        found = f"got {list(targets.shape)} for outputs {list(outputs.shape)}"
        raise ValueError(f"targets must have the shape {'[B, (T)]' if classes else '[B, (T,) K]'}, {found}")
    if steps == "labelled":
        if not classes or outputs.dim() != 4:
            raise ValueError(f"labelled steps need classes and a readout at every step, got {list(outputs.shape)}")
    elif steps is not None and (outputs.dim() != 4 or not 0 <= steps[0] < steps[1] <= outputs.shape[2]):
        raise ValueError(f"steps must be a range within a readout at every step, got {steps} for {list(outputs.shape)}")


def quantity_of(metric: Metric) -> str | Objective:
    """Return which quantity a metric sums (``scored_sum``)."""
    return metric.score if isinstance(metric.score, Objective) else QUANTITIES[metric.name]


def valid_steps(lengths: Tensor, steps: int, first: int = 0) -> Tensor:
    """Return which of so many steps, from the step ``first`` on, are within each sequence's length [B, T].

    >>> valid_steps(torch.tensor([1, 3]), steps=3).int().tolist()
    [[1, 0, 0], [1, 1, 1]]
    """
    return torch.arange(first, first + steps, device=lengths.device) < lengths.unsqueeze(-1)


def loss_quantity(task: Task) -> str | Objective:
    """Return which quantity a task's loss sums (``scored_sum``)."""
    return task.loss if isinstance(task.loss, Objective) else QUANTITIES[task.loss]


def training_loss(task: Task, outputs: Tensor, batch: Batch, over_devices: bool = True) -> tuple[Tensor, Tensor]:
    """Return ``loss_of_sums`` of a batch and its outputs [M, B, (T,) K]."""
    local, count = scored_sum(loss_quantity(task), outputs, batch.targets, task.loss_steps, batch.lengths)
    return loss_of_sums(task, local, count, over_devices)


def loss_of_sums(task: Task, local: Tensor, count: int | Tensor, over_devices: bool = True) -> tuple[Tensor, Tensor]:
    """Return a task's loss from its sum per instance and its number of terms on this device.

    With several devices the root of a mean does not average over them, nor does a mean over unequal parts: sums are
    gathered first. Distributed training averages gradients over devices, so each part is scaled by their number.
    Without ``over_devices`` the loss is of this device alone, and counts may differ between instances [M].

    Returns:
        Loss values [M] without a gradient, and terms [M] whose gradient, averaged over devices, is the loss's.
    """
    total, world_size = local.detach(), 1
    if over_devices and torch.distributed.is_available() and torch.distributed.is_initialized():
        world_size = torch.distributed.get_world_size()
        gathered = torch.cat([total, torch.as_tensor(count).to(total).reshape(1)])
        torch.distributed.all_reduce(gathered)
        total, count = gathered[:-1], gathered[-1]
    if isinstance(count, Tensor):
        count = count.to(total)  # an integer's reciprocal would be of single precision
    mean, scale = total / count, world_size / count
    if task.loss != "rmse":
        return mean, local * scale
    root = mean.sqrt()
    # d sqrt(m) = dm / (2 sqrt(m)); the smallest normal number keeps a perfect batch's gradient at 0.
    return root, local * (scale / (2 * root.clamp(min=torch.finfo(root.dtype).tiny)))


class InstanceMetric(TorchMetric):
    """One metric for every instance of an ensemble: [M] values from sums over everything scored.

    Args:
        metric: which quantity, over which steps.
        instances: M.
        target_variance: denominator of ``normalized_mse``.
        over_devices: whether ``compute`` gathers what all devices scored; all of them must then call it.

    >>> metric = InstanceMetric(Metric("rmse", "min", 1.0, 0.0), instances=2, target_variance=1.0)
    >>> metric.update(torch.tensor([[[1.0], [3.0]], [[0.0], [0.0]]]), torch.tensor([[0.0], [0.0]]))
    >>> metric.compute().square().round(decimals=6).tolist()
    [5.0, 0.0]
    """

    full_state_update = False
    total: Tensor
    count: Tensor

    def __init__(self, metric: Metric, instances: int, target_variance: float, over_devices: bool = True) -> None:
        super().__init__(sync_on_compute=over_devices)
        self.metric = metric
        self.quantity = quantity_of(metric)
        self.target_variance = target_variance
        # Sums over a whole split in single precision would lose digits that comparisons between runs look at.
        self.add_state("total", torch.zeros(instances, dtype=torch.float64), dist_reduce_fx="sum")
        self.add_state("count", torch.zeros((), dtype=torch.float64), dist_reduce_fx="sum")

    def update(
        self,
        outputs: Tensor,
        targets: Tensor,
        lengths: Tensor | None = None,
        sums: tuple[Tensor, int | Tensor] | None = None,
    ) -> None:
        """Add a batch: outputs [M, B, (T,) K], its targets and, of unequal sequences, their lengths [B].

        Where ``sums`` holds the metric's quantity per instance [M] and its number of terms, they are taken instead.
        """
        if sums is None:
            sums = scored_sum(self.quantity, outputs, targets, self.metric.steps, lengths)
        self.total += sums[0]
        self.count += sums[1]

    def compute(self) -> Tensor:
        """Return the metric of every instance [M]."""
        mean = self.total / self.count
        if isinstance(self.quantity, Objective):
            return self.quantity.value(mean)
        if self.metric.name == "rmse":
            return mean.sqrt()
        if self.metric.name == "perplexity":
            return mean.exp()
        if self.metric.name == "bits_per_character":
            return mean / math.log(2)
        return mean / self.target_variance if self.metric.name == "normalized_mse" else mean


def instance_metrics(task: Task, instances: int, over_devices: bool = True) -> Sequence[InstanceMetric | SpanF1]:
    """Return fresh metrics of a task, in its order."""
    return [
        SpanF1(metric, instances, task.labels, over_devices)
        if metric.name == "slot_f1" and metric.score is None
        else InstanceMetric(metric, instances, task.target_variance, over_devices)
        for metric in task.metrics
    ]
