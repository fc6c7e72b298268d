"""The bases of tasks on tokens whose sequences have lengths of their own in training, validation and test."""

import copy
import functools
from abc import abstractmethod
from typing import Any, Literal

import torch
from torch import Tensor

from rnnbench.datamodules.checks import check_at_least, check_choice
from rnnbench.datamodules.length_ranges import check_range
from rnnbench.datamodules.loader import SequenceSource
from rnnbench.datamodules.seeds import named_generator
from rnnbench.datamodules.sequence_data_module import SPLITS, Sizes
from rnnbench.datamodules.sources import BLOCK, FixedSource, FreshSource, PaddedSource
from rnnbench.datamodules.synthetic import SyntheticDataModule
from rnnbench.datamodules.task import UNLABELLED, Batch, Lengths, Metric, Steps, Task, Tokens
from rnnbench.datamodules.vocabulary import check_embedding

Range = tuple[int, int]


class TokenSequences(SyntheticDataModule):
    """Tokens [T] and classes, with T drawn uniformly from a range that each split has of its own.

    Subclasses give ``draw`` and ``chances``. Where a split's sequences differ in length they are padded, and batches
    have ``lengths``; nothing scores padding. Classes are those of the last step [B], or of every step [B, T], with
    ``UNLABELLED`` where there is none. The ranked accuracy is that over all lengths of a split, and all labelled steps.

    Args:
        symbols: different tokens; these four have a place alone, and subclasses give them.
        classes: different answers K.
        readout: whether there is an answer at the ``last`` step or at ``every`` one.
        shortest: steps that a sequence has at least.
        train_lengths, val_lengths, test_lengths: the shortest and the longest sequences of each split.
        lengths_per: whether each ``sequence`` has a length of its own, or all of a training ``batch`` have the same.
        embedding_size: entries of a token's learned vector; None for one-hot inputs.
        train_size, val_size, test_size, fresh, batch_size, eval_batch_size, seed: see ``SyntheticDataModule``.
    """

    def __init__(
        self,
        symbols: int,
        classes: int,
        readout: Literal["last", "every"],
        shortest: int,
        /,
        train_lengths: Range = (3, 40),
        val_lengths: Range = (40, 256),
        test_lengths: Range = (40, 256),
        lengths_per: Literal["sequence", "batch"] = "sequence",
        embedding_size: int | None = None,
        **drawn: Any,
    ) -> None:
        super().__init__(**drawn)
        check_range(shortest, train_lengths=train_lengths, val_lengths=val_lengths, test_lengths=test_lengths)
        check_choice("lengths_per", lengths_per, ("sequence", "batch"))
        check_embedding(embedding_size, symbols, symbols)
        self.lengths_per, self.readout = lengths_per, readout
        self.tokens, self.classes = Tokens(symbols, embedding_size), classes
        self.lengths = Lengths(*map(self._allowed, (train_lengths, val_lengths, test_lengths)))
        self.check_sequences_fit(4 * max(high for _, high in self.lengths))

    @abstractmethod
    def draw(self, lengths: Tensor, steps: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Draw tokens [B, steps] of so many ``lengths`` [B], and their classes at every step [B, steps].

        What lies past a sequence's length does not count.
        """

    @abstractmethod
    def chances(self, steps: int) -> Tensor:
        """Return how likely each class is at each step [steps, K], float64; zeros where there is no label."""

    def nearest(self, lengths: Tensor) -> Tensor:
        """Return the lengths [B] that are allowed, for any that were drawn [B]: the same, or less."""
        return lengths

    def _allowed(self, lengths: Range) -> Range:
        low, high = self.nearest(torch.tensor(lengths)).tolist()
        return low, high

    @property
    def task(self) -> Task:
        """The classes, ranked by accuracy over all lengths."""
        every = self.readout == "every"
        scored: Steps = "labelled" if every else None
        accuracy, cross_entropy = self._blind
        metrics = (
            Metric("accuracy", "max", chance=accuracy, best=1.0, steps=scored),
            Metric("cross_entropy", "min", chance=cross_entropy, best=0.0, steps=scored),
        )
        longest = max(high for _, high in self.lengths)
        name = f"{type(self).__name__}{self.variant}-T{'-'.join(map(str, dict.fromkeys(self.lengths.train)))}"
        sizes = name, self.tokens.input_size, self.classes, longest
        unequal = any(low < high for low, high in self.lengths) or len(set(self.lengths)) > 1
        return Task(
            *sizes,
            self.readout,
            "cross_entropy",
            metrics,
            scored,
            1.0,
            self.tokens,
            False,
            (),
            self.lengths if unequal else None,
        )

    @property
    def variant(self) -> str:
        """What a task's name says of its settings, after the name of the class."""
        return ""

    @functools.cached_property
    def _blind(self) -> tuple[float, float]:
        """Accuracy and cross-entropy in test of the best prediction that knows the step at most."""
        low, high = self.lengths.test
        drawn = self.nearest(torch.arange(low, high + 1))
        likely = self.chances(high)
        if self.readout == "last":
            likely = likely[drawn - 1].mean(0, keepdim=True)
        else:
            # A step counts as often as sequences are so long.
            likely = likely * (drawn >= torch.arange(1, high + 1)[:, None]).sum(1, keepdim=True)
        totals = likely.sum(1, keepdim=True)
        entropy = -torch.xlogy(likely, likely / totals).nan_to_num().sum()
        return (likely.amax(1).sum() / totals.sum()).item(), (entropy / totals.sum()).item()

    def sample(self, count: int, generator: torch.Generator) -> tuple[Tensor, ...]:
        """Draw tokens [count, T], classes and lengths [count] of training."""
        return self._sample(self.lengths.train, False, count, generator)

    def _sample(self, allowed: Range, alike: bool, count: int, generator: torch.Generator) -> tuple[Tensor, ...]:
        low, high = allowed
        lengths = torch.randint(low, high + 1, (1 if alike else count,), generator=generator)
        lengths = self.nearest(lengths).expand(count).contiguous()
        tokens, classes = self.draw(lengths, high, generator)
        inside = torch.arange(high) < lengths[:, None]
        if self.readout == "last":
            targets = classes.gather(1, lengths[:, None] - 1)[:, 0]
        else:
            targets = torch.where(inside, classes, UNLABELLED)
        return torch.where(inside, tokens, 0), targets, lengths

    def _drawn(self, split: str) -> FreshSource:
        lengths: Range = getattr(self.lengths, split)
        alike = split == "train" and self.lengths_per == "batch"
        axis = "data", type(self).__name__, split, self.seed
        sample = functools.partial(self._sample, lengths, alike)
        return FreshSource(sample, self.sizes[split], axis, self.batch_size if alike else BLOCK)

    def make_sources(self) -> dict[str, SequenceSource]:
        """Return the three splits, each with a random stream of its own."""
        return {split: self._source(split) for split in self.sizes}

    def _source(self, split: str) -> SequenceSource:
        low, high = getattr(self.lengths, split)
        drawn, fixed = self._drawn(split), split != "train" or not self.fresh
        if low < high:
            return PaddedSource(drawn, fixed)
        if fixed:
            return FixedSource(*drawn.read(0, torch.arange(len(drawn)))[:2])
        return FreshSource(lambda *how: drawn.sample(*how)[:2], drawn.size, drawn.axis, drawn.block)

    def split_sizes(self) -> Sizes:
        """Return the sizes of the splits, without drawing them, and the mean length of training."""
        train, val, test = self.sizes.values()
        return Sizes(train, val, test, sum(self.lengths.train) / 2)

    def at_length(self, length: int, count: int) -> tuple[Task, Batch]:
        """Return the task with sequences of another length, and the first ``count`` test sequences of it."""
        other = self._of_length(length)
        return other.task, Batch(*other._drawn("test").read(0, torch.arange(count))[:2])

    def samples(self, split: str, count: int) -> Batch:
        """Return ``count`` sequences to measure on, always the same: all of a split's longest length."""
        check_choice("split", split, SPLITS)
        check_at_least(1, samples=count)
        if count > self.sizes[split]:
            raise ValueError(f"samples must be from 1 to {self.sizes[split]}, all of split {split!r}, got {count}")
        other = self._of_length(getattr(self.lengths, split)[1])
        generator = named_generator("samples", split, self.seed)
        return Batch(*other._sample(other.lengths.test, True, count, generator)[:2])

    def _of_length(self, length: int) -> "TokenSequences":
        check_at_least(1, length=length)
        other = copy.copy(self)
        other.__dict__.pop("_blind", None)
        other.lengths = Lengths(*[self._allowed((length, length))] * 3)
        return other


class PrefixTask(TokenSequences):
    """A class for every prefix, asked for at the end or at every step. Subclasses give ``label`` and ``chances``."""

    def __init__(
        self, symbols: int, classes: int, shortest: int, /, labels: Literal["last", "every"] = "last", **drawn: Any
    ) -> None:
        check_choice("labels", labels, ("last", "every"))
        super().__init__(symbols, classes, labels, shortest, **drawn)

    @abstractmethod
    def label(self, tokens: Tensor) -> Tensor:
        """Return the class of every prefix [B, T] of tokens [B, T]."""

    def draw(self, lengths: Tensor, steps: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Draw uniform tokens [B, steps], and label their prefixes [B, steps]."""
        tokens = torch.randint(self.tokens.vocabulary_size, (len(lengths), steps), generator=generator)
        return tokens, self.label(tokens)
