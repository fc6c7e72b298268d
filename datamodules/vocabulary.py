"""Vocabularies: what tokens there are, from the training split alone."""

from collections import Counter
from collections.abc import Iterable

import torch
from torch import Tensor

from rnnbench.datamodules.checks import check_at_least, check_memory
from rnnbench.datamodules.real_data import DataMissingError

UNKNOWN = "<unk>"
"""The entry that stands for every word or character that the training split does not hold."""


def read_vocabulary(training: Iterable[str], size: int | None, published: int, where: str) -> dict[str, int]:
    """Return the numbers of a training split's words or characters: ``UNKNOWN`` is 0 and stands for all others.

    They are numbered by how often they occur, ties by how they are spelled; the ``size`` most frequent entries are
    kept, the unknown one included, or all if None. ``where`` names the training split in messages.

    Raises:
        DataMissingError: ``size`` is None and the data hold another number of entries than published.
        ValueError: the data hold fewer entries than ``size``.

    >>> read_vocabulary("abcaba", 3, published=4, where="here")
    {'<unk>': 0, 'a': 1, 'b': 2}
    """
    counts = Counter(training)
    counts.pop(UNKNOWN, None)
    entries = [UNKNOWN, *sorted(counts, key=lambda entry: (-counts[entry], entry))]
    if size is None and len(entries) != published:
        raise DataMissingError(
            f"the vocabulary of {where} must have {published} entries, the unknown one included, got {len(entries)}: "
            "give vocabulary_size to keep another number of entries"
        )
    if size is not None and size > len(entries):
        raise ValueError(f"vocabulary_size must be at most {len(entries)}, what the training split has, got {size}")
    return {entry: number for number, entry in enumerate(entries[:size])}


def token_numbers(tokens: Iterable[str], vocabulary: dict[str, int]) -> Tensor:
    """Return the numbers of words or characters [size]; 0 for those that are not known."""
    return torch.tensor([vocabulary.get(token, 0) for token in tokens], dtype=torch.int64)


def check_embedding(embedding_size: int | None, vocabulary_size: int | None, published: int) -> None:
    """Check the sizes of a task whose inputs are tokens: at least two entries, and vectors that fit in memory."""
    check_at_least(2, vocabulary_size=published if vocabulary_size is None else vocabulary_size)
    check_at_least(1, embedding_size=1 if embedding_size is None else embedding_size)
    check_memory("the embedding", 4 * (vocabulary_size or published) * (embedding_size or 1))


def frequency_cross_entropy(training: Tensor, scored: Tensor, classes: int) -> float:
    """Return the cross-entropy [nats] of always answering with the frequencies of the training split's classes.

    A class that never occurs in training counts half an occurrence: no constant may give it no chance at all.
    """
    counts = training.bincount(minlength=classes).double().clamp(min=0.5)
    return -(counts / counts.sum()).log()[scored].mean().item()
