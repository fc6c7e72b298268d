"""Multi-query associative recall: pairs of keys and values, and then keys again."""

from typing import Any

import torch
from torch import Tensor

from rnnbench.datamodules.checks import check_at_least, check_number
from rnnbench.datamodules.task import UNLABELLED
from rnnbench.datamodules.token_sequences import TokenSequences


class AssociativeRecall(TokenSequences):
    """Recall the values of keys (multi-query associative recall; Arora et al. 2024, arXiv 2312.04927, and their code).

    Tokens [T]: ``pairs`` times a key (0 to ``keys - 1``) and its value (``keys`` and above), keys and values each drawn
    without repetition. Of the places after them, every second one may hold a query: each key stands at one of them,
    drawn without repetition by the power law g^(power - 1) of its gap g = 1, 2, … from the pairs. All other steps hold
    tokens drawn uniformly, keys and values alike. The class of a query's step is its key's value; other steps have
    none. Chance is a uniform guess. The source has a vocabulary of 8,192 and answers that may be any token; here they
    are values alone.

    Args:
        pairs: keys with their values.
        keys, values: different ones, at least ``pairs`` each.
        power: exponent of the power law; 1 for uniform gaps.
        train_lengths, val_lengths, test_lengths, lengths_per, embedding_size: see ``TokenSequences``.
        train_size, val_size, test_size, fresh, batch_size, eval_batch_size, seed: see ``SyntheticDataModule``.

    >>> data = AssociativeRecall(pairs=2, keys=8, values=8, train_lengths=(8, 16))
    >>> data.setup()
    >>> tokens, classes, lengths = next(iter(data.train_dataloader()))
    >>> key, value = tokens[0, :2].tolist()
    >>> asked = classes[0] != UNLABELLED
    >>> int(asked.sum()), classes[0][asked & (tokens[0] == key)].item() == value - 8
    (2, True)
    """

    def __init__(
        self,
        pairs: int = 4,
        keys: int = 16,
        values: int = 16,
        power: float = 0.01,
        train_lengths: tuple[int, int] = (64, 64),
        val_lengths: tuple[int, int] = (64, 64),
        test_lengths: tuple[int, int] = (64, 256),
        **drawn: Any,
    ) -> None:
        check_at_least(1, pairs=pairs)
        check_at_least(max(2, pairs), keys=keys, values=values)
        check_number("power", power, above=0, high=10)
        self.pairs = pairs
        self.keys = keys
        self.power = power
        lengths = train_lengths, val_lengths, test_lengths
        super().__init__(keys + values, values, "every", 4 * pairs, *lengths, **drawn)
        self.check_sequences_fit(4 * max(high for _, high in self.lengths), 128 * 8 * (keys + values))

    @property
    def variant(self) -> str:
        """How many pairs, of how many keys and values."""
        return f"{self.pairs}of{self.keys}-{self.classes}"

    def draw(self, lengths: Tensor, steps: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Draw tokens [B, steps] and the queries' values [B, steps]."""
        size, context = len(lengths), 2 * self.pairs
        tokens = torch.randint(self.tokens.vocabulary_size, (size, steps), generator=generator)
        keys = torch.rand(size, self.keys, generator=generator).topk(self.pairs).indices
        values = torch.rand(size, self.classes, generator=generator).topk(self.pairs).indices
        tokens[:, 0:context:2], tokens[:, 1:context:2] = keys, self.keys + values
        # The largest of logarithms with Gumbel noise are places drawn by the law without repetition, in their order.
        gaps = torch.arange(1, (steps - context) // 2 + 1)
        noise = -torch.empty(size, len(gaps)).exponential_(generator=generator).log()
        scores = (self.power - 1) * gaps.log() + noise
        scores[gaps > ((lengths - context) // 2)[:, None]] = -torch.inf
        places = context + 2 * scores.topk(self.pairs).indices
        labels = torch.full_like(tokens, UNLABELLED).scatter_(1, places, values)
        return tokens.scatter_(1, places, keys), labels

    def chances(self, steps: int) -> Tensor:
        """Return how likely each value is where one is asked for [steps, K]."""
        return torch.full((steps, self.classes), 1 / self.classes, dtype=torch.float64)
