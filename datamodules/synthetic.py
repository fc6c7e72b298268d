"""The base of the synthetic tasks: a rule that draws sequences, and splits drawn from named seeds."""

import copy
from abc import abstractmethod

import torch
from torch import Tensor

from rnnbench.datamodules.checks import check_at_least, check_flags, check_memory
from rnnbench.datamodules.loader import SequenceLoader, SequenceSource
from rnnbench.datamodules.sequence_data_module import SequenceDataModule, Sizes
from rnnbench.datamodules.sources import BLOCK, FixedSource, FreshSource
from rnnbench.datamodules.task import Batch, Metric, Task


class SyntheticDataModule(SequenceDataModule):
    """Sequences drawn from a rule. Subclasses give ``task`` and ``sample``.

    Sequence i of a split is the same for every size of the splits, and a fixed training set is the first epoch of the
    fresh one.

    Args:
        train_size: training sequences of one epoch.
        val_size, test_size: validation and test sequences, always a fixed set.
        fresh: draw new training sequences each epoch; otherwise they are a fixed set, shuffled each epoch.
        batch_size, eval_batch_size, seed: see ``SequenceDataModule``.

    >>> class Last(SyntheticDataModule):
    ...     @property
    ...     def task(self) -> Task:
    ...         return Task("last", 1, 1, 3, "last", "mse", (Metric("mse", "min", chance=1.0, best=0.0),))
    ...
    ...     def sample(self, count: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    ...         inputs = torch.randn(count, 3, 1, generator=generator)
    ...         return inputs, inputs[:, -1]
    >>> Last(train_size=12).draw_split("train")[0].shape
    torch.Size([12, 3, 1])
    """

    def __init__(
        self,
        train_size: int = 12800,
        val_size: int = 2000,
        test_size: int = 2000,
        fresh: bool = True,
        **loading: int,
    ) -> None:
        super().__init__(**loading)
        check_at_least(1, train_size=train_size, val_size=val_size, test_size=test_size)
        check_flags(fresh=fresh)
        self.sizes = {"train": train_size, "val": val_size, "test": test_size}
        self.fresh = fresh

    def check_sequences_fit(self, numbers: int, more: int = 0) -> None:
        """Check that memory holds the fixed sequences of so many numbers, a fresh block, the order, and more bytes."""
        train, *fixed = self.sizes.values()
        held = sum(fixed) + (BLOCK if self.fresh else train)
        check_memory(f"the sequences of {type(self).__name__}", 4 * numbers * held + 8 * train + more)

    @abstractmethod
    def sample(self, count: int, generator: torch.Generator) -> tuple[Tensor, ...]:
        """Draw inputs [count, T, D] and their targets from a generator, and lengths [count] if these differ."""

    def split_sizes(self) -> Sizes:
        """Return the sizes of the splits, without drawing them."""
        return Sizes(self.sizes["train"], self.sizes["val"], self.sizes["test"], float(self.task.steps))

    def make_sources(self) -> dict[str, SequenceSource]:
        """Return the three splits, each with a random stream of its own."""
        return {
            split: self._drawn(split) if self.fresh and split == "train" else FixedSource(*self.draw_split(split))
            for split in self.sizes
        }

    def at_length(self, length: int, count: int) -> tuple[Task, Batch]:
        """Return the task with sequences of another length, and the first ``count`` test sequences of it."""
        if not hasattr(self, "length"):
            return super().at_length(length, count)
        check_at_least(1, length=length)
        other = copy.copy(self)
        other.length = length
        return other.task, Batch(*other._drawn("test").read(0, torch.arange(count)))

    def draw_split(self, split: str) -> tuple[Tensor, ...]:
        """Return all inputs [size, T, D] and targets of a split (of the first epoch, where each has its own)."""
        return self._drawn(split).read(0, torch.arange(self.sizes[split]))

    def _drawn(self, split: str) -> FreshSource:
        return FreshSource(self.sample, self.sizes[split], ("data", type(self).__name__, split, self.seed))

    def train_dataloader(self) -> SequenceLoader:
        """Return the training batches: fresh ones as they are drawn, fixed ones in a new order each epoch."""
        return self._loader("train", self.batch_size, None if self.fresh else self.seed)


class SignalDataModule(SyntheticDataModule):
    """Targets at every step of a signal x [T, width] ~ N(0, 1). Subclasses set its sizes, give ``task`` and ``target``.

    Steps without a target are left out of loss and metrics by their index (they hold 0).
    """

    length: int
    width: int

    @abstractmethod
    def target(self, inputs: Tensor) -> Tensor:
        """Return the targets [B, T, ...] of inputs [B, T, width]."""

    def sample(self, count: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Draw inputs [count, T, width] and their targets."""
        inputs = torch.randn(count, self.length, self.width, generator=generator)
        return inputs, self.target(inputs)

    def regression(self, name: str, first: int, variance: float) -> Task:
        """Return the regression of targets of this variance and mean 0, scored from step ``first`` on."""
        scored = (first, self.length)
        metrics = (
            Metric("normalized_mse", "min", chance=1.0, best=0.0, steps=scored),
            Metric("mse", "min", chance=variance, best=0.0, steps=scored),
        )
        return Task(name, self.width, self.width, self.length, "every", "mse", metrics, scored, variance)
