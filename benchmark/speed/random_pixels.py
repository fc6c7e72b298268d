"""Sequences as long as sequential MNIST's that need no data: random pixels and random classes."""

from __future__ import annotations

import torch

from rnnbench.datamodules.loader import SequenceSource
from rnnbench.datamodules.seeds import named_generator
from rnnbench.datamodules.sequence_data_module import SequenceDataModule
from rnnbench.datamodules.sources import FixedSource
from rnnbench.datamodules.task import Metric, Task

_CLASSES = 10


class RandomPixels(SequenceDataModule):
    """Classify sequences [T, 1] of random pixels, held as bytes like images, into random classes.

    Args:
        length: T.
        size: training sequences; validation and test take a batch each.
        batch_size: sequences of one training batch, over all devices.
        eval_batch_size: sequences of one evaluation batch.
        seed: seed of the data and their order.

    Example:
        >>> data = RandomPixels(length=5, size=8, batch_size=4)
        >>> data.setup()
        >>> batch = next(iter(data.train_dataloader()))
        >>> batch.inputs.shape, batch.targets.shape
        (torch.Size([4, 5, 1]), torch.Size([4]))
    """

    def __init__(
        self, length: int, size: int, batch_size: int = 128, eval_batch_size: int = 500, seed: int = 0
    ) -> None:
        """Store the settings."""
        super().__init__(batch_size, eval_batch_size, seed)
        self.length = length
        self.size = size

    @property
    def task(self) -> Task:
        """Ten classes at the last step, ranked by accuracy."""
        return Task(
            name=f"pixels{self.length}",
            input_size=1,
            output_size=_CLASSES,
            steps=self.length,
            readout="last",
            loss="cross_entropy",
            metrics=(Metric("accuracy", "max", chance=1 / _CLASSES, best=1.0),),
        )

    def make_sources(self) -> dict[str, SequenceSource]:
        """Draw the three splits."""
        sizes = {"train": self.size, "val": self.batch_size, "test": self.batch_size}
        return {split: self._draw(split, size) for split, size in sizes.items()}

    def _draw(self, split: str, size: int) -> FixedSource:
        generator = named_generator("speed", "pixels", split, self.seed)
        pixels = torch.randint(256, (size, self.length, 1), dtype=torch.uint8, generator=generator)
        return FixedSource(pixels, torch.randint(_CLASSES, (size,), generator=generator), scale=255.0)
