"""Cycle navigation: where on a circle do random steps end?"""

import itertools
from typing import Any

import torch
from torch import Tensor

from rnnbench.datamodules.checks import check_at_least
from rnnbench.datamodules.token_sequences import PrefixTask


class CycleNavigation(PrefixTask):
    """Tell where on a circle a random walk from place 0 is (Delétang et al. 2023, and their code).

    Tokens [T] are 0, 1 or 2, drawn uniformly: a step back, none, or a step ahead. The class, at the end [] or at every
    step [T], is the place, one of ``cycle``. After few steps not all places are equally likely, and chance says so.

    Args:
        cycle: places on the circle.
        labels: whether there is a class at the ``last`` step, as in the source, or at ``every`` one.
        train_lengths, val_lengths, test_lengths, lengths_per, embedding_size: see ``TokenSequences``.
        train_size, val_size, test_size, fresh, batch_size, eval_batch_size, seed: see ``SyntheticDataModule``.

    >>> actions = torch.tensor([[1, -1, 0, -1, -1], [1, 1, 1, -1, 0]])
    >>> CycleNavigation().label(actions + 1)[:, -1].tolist()
    [3, 2]
    >>> CycleNavigation(test_lengths=(1, 1)).task.ranked.chance == 1 / 3
    True
    """

    def __init__(self, cycle: int = 5, **drawn: Any) -> None:
        check_at_least(2, cycle=cycle)
        self.cycle = cycle
        super().__init__(3, cycle, 1, **drawn)

    @property
    def variant(self) -> str:
        """The size of the circle, where it is not that of the source."""
        return f"{self.cycle}" if self.cycle != 5 else ""

    def label(self, tokens: Tensor) -> Tensor:
        """Return the place after every step [B, T] of tokens [B, T]."""
        return (tokens - 1).cumsum(1) % self.cycle

    def chances(self, steps: int) -> Tensor:
        """Return how likely each place is after each step [steps, cycle]."""
        likely = torch.zeros(steps + 1, self.cycle, dtype=torch.float64)
        likely[0, 0] = 1.0
        for before, after in itertools.pairwise(likely):
            after.copy_((before.roll(-1) + before + before.roll(1)) / 3)
        return likely[1:]
