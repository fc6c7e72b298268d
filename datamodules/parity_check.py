"""Parity check: is the number of ones odd?"""

from typing import Any

import torch
from torch import Tensor

from rnnbench.datamodules.token_sequences import PrefixTask


class ParityCheck(PrefixTask):
    """Tell whether a binary string has an odd number of ones (Delétang et al. 2023, and their code).

    Tokens [T] are 0 or 1; the class, at the end [] or at every step [T], is the number of ones so far, modulo 2. Both
    are equally likely at every step.

    Args:
        labels: whether there is a class at the ``last`` step, as in the source, or at ``every`` one.
        train_lengths, val_lengths, test_lengths, lengths_per, embedding_size: see ``TokenSequences``.
        train_size, val_size, test_size, fresh, batch_size, eval_batch_size, seed: see ``SyntheticDataModule``.

    >>> ParityCheck().label(torch.tensor([[1, 0, 1, 1, 0]])).tolist()
    [[1, 1, 0, 1, 1]]
    """

    def __init__(self, **drawn: Any) -> None:
        super().__init__(2, 2, 1, **drawn)

    def label(self, tokens: Tensor) -> Tensor:
        """Return the parity of every prefix [B, T] of tokens [B, T]."""
        return tokens.cumsum(1) % 2

    def chances(self, steps: int) -> Tensor:
        """Return how likely each class is at each step [steps, 2]."""
        return torch.full((steps, 2), 0.5, dtype=torch.float64)
