"""Long sequences of tokens, read in parallel streams, a few steps at a time: truncated backpropagation."""

from collections.abc import Callable

import torch
from torch import Tensor

from rnnbench.datamodules.loader import SequenceLoader
from rnnbench.datamodules.task import Batch


class TokenSource:
    """One long sequence of tokens, as pieces of so many steps: inputs and, one step on, targets.

    There are at least two tokens, int64; the rest behind the last whole piece belongs to none, unless it is all.

    >>> source = TokenSource(torch.tensor([4, 5, 6, 7, 8]), steps=2)
    >>> [tensor.tolist() for tensor in source.read(0, torch.tensor([1]))]
    [[[6, 7]], [[7, 8]]]
    """

    def __init__(self, tokens: Tensor, steps: int) -> None:
        self.tokens = tokens
        self.steps = min(steps, len(tokens) - 1)

    def __len__(self) -> int:
        """Return the number of pieces."""
        return (len(self.tokens) - 1) // self.steps

    def read(self, epoch: int, indices: Tensor) -> tuple[Tensor, Tensor]:
        """Return inputs [B, T] and targets [B, T] of the pieces ``indices`` [B]."""
        places = (indices * self.steps).unsqueeze(-1) + torch.arange(self.steps)
        return self.tokens[places], self.tokens[places + 1]


class StreamLoader(SequenceLoader):
    """Iterates over a ``TokenSource`` in parallel streams, each batch the next steps of all of them.

    The sequence is cut into streams of equal length, of which this device gets its own contiguous part; batch t holds
    the steps from t · ``steps`` on, so that each row continues that of the batch before.

    Args:
        source: the tokens.
        streams: number of parallel streams, over all devices.
        steps: steps of one batch; the last batch of an epoch may have fewer.
        whole: whether every token is a target. Streams then differ by a step in length, the batches have lengths, and
            nothing is left over; otherwise what does not fill all streams is left out.
        rank, world_size: index of this device, and number of devices that share the streams.

    >>> batches = list(StreamLoader(TokenSource(torch.arange(8), 8), streams=2, steps=2, whole=False))
    >>> [batch.inputs.tolist() for batch in batches]
    [[[0, 1], [3, 4]], [[2], [5]]]
    >>> [batch.targets.tolist() for batch in batches]
    [[[1, 2], [4, 5]], [[3], [6]]]
    """

    source: TokenSource

    def __init__(
        self, source: TokenSource, streams: int, steps: int, whole: bool, rank: int = 0, world_size: int = 1
    ) -> None:
        super().__init__(source, streams, None, rank, world_size)
        self.steps = steps
        targets = len(source.tokens) - 1
        streams = min(streams, targets)
        own = torch.arange(streams)[self._part(streams)]
        if whole:
            ends = (torch.arange(streams + 1) * targets) // streams
            self._starts, self._lengths = ends[:-1][own], ends.diff()[own]
            self._longest = int(ends.diff().max())
        else:
            self._longest = targets // streams
            self._starts, self._lengths = own * self._longest, torch.full((len(own),), self._longest)

    def __len__(self) -> int:
        """Return the number of batches of one epoch."""
        return -(-self._longest // self.steps)

    def begin_epoch(self, epoch: int) -> Callable[[int], Batch]:
        """Return what gives this device's part of each batch of an epoch by the batch's place."""
        return self._batch_at

    def _batch_at(self, position: int) -> Batch:
        first = position * self.steps
        count = min(self.steps, self._longest - first)
        lengths = (self._lengths - first).clamp(max=count)
        # Past the end of a stream that is a step shorter, its last token is read once more, and not scored.
        places = (self._starts.unsqueeze(-1) + first + torch.arange(count)).clamp(max=len(self.source.tokens) - 2)
        ragged = bool((lengths < count).any())
        return Batch(self.source.tokens[places], self.source.tokens[places + 1], lengths if ragged else None)
