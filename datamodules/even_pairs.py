"""Even pairs: do neighbours differ an even number of times?"""

from typing import Any

import torch
from torch import Tensor

from rnnbench.datamodules.token_sequences import PrefixTask


class EvenPairs(PrefixTask):
    """Tell whether a binary string has an odd number of unequal neighbours (Delétang et al. 2023, and their code).

    Tokens [T] are 0 or 1; the class, at the end [] or at every step [T], is the number of pairs 01 and 10 so far,
    modulo 2. It is 0 where the last token equals the first: always at the first step, and from then on both classes are
    equally likely.

    Args:
        labels: whether there is a class at the ``last`` step, as in the source, or at ``every`` one.
        train_lengths, val_lengths, test_lengths, lengths_per, embedding_size: see ``TokenSequences``.
        train_size, val_size, test_size, fresh, batch_size, eval_batch_size, seed: see ``SyntheticDataModule``.

    >>> EvenPairs().label(torch.tensor([[0, 1, 0, 1, 0, 0, 1], [0, 0, 1, 1, 1, 0, 0]]))[:, -1].tolist()
    [1, 0]
    """

    def __init__(self, **drawn: Any) -> None:
        super().__init__(2, 2, 1, **drawn)

    def label(self, tokens: Tensor) -> Tensor:
        """Return the class of every prefix [B, T] of tokens [B, T]."""
        return (tokens != tokens[:, :1]).long()

    def chances(self, steps: int) -> Tensor:
        """Return how likely each class is at each step [steps, 2]."""
        likely = torch.full((steps, 2), 0.5, dtype=torch.float64)
        likely[0] = torch.tensor([1.0, 0.0])
        return likely
