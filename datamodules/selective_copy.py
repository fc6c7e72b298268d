"""Selective copying: repeat the symbols that stand at random places among blanks."""

from typing import Any

import torch
from torch import Tensor

from rnnbench.datamodules.checks import check_at_least
from rnnbench.datamodules.task import UNLABELLED
from rnnbench.datamodules.token_sequences import TokenSequences


class SelectiveCopy(TokenSequences):
    """Repeat, in their order, symbols scattered among blanks (Gu & Dao 2023, section 4.1.1; after Jing et al. 2019).

    Tokens [T]: ``count`` symbols, drawn uniformly from 0 to ``symbols - 1``, at uniformly drawn places among the first
    T - count steps, blanks (``symbols``) elsewhere, and then ``count`` times the request (``symbols + 1``). The classes
    of these last steps are the symbols; no others have one. Chance is a uniform guess. The source has 16 symbols to
    remember out of a vocabulary of 16 (14 symbols, a blank and a request) among 4,096 steps.

    Args:
        count: symbols to remember.
        symbols: different ones.
        train_lengths, val_lengths, test_lengths, lengths_per, embedding_size: see ``TokenSequences``.
        train_size, val_size, test_size, fresh, batch_size, eval_batch_size, seed: see ``SyntheticDataModule``.

    >>> data = SelectiveCopy(count=2, symbols=3)
    >>> data.label(torch.tensor([[3, 1, 3, 0, 3, 4, 4]]), torch.tensor([7])).tolist()
    [[-100, -100, -100, -100, -100, 1, 0]]
    """

    def __init__(
        self,
        count: int = 8,
        symbols: int = 14,
        train_lengths: tuple[int, int] = (64, 64),
        val_lengths: tuple[int, int] = (64, 64),
        test_lengths: tuple[int, int] = (64, 256),
        **drawn: Any,
    ) -> None:
        check_at_least(1, count=count)
        check_at_least(2, symbols=symbols)
        self.count = count
        super().__init__(symbols + 2, symbols, "every", 2 * count, train_lengths, val_lengths, test_lengths, **drawn)

    @property
    def variant(self) -> str:
        """How many symbols of how many."""
        return f"{self.count}of{self.classes}"

    def draw(self, lengths: Tensor, steps: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Draw tokens [B, steps], and the symbols in their order as classes of the last steps [B, steps]."""
        size, places = len(lengths), torch.arange(steps)
        shown = (lengths - self.count)[:, None]
        order = torch.rand(size, steps, generator=generator).masked_fill(places >= shown, 2.0)
        chosen = order.topk(self.count, largest=False).indices
        symbols = torch.randint(self.classes, (size, self.count), generator=generator)
        tokens = torch.full((size, steps), self.classes).scatter_(1, chosen, symbols)
        tokens = torch.where(places >= shown, self.classes + 1, tokens)
        return tokens, self.label(tokens, lengths)

    def label(self, tokens: Tensor, lengths: Tensor) -> Tensor:
        """Return the classes [B, T] of tokens [B, T] of such lengths [B]."""
        # The symbols first, each in its order.
        order = (tokens >= self.classes).long().argsort(dim=1, stable=True)
        symbols = tokens.gather(1, order[:, : self.count])
        last = (lengths - self.count)[:, None] + torch.arange(self.count)
        return torch.full_like(tokens, UNLABELLED).scatter_(1, last, symbols)

    def chances(self, steps: int) -> Tensor:
        """Return how likely each symbol is where one is asked for [steps, K]."""
        return torch.full((steps, self.classes), 1 / self.classes, dtype=torch.float64)
