"""Vocabularies: what tokens there are, from the training split alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterable, Sequence

import torch
from torch import Tensor

from rnnbench.datamodules.checks import check_at_least, check_memory
from rnnbench.datamodules.real_data import DataMissingError

UNKNOWN = "<unk>"
"""The entry that stands for every word or character that the training split does not hold."""


class Vocabulary:
    """Words or characters of a training split by number, and one entry for all others.

    Entry 0 is ``UNKNOWN``; the others follow by how often they occur, ties by how they are spelled.

    Args:
        training: the training split's words or characters; where ``UNKNOWN`` is among them, it is entry 0.
        size: number of entries that are kept, the unknown one included; the most frequent stay.

    Raises:
        ValueError: the training split holds fewer entries than ``size``.

    >>> vocabulary = Vocabulary("abcaba", size=3)
    >>> vocabulary.entries, vocabulary.numbers("abcx").tolist()
    (('<unk>', 'a', 'b'), [1, 2, 0, 0])
    """

    def __init__(self, training: Iterable[str], size: int | None = None) -> None:
        """Count the training split."""
        counts = Counter(training)
        counts.pop(UNKNOWN, None)
        known = sorted(counts, key=lambda entry: (-counts[entry], entry))
        if size is not None and size > len(known) + 1:
            raise ValueError(
                f"vocabulary_size must be at most {len(known) + 1}, what the training split has, got {size}"
            )
        self.entries: tuple[str, ...] = (UNKNOWN, *known[: None if size is None else size - 1])
        self._numbers: dict[Hashable, int] = {entry: number for number, entry in enumerate(self.entries)}

    def __len__(self) -> int:
        """Return the number of entries."""
        return len(self.entries)

    def numbers(self, tokens: Sequence[str] | str) -> Tensor:
        """Return the numbers of words or characters [size]; 0 for those that are not known."""
        return torch.tensor([self._numbers.get(token, 0) for token in tokens], dtype=torch.int64)


def check_embedding(embedding_size: int | None, vocabulary_size: int | None, published: int) -> None:
    """Check the sizes of a task whose inputs are tokens: at least two entries, and vectors that fit in memory.

    Raises:
        ValueError: they are too small or too large.
    """
    check_at_least(2, vocabulary_size=published if vocabulary_size is None else vocabulary_size)
    check_at_least(1, embedding_size=1 if embedding_size is None else embedding_size)
    check_memory("the embedding", 4 * (vocabulary_size or published) * (embedding_size or 1))


def frequency_cross_entropy(training: Tensor, scored: Tensor, classes: int) -> float:
    """Return the cross-entropy [nats] of always answering with the frequencies of the training split's classes.

    A class that never occurs in training counts half an occurrence: no constant may give it no chance at all.
    """
    counts = training.bincount(minlength=classes).double().clamp(min=0.5)
    return -(counts / counts.sum()).log()[scored].mean().item()


def published_vocabulary(training: Iterable[str], size: int | None, published: int, where: str) -> Vocabulary:
    """Return the vocabulary of a data set whose number of entries is known.

    Args:
        training: the training split's words or characters.
        size: number of entries to keep; None for all.
        published: number of all entries, the unknown one included.
        where: path or name of the training split, for messages.

    Raises:
        DataMissingError: ``size`` is None and the data hold another number of entries than published.
        ValueError: ``size`` is more than the data hold.
    """
    vocabulary = Vocabulary(training, size)
    if size is None and len(vocabulary) != published:
        raise DataMissingError(
            f"the vocabulary of {where} must have {published} entries, the unknown one included, got "
            f"{len(vocabulary)}: give vocabulary_size to keep another number of entries"
        )
    return vocabulary
