"""The adding problem: add the two marked numbers of a long sequence (Hochreiter & Schmidhuber 1997)."""

import math
from typing import Any

import torch
from torch import Tensor

from rnnbench.datamodules.checks import check_at_least, check_choice
from rnnbench.datamodules.objective import as_objective
from rnnbench.datamodules.synthetic import SyntheticDataModule
from rnnbench.datamodules.task import Metric, Task


class Adding(SyntheticDataModule):
    """Add the two marked numbers of a sequence, as in Dubinin & Effenberger 2024, section 2.

    Inputs [T, 2]: numbers drawn from U[0, 1], and a marker that is 1 at one random step of each half (the first
    ``length // 2`` steps and the rest), else 0. The target, read at the last step, is the sum of the two marked
    numbers. Chance is the mean, 1: its MSE is the variance 1/6.

    Args:
        length: steps T, at least 2.
        loss: what is minimised: ``rmse`` as in the paper above, ``mse``, or the import path of an ``Objective``.
        train_size: training sequences of one epoch. The default is the least that the paper's iteration counts for
            length 800 imply.
        val_size, test_size, fresh, batch_size, eval_batch_size, seed: see ``SyntheticDataModule``.

    >>> data = Adding(length=6, train_size=4, val_size=1, test_size=1, batch_size=4)
    >>> data.setup()
    >>> inputs, targets, _ = next(iter(data.train_dataloader()))
    >>> numbers, markers = inputs.unbind(-1)
    >>> markers[:, :3].sum(1).tolist(), markers[:, 3:].sum(1).tolist()
    ([1.0, 1.0, 1.0, 1.0], [1.0, 1.0, 1.0, 1.0])
    >>> torch.equal((numbers * markers).sum(1, keepdim=True), targets)
    True
    """

    def __init__(self, length: int = 100, loss: str = "rmse", train_size: int = 350000, **drawn: Any) -> None:
        super().__init__(train_size, **drawn)
        check_at_least(2, length=length)
        if isinstance(loss, str) and "." in loss:
            as_objective(loss, "loss")
        else:
            check_choice("loss", loss, ("rmse", "mse"))
        self.length = length
        self.loss = loss
        self.check_sequences_fit(2 * length)

    @property
    def task(self) -> Task:
        """One number at the last step; ranked by RMSE, whose threshold 0.05 is that of the paper."""
        metrics = (
            Metric("rmse", "min", chance=math.sqrt(1 / 6), best=0.0, minimal_performance=0.05),
            Metric("mse", "min", chance=1 / 6, best=0.0),
        )
        return Task(f"ADD{self.length}", 2, 1, self.length, "last", self.loss, metrics, target_variance=1 / 6)

    def sample(self, count: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Draw inputs [count, T, 2] and sums [count, 1]."""
        half = self.length // 2
        inputs = torch.zeros(count, self.length, 2)
        numbers, markers = inputs.unbind(-1)
        numbers.copy_(torch.rand(count, self.length, generator=generator))
        first = torch.randint(half, (count, 1), generator=generator)
        second = torch.randint(half, self.length, (count, 1), generator=generator)
        marked = torch.cat([first, second], dim=1)
        markers.scatter_(1, marked, 1.0)
        return inputs, numbers.gather(1, marked).sum(1, keepdim=True)
