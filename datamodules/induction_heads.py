"""Induction heads: recall what followed a mark the only time that it was seen."""

from typing import Any

import torch
from torch import Tensor

from rnnbench.datamodules.checks import check_at_least
from rnnbench.datamodules.token_sequences import TokenSequences


class InductionHeads(TokenSequences):
    """Recall the token that followed the mark (Gu & Dao 2023, section 4.1.2; after Olsson et al. 2022).

    Tokens [T] are drawn uniformly from 0 to ``symbols - 1``, but that the mark (``symbols``) stands at one uniformly
    drawn place of the first T - 2, and at the end. The class, at the end [], is the token after the first mark. Chance
    is a uniform guess. The source trains on 256 steps of a vocabulary of 16 and tests on 64 to 1,048,576.

    Args:
        symbols: different tokens, the mark aside.
        train_lengths, val_lengths, test_lengths, lengths_per, embedding_size: see ``TokenSequences``.
        train_size, val_size, test_size, fresh, batch_size, eval_batch_size, seed: see ``SyntheticDataModule``.

    >>> InductionHeads(symbols=4).label(torch.tensor([[0, 4, 3, 1, 4]])).tolist()
    [3]
    """

    def __init__(
        self,
        symbols: int = 15,
        train_lengths: tuple[int, int] = (64, 64),
        val_lengths: tuple[int, int] = (64, 64),
        test_lengths: tuple[int, int] = (64, 256),
        **drawn: Any,
    ) -> None:
        check_at_least(2, symbols=symbols)
        super().__init__(symbols + 1, symbols, "last", 3, train_lengths, val_lengths, test_lengths, **drawn)

    @property
    def variant(self) -> str:
        """The number of symbols, where it is not that of the source."""
        return f"{self.classes}" if self.classes != 15 else ""

    def draw(self, lengths: Tensor, steps: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Draw tokens [B, steps], and the class at every step [B, steps]."""
        size = len(lengths)
        tokens = torch.randint(self.classes, (size, steps), generator=generator)
        places = (torch.rand(size, generator=generator, dtype=torch.float64) * (lengths - 2)).long()
        for place in (places, lengths - 1):
            tokens.scatter_(1, place[:, None], self.classes)
        return tokens, self.label(tokens)[:, None].expand(size, steps)

    def label(self, tokens: Tensor) -> Tensor:
        """Return the class [B] of tokens [B, T]."""
        place = (tokens == self.classes).long().argmax(1)
        return tokens.gather(1, place[:, None] + 1)[:, 0]

    def chances(self, steps: int) -> Tensor:
        """Return how likely each class is [steps, K]."""
        return torch.full((steps, self.classes), 1 / self.classes, dtype=torch.float64)
