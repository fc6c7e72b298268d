"""The sources of sequences: contiguous tensors, of equal or unequal length, and data drawn from named seeds."""

from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Tensor

from rnnbench.datamodules.loader import SequenceSource
from rnnbench.datamodules.seeds import named_generator
from rnnbench.datamodules.task import Batch

BLOCK = 128
"""Sequences that are drawn together from one generator. Part of what the data are: changing it changes them all."""


@dataclass(eq=False)
class FixedSource:
    """Sequences held in memory, the same in every epoch.

    Attributes:
        inputs: [size, T, D] float, or uint8, which are read as floats, or tokens [size, T] int64.
        targets: [size, ...].
        scale: what uint8 inputs are divided by when they are read (255 for pixels).
    """

    inputs: Tensor
    targets: Tensor
    scale: float = field(default=1.0, kw_only=True)

    def __len__(self) -> int:
        """Return the number of sequences."""
        return len(self.targets)

    def read(self, epoch: int, indices: Tensor) -> tuple[Tensor, Tensor]:
        """Return inputs [B, T, D] and targets of the sequences ``indices`` [B]."""
        inputs = self.inputs[indices]
        return inputs.float().div_(self.scale) if inputs.dtype == torch.uint8 else inputs, self.targets[indices]


class RaggedSource:
    """Sequences of unequal lengths, held end to end; read, they are padded by zeros to the longest of them.

    Args:
        inputs: steps of all sequences, one after the other: [steps, D] float or uint8, or tokens [steps] int64.
        targets: [steps, ...]; uint8 too are read as floats.
        lengths: [size], steps of each sequence, at least 1; an attribute.

    >>> source = RaggedSource(torch.tensor([5, 6, 7]), torch.tensor([0, 1, 0]), torch.tensor([1, 2]))
    >>> [tensor.tolist() for tensor in source.read(0, torch.tensor([1, 0]))]
    [[[6, 7], [5, 0]], [[1, 0], [0, 0]], [2, 1]]
    """

    def __init__(self, inputs: Tensor, targets: Tensor, lengths: Tensor) -> None:
        self.inputs = inputs
        self.targets = targets
        self.lengths = lengths
        self._starts = lengths.cumsum(0) - lengths

    def __len__(self) -> int:
        """Return the number of sequences."""
        return len(self.lengths)

    def read(self, epoch: int, indices: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return inputs [B, T, ...], targets [B, T, ...] and lengths [B] of the sequences ``indices`` [B]."""
        lengths = self.lengths[indices]
        # A device's share of a last batch smaller than the number of devices has no sequence, but a step.
        steps = torch.arange(max(1, int(lengths.max())) if len(lengths) else 1)
        inside = steps < lengths.unsqueeze(-1)
        places = torch.where(inside, self._starts[indices].unsqueeze(-1) + steps, 0)

        def padded(values: Tensor) -> Tensor:
            chosen = values[places]
            chosen = torch.where(inside.view(inside.shape + (1,) * (chosen.dim() - 2)), chosen, 0)
            return chosen.float() if chosen.dtype == torch.uint8 else chosen

        return padded(self.inputs), padded(self.targets), lengths


@dataclass(eq=False)
class FreshSource:
    """New sequences each epoch, drawn from named seeds.

    They are drawn in blocks, each from a generator named by the axis, the epoch and the block, so that a
    sequence depends on its index alone: not on the batch it is read in, nor on the number of devices. Read in order,
    every block is drawn once: the last one is kept. ``sample`` draws inputs [count, T, D], targets [count, ...] and, of
    unequal sequences, lengths [count] from ``(count, generator)``; ``size`` sequences are an epoch, ``axis`` names the
    stream (``datamodules.seeds``), and ``block`` sequences are drawn together.
    """

    sample: Callable[[int, torch.Generator], tuple[Tensor, ...]]
    size: int
    axis: tuple[str | int, ...]
    block: int = BLOCK
    _last: tuple[tuple[int, int], tuple[Tensor, ...]] | None = field(default=None, init=False)

    def __len__(self) -> int:
        """Return the number of sequences of one epoch."""
        return self.size

    def read(self, epoch: int, indices: Tensor) -> tuple[Tensor, ...]:
        """Return inputs [B, T, D], targets and any lengths of the sequences ``indices`` [B] of an epoch."""
        if not len(indices):  # a device's share of a last batch smaller than the number of devices
            return tuple(part[:0] for part in self._block(epoch, 0))
        first, last = (int(index) // self.block for index in indices.aminmax())
        if first == last:
            rows = indices - first * self.block
            return tuple(part[rows] for part in self._block(epoch, first))
        blocks, position = torch.unique(indices // self.block, return_inverse=True)
        drawn = [self._block(epoch, block) for block in blocks.tolist()]
        rows = position * self.block + indices % self.block
        return tuple(torch.cat(parts)[rows] for parts in zip(*drawn, strict=True))

    def _block(self, epoch: int, block: int) -> tuple[Tensor, ...]:
        place = epoch, block
        if self._last is None or self._last[0] != place:
            parts = self.sample(self.block, named_generator(*self.axis, epoch, block))
            self._last = place, checked_sample(parts, self.block)
        return self._last[1]


def checked_sample(parts: object, count: int) -> tuple[Tensor, ...]:
    """Return what a task of one's own drew; ValueError unless it is tensors of as many sequences as it was asked for.

    >>> checked_sample((torch.zeros(7, 3, 1), torch.zeros(7, 1)), count=8)
    Traceback (most recent call last):
    ValueError: sample must return as many inputs as it is asked for, 8, got 7
    """
    if not isinstance(parts, (tuple, list)) or len(parts) not in (2, 3):
        described = "a tuple of inputs, targets and, of unequal sequences, lengths"
        raise ValueError(f"sample must return {described}, got a {type(parts).__name__}")
    for name, part in zip(Batch._fields, parts, strict=False):
        found = len(part) if isinstance(part, Tensor) and part.dim() else f"a {type(part).__name__}"
        if found != count:
            raise ValueError(f"sample must return as many {name} as it is asked for, {count}, got {found}")
    return tuple(parts)


class PaddedSource:
    """Sequences of unequal lengths, padded to the longest that is allowed; read, they are cut to the longest asked for.

    Args:
        source: gives inputs [B, T, ...], targets [B] or [B, T], and lengths [B].
        fixed: whether all are held in memory: they have an attribute ``lengths`` then, by which batches are formed.

    >>> tokens, classes = torch.tensor([[5, 0, 0], [6, 7, 0]]), torch.tensor([[1, -100, -100], [1, 0, -100]])
    >>> drawn = FreshSource(lambda *_: (tokens, classes, torch.tensor([1, 2])), size=2, axis=(), block=2)
    >>> source = PaddedSource(drawn, fixed=True)
    >>> [part.tolist() for part in source.read(0, torch.tensor([1, 0]))]
    [[[6, 7], [5, 0]], [[1, 0], [1, -100]], [2, 1]]
    """

    lengths: Tensor

    def __init__(self, source: SequenceSource, fixed: bool) -> None:
        self._source = source
        self._held = source.read(0, torch.arange(len(source))) if fixed else None
        if self._held:
            self.lengths = self._held[2]

    def __len__(self) -> int:
        """Return the number of sequences of one epoch."""
        return len(self._source)

    def read(self, epoch: int, indices: Tensor) -> tuple[Tensor, ...]:
        """Return inputs [B, T, ...], targets and lengths [B] of the sequences ``indices`` [B]."""
        found = tuple(part[indices] for part in self._held) if self._held else self._source.read(epoch, indices)
        inputs, targets, lengths = found
        # A device's share of a last batch may have no sequence, but has a step.
        steps = int(lengths.max()) if len(lengths) else 1
        return inputs[:, :steps], targets[:, :steps] if targets.dim() > 1 else targets, lengths
