"""Language in chunks: short pieces of a text at random places, each from the initial state."""

import math
import string

import torch
from torch import Tensor

from rnnbench.datamodules.checks import check_at_least, check_memory
from rnnbench.datamodules.language import Shakespeare, text_tokens
from rnnbench.datamodules.loader import SequenceLoader, SequenceSource
from rnnbench.datamodules.real_data import SPLITS, DataMissingError, find_splits
from rnnbench.datamodules.sequence_data_module import SequenceDataModule, Sizes
from rnnbench.datamodules.sources import FreshSource
from rnnbench.datamodules.task import Metric, Task, Tokens
from rnnbench.datamodules.token_streams import TokenSource
from rnnbench.datamodules.vocabulary import frequency_cross_entropy

ALPHABET = string.printable
"""The 100 characters that there are, in the order of their numbers."""


class ShakespeareChunks(SequenceDataModule):
    """Predict the next character of chunks of Shakespeare's plays, as in the released code of Lizaire et al. 2026.

    Each training sequence is a chunk that begins at a random place of the training split, a new one in each epoch;
    validation and test sequences are the chunks that follow one another (the rest behind the last is not scored). The
    state begins from its initial value in each chunk, unlike in ``Shakespeare``: so the scores of the two are not to be
    compared, and early characters of a chunk are predicted from little. Inputs are one-hot among the 100 characters of
    ``string.printable``. Ranked by bits per character; chance is the best constant: the frequencies of the training
    split, scored on the test split (a uniform guess as long as the data are not loaded).

    Args:
        length: characters of a chunk.
        train_size: chunks of one epoch; the default is as many as lie end to end in the training split.
        data_dir: folder that holds ``tiny_shakespeare``; see ``Shakespeare``.
        batch_size, eval_batch_size, seed: see ``SequenceDataModule``; the seed also decides where chunks begin.

    >>> data = ShakespeareChunks()
    >>> data.task.name, data.task.input_size, round(data.task.ranked.chance, 2)
    ('ShakespeareChunks64', 100, 6.64)
    >>> inputs, targets = next_characters(character_numbers("To be"), torch.tensor([0, 1]), 3)
    >>> ["".join(ALPHABET[number] for number in row) for row in (*inputs.tolist(), *targets.tolist())]
    ['To ', 'o b', 'o b', ' be']
    """

    def __init__(
        self,
        length: int = 64,
        train_size: int = 15684,
        data_dir: str | None = None,
        batch_size: int = 64,
        eval_batch_size: int = 500,
        seed: int = 0,
    ) -> None:
        super().__init__(batch_size, eval_batch_size, seed)
        check_at_least(1, length=length, train_size=train_size)
        check_memory(f"the sequences of {type(self).__name__}", 16 * length * eval_batch_size + 8 * train_size)
        self.length = length
        self.train_size = train_size
        self.data_dir = data_dir
        self._chance = math.log(len(ALPHABET))

    @property
    def task(self) -> Task:
        """The next character at every step."""
        metrics = (
            Metric("bits_per_character", "min", self._chance / math.log(2), 0.0),
            Metric("cross_entropy", "min", self._chance, 0.0),
        )
        size, name = len(ALPHABET), f"ShakespeareChunks{self.length}"
        return Task(name, size, size, self.length, "every", "cross_entropy", metrics, tokens=Tokens(size))

    @property
    def published_sizes(self) -> Sizes:
        """The chunks that the published text gives."""
        return Sizes(self.train_size, 55_755 // self.length, 55_849 // self.length, self.length)

    def make_sources(self) -> dict[str, SequenceSource]:
        """Return the three splits, and compute what the best constant scores."""
        tokens = {}
        for split, found in zip(SPLITS, find_splits(Shakespeare.origin, self.data_dir), strict=True):
            text = text_tokens([row for (row,) in found.values()], "characters")
            if len(text) <= self.length:
                raise DataMissingError(
                    f"rows 0 to {found.size - 1} of {found.where} must hold more than {self.length} characters (length)"
                    f" together, got {len(text)}"
                )
            tokens[split] = character_numbers(text)
        train = tokens["train"]
        self._chance = frequency_cross_entropy(train[1:], tokens["test"][1:], len(ALPHABET))

        def sample(count: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
            starts = torch.randint(len(train) - self.length, (count,), generator=generator)
            return next_characters(train, starts, self.length)

        axis = ("data", type(self).__name__, "train", self.seed)
        return {
            "train": FreshSource(sample, self.train_size, axis),
            **{split: TokenSource(tokens[split], self.length) for split in ("val", "test")},
        }

    def train_dataloader(self) -> SequenceLoader:
        """Return the training batches, as they are drawn."""
        return self._loader("train", self.batch_size, None)


def character_numbers(text: str | list[str]) -> Tensor:
    """Return the numbers of characters [size] in ``ALPHABET``.

    Raises:
        DataMissingError: a character is not among them.
    """
    numbers = {character: number for number, character in enumerate(ALPHABET)}
    unknown = sorted(set(text) - numbers.keys())
    if unknown:
        raise DataMissingError(f"the text must be of printable ASCII characters, got {unknown[0]!r}")
    return torch.tensor([numbers[character] for character in text], dtype=torch.int64)


def next_characters(tokens: Tensor, starts: Tensor, length: int) -> tuple[Tensor, Tensor]:
    """Return chunks [B, T] that begin at ``starts`` [B], and the same chunks one character on."""
    places = starts.unsqueeze(-1) + torch.arange(length)
    return tokens[places], tokens[places + 1]
