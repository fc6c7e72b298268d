"""Ranges of sequence lengths: checks, and the bins in which a score is followed over length."""

import itertools
from collections.abc import Sequence

from rnnbench.datamodules.checks import check_at_least

MOST_BINS = 16
"""Points of a score over length at most."""


def check_range(minimum: int, **ranges: Sequence[int]) -> None:
    """Check that every argument is the shortest and the longest length of a range.

    >>> check_range(2, train_lengths=(3, 40), test_lengths=(40, 20))
    Traceback (most recent call last):
    ValueError: test_lengths must be the shortest and the longest length, got (40, 20)
    """
    for name, lengths in ranges.items():
        if not isinstance(lengths, (tuple, list)) or len(lengths) != 2:
            raise ValueError(f"{name} must be the shortest and the longest length, got {lengths!r}")
        check_at_least(minimum, **{f"{name}[{place}]": length for place, length in enumerate(lengths)})
        if lengths[0] > lengths[1]:
            raise ValueError(f"{name} must be the shortest and the longest length, got {lengths!r}")


def length_bins(shortest: int, longest: int) -> list[tuple[int, int]]:
    """Return at most ``MOST_BINS`` ranges of lengths, both ends included, as even as can be.

    >>> length_bins(3, 5)
    [(3, 3), (4, 4), (5, 5)]
    >>> length_bins(40, 256)[:2], len(length_bins(40, 256))
    ([(40, 52), (53, 66)], 16)
    """
    count = longest - shortest + 1
    bins = min(MOST_BINS, count)
    edges = [shortest + count * place // bins for place in range(bins + 1)]
    return [(low, high - 1) for low, high in itertools.pairwise(edges)]
