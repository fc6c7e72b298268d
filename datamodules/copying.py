"""Copy tasks: recall ten symbols after a delay, and repeat an input signal some steps later."""

import math
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import one_hot, pad

from rnnbench.datamodules.checks import check_at_least
from rnnbench.datamodules.synthetic import SignalDataModule, SyntheticDataModule
from rnnbench.datamodules.task import Metric, Task, Tokens
from rnnbench.datamodules.vocabulary import check_embedding

SYMBOLS = 10
"""Symbols to remember."""
ALPHABET = 8
"""Different symbols; class 8 is the blank, and input 9 the delimiter."""


class CopyMemory(SyntheticDataModule):
    """Recall ten symbols after a delay (Hochreiter & Schmidhuber 1997; in the form of Arjovsky et al. 2016).

    Inputs [T, 10] with T = delay + 20, one-hot: ten symbols of an alphabet of 8, ``delay - 1`` blanks, the delimiter,
    ten blanks. Targets [T], one of 9 classes (the 8 symbols and the blank; the delimiter is never an answer): blanks
    for ``delay + 10`` steps, then the ten symbols. The loss scores all steps, accuracy the ten recalled symbols only.

    Chance knows the time but not the inputs: blanks, then a uniform guess. It recalls 1/8, at a cross-entropy of
    10 ln 8 / (delay + 20) nats.

    Args:
        delay: steps from the last symbol to the delimiter, at least 1.
        train_size, val_size, test_size, fresh, batch_size, eval_batch_size, seed: see ``SyntheticDataModule``.

    >>> data = CopyMemory(delay=3, train_size=1, val_size=1, test_size=1, batch_size=1)
    >>> data.setup()
    >>> inputs, targets, _ = next(iter(data.train_dataloader()))
    >>> inputs.argmax(-1)[0, 10:].tolist()  # two blanks, the delimiter, ten blanks
    [8, 8, 9, 8, 8, 8, 8, 8, 8, 8, 8, 8, 8]
    >>> torch.equal(targets[0, 13:], inputs.argmax(-1)[0, :10])
    True
    """

    def __init__(self, delay: int = 100, **drawn: Any) -> None:
        super().__init__(**drawn)
        check_at_least(1, delay=delay)
        self.delay = delay
        self.check_sequences_fit((delay + 2 * SYMBOLS) * (ALPHABET + 2))

    @property
    def task(self) -> Task:
        """Nine classes at every step; ranked by the accuracy of recall."""
        steps = self.delay + 2 * SYMBOLS
        metrics = (
            Metric("accuracy", "max", chance=1 / ALPHABET, best=1.0, steps=(steps - SYMBOLS, steps)),
            Metric("cross_entropy", "min", chance=SYMBOLS * math.log(ALPHABET) / steps, best=0.0),
        )
        return Task(f"COPY{self.delay}", ALPHABET + 2, ALPHABET + 1, steps, "every", "cross_entropy", metrics)

    def sample(self, count: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Draw inputs [count, T, 10] and target classes [count, T]."""
        symbols = torch.randint(ALPHABET, (count, SYMBOLS), generator=generator)
        shown = torch.full((count, self.delay + 2 * SYMBOLS), ALPHABET)
        targets = shown.clone()
        shown[:, :SYMBOLS] = symbols
        shown[:, SYMBOLS + self.delay - 1] = ALPHABET + 1
        targets[:, -SYMBOLS:] = symbols
        return one_hot(shown, ALPHABET + 2).float(), targets


class TokenCopy(SyntheticDataModule):
    """Repeat the token of ``delay`` steps before (Lizaire et al. 2026, the tokens of their released data).

    Inputs [T] are tokens drawn uniformly; the target of each step from ``delay`` on is the token ``delay`` steps
    before. The first ``delay`` steps have no target and are left out of loss and metrics by their index (they hold 0).
    Chance is a uniform guess.

    Args:
        delay: steps p between token and target, less than ``length``.
        symbols: different tokens.
        length: steps T.
        embedding_size: entries of a token's learned vector; None for one-hot inputs.
        train_size, val_size, test_size, fresh, batch_size, eval_batch_size, seed: see ``SyntheticDataModule``.

    >>> data = TokenCopy(delay=2, symbols=9, length=5)
    >>> data.target(torch.tensor([[4, 7, 1, 8, 2]])).tolist(), data.task.loss_steps
    ([[0, 0, 4, 7, 1]], (2, 5))
    """

    def __init__(
        self, delay: int = 8, symbols: int = 10, length: int = 16, embedding_size: int | None = 5, **drawn: Any
    ) -> None:
        super().__init__(**drawn)
        check_at_least(0, delay=delay)
        check_at_least(1, length=length)
        check_below(delay, length)
        check_at_least(2, symbols=symbols)
        check_embedding(embedding_size, symbols, symbols)
        self.delay = delay
        self.length = length
        self.tokens = Tokens(symbols, embedding_size)
        self.check_sequences_fit(4 * length)

    @property
    def task(self) -> Task:
        """The earlier token as a class, at every step from ``delay`` on; ranked by accuracy."""
        size, scored = self.tokens.vocabulary_size, (self.delay, self.length)
        metrics = (
            Metric("accuracy", "max", chance=1 / size, best=1.0, steps=scored),
            Metric("cross_entropy", "min", chance=math.log(size), best=0.0, steps=scored),
        )
        name = f"TCOPY{self.delay}-v{size}-T{self.length}"
        width = self.tokens.input_size
        return Task(name, width, size, self.length, "every", "cross_entropy", metrics, scored, tokens=self.tokens)

    def target(self, tokens: Tensor) -> Tensor:
        """Return the targets [B, T] of tokens [B, T]; 0 where there is none."""
        return pad(tokens[:, : self.length - self.delay], (self.delay, 0))

    def sample(self, count: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Draw tokens [count, T] and their targets."""
        tokens = torch.randint(self.tokens.vocabulary_size, (count, self.length), generator=generator)
        return tokens, self.target(tokens)


class DelayedCopy(SignalDataModule):
    """Repeat the input ``delay`` steps later (Lizaire et al. 2026, their released data of mode ``linear``).

    Inputs x [T, width] ~ N(0, 1); target y_t = x_{t - delay} at every step. The first ``delay`` steps have no target
    and are left out of loss and metric by their index (they hold 0). Chance is the mean, 0: its MSE is 1.

    Args:
        delay: steps p between input and target, less than ``length``.
        width: features d of the signal.
        length: steps T.
        train_size, val_size, test_size, fresh, batch_size, eval_batch_size, seed: see ``SyntheticDataModule``.

    >>> data = DelayedCopy(delay=2, width=1, length=5, train_size=1, val_size=1, test_size=1, batch_size=1)
    >>> data.setup()
    >>> inputs, targets, _ = next(iter(data.train_dataloader()))
    >>> torch.equal(targets[:, 2:], inputs[:, :3]), data.task.loss_steps
    (True, (2, 5))
    """

    def __init__(self, delay: int = 8, width: int = 5, length: int = 16, **drawn: Any) -> None:
        super().__init__(**drawn)
        check_at_least(0, delay=delay)
        check_at_least(1, width=width, length=length)
        check_below(delay, length)
        self.delay = delay
        self.width = width
        self.length = length
        self.check_sequences_fit(2 * length * width)

    @property
    def task(self) -> Task:
        """The delayed signal at every step from ``delay`` on."""
        scored = (self.delay, self.length)
        name = f"DCOPY{self.delay}-d{self.width}-T{self.length}"
        metrics = (Metric("mse", "min", chance=1.0, best=0.0, steps=scored),)
        return Task(name, self.width, self.width, self.length, "every", "mse", metrics, scored)

    def target(self, inputs: Tensor) -> Tensor:
        """Return the targets [B, T, width] of inputs [B, T, width]; 0 where there is none."""
        targets = torch.zeros_like(inputs)
        targets[:, self.delay :] = inputs[:, : self.length - self.delay]
        return targets


def check_below(delay: int, length: int) -> None:
    """Check that a delay leaves a step that has a target."""
    if delay >= length:
        raise ValueError(f"delay must be less than length ({length}), else no step has a target, got {delay}")
