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
        **loading: as ``SequenceDataModule`` takes them.

    >>> data = RandomPixels(length=5, size=8, batch_size=4)
    >>> data.setup()
    >>> [tuple(tensor.shape) for tensor in next(iter(data.train_dataloader()))[:2]]
    [(4, 5, 1), (4,)]
    """

    def __init__(self, length: int, size: int, **loading: int) -> None:
        """Store the settings."""
        super().__init__(**loading)
        self.length = length
        self.size = size

    @property
    def task(self) -> Task:
        """Ten classes at the last step, ranked by accuracy."""
        metrics = (Metric("accuracy", "max", chance=1 / _CLASSES, best=1.0),)
        return Task(f"pixels{self.length}", 1, _CLASSES, self.length, "last", "cross_entropy", metrics)

    def make_sources(self) -> dict[str, SequenceSource]:
        """Draw the three splits."""
        sources: dict[str, SequenceSource] = {}
        for split, size in {"train": self.size, "val": self.batch_size, "test": self.batch_size}.items():
            generator = named_generator("speed", "pixels", split, self.seed)
            pixels = torch.randint(256, (size, self.length, 1), dtype=torch.uint8, generator=generator)
            sources[split] = FixedSource(pixels, torch.randint(_CLASSES, (size,), generator=generator), scale=255.0)
        return sources
