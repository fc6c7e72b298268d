"""The ranked metric over the length of sequences, bin by bin."""

from collections.abc import Sequence

import torch
from torch import Tensor

from rnnbench.datamodules.length_ranges import length_bins
from rnnbench.datamodules.task import Batch, Task
from rnnbench.lit_models.objective import instance_metrics


class LengthCurve:
    """The ranked metric of every instance in each of some ranges of lengths, of the test split.

    Args:
        task: what is learned.
        bins: the shortest and the longest sequences of each.
        instances: M.

    >>> from rnnbench.datamodules import ParityCheck
    >>> curve = LengthCurve.of(ParityCheck(test_lengths=(1, 2)).task, instances=1)
    >>> outputs = torch.tensor([[[2.0, 1.0], [2.0, 1.0], [2.0, 1.0]]])
    >>> curve.update(outputs, Batch(torch.zeros(3, 2), torch.tensor([0, 1, 0]), torch.tensor([1, 1, 2])))
    >>> {name: values.tolist() for name, values in curve.collect().items()}
    {'1-1': [0.5], '2-2': [1.0]}
    """

    def __init__(self, task: Task, bins: Sequence[tuple[int, int]], instances: int) -> None:
        self._metrics = {each: instance_metrics(task, instances)[0] for each in bins}

    @classmethod
    def of(cls, task: Task, instances: int) -> "LengthCurve | None":
        """Return the curve of a task; None where all its test sequences are of one length."""
        if task.lengths is None or len(set(task.lengths.test)) == 1:
            return None
        return cls(task, length_bins(*task.lengths.test), instances)

    def update(self, outputs: Tensor, batch: Batch) -> None:
        """Add a batch and its outputs [M, B, (T,) K]."""
        if batch.lengths is None or not len(batch.lengths):
            return
        shortest, longest = (int(length) for length in batch.lengths.aminmax())
        for (low, high), metric in self._metrics.items():
            if low <= longest and shortest <= high:
                rows = ((batch.lengths >= low) & (batch.lengths <= high)).nonzero()[:, 0]
                metric.to(outputs.device).update(outputs[:, rows], batch.targets[rows], batch.lengths[rows])

    def collect(self) -> dict[str, Tensor]:
        """Return the values [M] by range of lengths, such as ``40-52``, and start again; NaN where there was none."""
        values = {f"{low}-{high}": torch.atleast_1d(metric.compute()) for (low, high), metric in self._metrics.items()}
        for metric in self._metrics.values():
            metric.reset()
        return values
