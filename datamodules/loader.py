"""Batches by index from contiguous tensors: no per-sample collation, a length, and a position that can be resumed."""

from collections.abc import Callable, Iterator
from typing import Any, Protocol

import torch
from torch import Tensor

from rnnbench.datamodules.seeds import named_generator
from rnnbench.datamodules.task import Batch

POOL = 16
"""Batches whose sequences are sorted by length together. Part of the order of training, and so of its result."""


class SequenceSource(Protocol):
    """Where the sequences of one split come from: a pure function of what it is asked.

    So the same seed gives the same data whatever the number of devices and wherever a run was resumed.
    """

    def __len__(self) -> int:
        """Return the number of sequences of one epoch."""

    def read(self, epoch: int, indices: Tensor) -> tuple[Tensor, ...]:
        """Return the first fields of a ``Batch`` of the sequences ``indices`` [B] of an epoch: lengths [B] if unequal.

        A source of unequal sequences has an attribute ``lengths`` [size].
        """


class SequenceLoader:
    """Iterates over a source in global batches, of which this device gets its own contiguous part.

    Args:
        source: the sequences.
        batch_size: sequences of one global batch, over all devices; the last batch of an epoch may be smaller.
        order_seed: seed of the order of the sequences, another one each epoch; None keeps the source's order.
        rank, world_size: index of this device, and number of devices that share each batch.

    Its ``state_dict`` holds the epoch and the next batch, which Lightning stores in checkpoints and restores.
    """

    def __init__(
        self, source: SequenceSource, batch_size: int, order_seed: int | None, rank: int = 0, world_size: int = 1
    ) -> None:
        self.source = source
        self.batch_size = batch_size
        self.order_seed = order_seed
        self.rank = rank
        self.world_size = world_size
        self._epoch = 0
        self._position = 0
        self._resumed = False

    def __len__(self) -> int:
        """Return the number of batches of one epoch."""
        return -(-len(self.source) // self.batch_size)

    def __iter__(self) -> Iterator[Batch]:
        """Iterate over an epoch: the one after the last begun, or the rest of a resumed one."""
        if self._resumed:
            self._resumed = False
        elif self._position:
            self._epoch, self._position = self._epoch + 1, 0
        batch_at = self.begin_epoch(self._epoch)
        while self._position < len(self):
            # Counted before the batch is used: a checkpoint written while it is used names the next one.
            self._position += 1
            yield batch_at(self._position - 1)

    def begin_epoch(self, epoch: int) -> Callable[[int], Batch]:
        """Return what gives this device's part of each batch of an epoch by the batch's place."""
        order = self._order(epoch)

        def batch_at(position: int) -> Batch:
            indices = order[position * self.batch_size : (position + 1) * self.batch_size]
            return Batch(*self.source.read(epoch, indices[self._part(len(indices))]))

        return batch_at

    def _part(self, size: int) -> slice:
        """Return which of so many sequences are this device's."""
        return slice(*(size * rank // self.world_size for rank in (self.rank, self.rank + 1)))

    def _order(self, epoch: int) -> Tensor:
        lengths: Tensor | None = getattr(self.source, "lengths", None)
        if self.order_seed is None:
            # Neighbours in length share a batch, and little of it is padding.
            return torch.arange(len(self.source)) if lengths is None else lengths.argsort(stable=True)
        generator = named_generator("order", self.order_seed, epoch)
        order = torch.randperm(len(self.source), generator=generator)
        return order if lengths is None else bucket_by_length(order, lengths, self.batch_size, generator)

    def state_dict(self) -> dict[str, Any]:
        """Return the epoch and the next batch."""
        return {"epoch": self._epoch, "position": self._position}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on at the epoch and batch of ``state_dict`` when next iterated over."""
        self._epoch, self._position = state["epoch"], state["position"]
        # A finished epoch is followed by the next one, as without an interruption.
        self._resumed = self._position < len(self)


def bucket_by_length(order: Tensor, lengths: Tensor, batch_size: int, generator: torch.Generator) -> Tensor:
    """Return an order in which the sequences of a batch are of similar lengths, the batches themselves in any order.

    Each ``POOL`` batches of the random ``order`` [size] are sorted by their ``lengths`` [size] among themselves, and
    then all whole batches are shuffled; a smaller one stays the last.

    >>> lengths = torch.tensor([9, 1, 8, 2, 7])
    >>> bucket_by_length(torch.arange(5), lengths, 2, torch.Generator().manual_seed(0)).tolist()
    [1, 3, 4, 2, 0]
    """
    pools = torch.split(order, POOL * batch_size)
    order = torch.cat([pool[lengths[pool].argsort(stable=True)] for pool in pools])
    whole = len(order) // batch_size
    shuffled = torch.randperm(whole, generator=generator)
    batches = order[: whole * batch_size].view(whole, batch_size)[shuffled]
    return torch.cat([batches.flatten(), order[whole * batch_size :]])
