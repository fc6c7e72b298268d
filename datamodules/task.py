"""What is learned: a task's sizes, loss, metrics with their chance and best values, and its scored positions."""

from dataclasses import dataclass
from typing import Literal, NamedTuple

from torch import Tensor

from rnnbench.datamodules.objective import Objective, named_objective

LossName = Literal["mse", "rmse", "cross_entropy", "frame_nll"]
MetricName = Literal[LossName, "normalized_mse", "accuracy", "perplexity", "bits_per_character", "slot_f1"]
#: Which steps are scored: a half-open range of them, those that have a label, or None for all.
Steps = tuple[int, int] | Literal["labelled"] | None
UNLABELLED = -100
"""The class of a step that has no label."""


def _check_range(name: str, steps: Steps) -> None:
    # Three numbers, taken for indices, would be a slice with a stride.
    if steps is None or steps == "labelled":
        return
    if isinstance(steps, str) or not (len(steps) == 2 and 0 <= steps[0] < steps[1]):
        raise ValueError(f"{name} must be the first scored step and the one after the last, got {steps}")


class Batch(NamedTuple):
    """One batch as the model sees it, batch-major.

    Attributes:
        inputs: [B, T, D] float, or tokens [B, T] int64.
        targets: [B] int64 or [B, K] float for a readout at the last step, [B, T] or [B, T, K] for one at every step.
        lengths: [B] int64, the number of valid steps of each sequence; None when all have T. Steps past a sequence's
            length are padding: nothing scores them.

    >>> import torch
    >>> batch = Batch(torch.zeros(3, 20, 2), torch.zeros(3, 1))
    >>> batch.lengths is None
    True
    """

    inputs: Tensor
    targets: Tensor
    lengths: Tensor | None = None


@dataclass(frozen=True)
class Metric:
    """A measured quantity.

    Attributes:
        name: its name in records and tables.
        direction: whether smaller ("min") or larger ("max") is better.
        chance: what the best constant prediction reaches, computed for the setting at hand.
        best: the best possible value.
        minimal_performance: the threshold of "iterations to minimal performance", where a paper names one.
        steps: half-open range of steps that are measured (readout at every step); ``labelled`` for those whose class is
            not ``UNLABELLED``; None for all.
        score: of a metric of one's own, what it is the mean of, or the import path of that; None for the known ones.
        unit: of a metric of one's own, in headings; with ``%``, values are fractions and shown as percentages.
        decimals: whether its values are shown with two decimals, not in scientific form.

    >>> Metric("accuracy", "max", chance=0.1, best=1.0).minimal_performance is None
    True
    """

    name: MetricName | str
    direction: Literal["min", "max"]
    chance: float
    best: float
    minimal_performance: float | None = None
    steps: Steps = None
    score: Objective | str | None = None
    unit: str = ""
    decimals: bool = False

    def __post_init__(self) -> None:
        """Build what an import path names, and check the range of steps."""
        _check_range(f"steps of metric {self.name}", self.steps)
        if isinstance(self.score, str):
            object.__setattr__(self, "score", named_objective(self.score, f"score of metric {self.name}"))


@dataclass(frozen=True)
class Tokens:
    """How a network sees tokens.

    Attributes:
        vocabulary_size: tokens are from 0 to below this.
        embedding_size: entries of a token's learned vector; None for one-hot inputs.
        tied: whether the readout's weights are the embedding's.

    >>> Tokens(vocabulary_size=50).input_size, Tokens(vocabulary_size=50, embedding_size=8).input_size
    (50, 8)
    """

    vocabulary_size: int
    embedding_size: int | None = None
    tied: bool = False

    @property
    def input_size(self) -> int:
        """D, the features that the recurrence sees of a token."""
        return self.embedding_size or self.vocabulary_size


class Lengths(NamedTuple):
    """The shortest and the longest sequences of each split."""

    train: tuple[int, int]
    val: tuple[int, int]
    test: tuple[int, int]


@dataclass(frozen=True)
class Task:
    """A learning problem, independent of who learns it.

    Attributes:
        name: short name, for example ``ADD100``.
        input_size: D, features of one step.
        output_size: K, outputs of the readout (number of classes under cross-entropy).
        steps: T, length of a sequence; of sequences of unequal lengths, the largest that is allowed.
        readout: whether the network answers at the ``last`` step or at ``every`` step.
        loss: what is minimised, averaged over sequences, scored steps and outputs (``frame_nll`` sums over outputs); an
            ``Objective`` of one's own, or its import path.
        metrics: what is measured; the first one ranks.
        loss_steps: steps that the loss scores, as ``Metric.steps`` has them.
        target_variance: variance of a target over the scored steps, the denominator of ``normalized_mse``.
        tokens: for inputs that are tokens, how the network sees them; None for numbers.
        carries_state: whether each sequence of a batch continues that of the same row of the batch before, so that the
            network's state is carried over; the first batch of an epoch starts from the initial state.
        labels: names of the K classes, for ``slot_f1``.
        lengths: the shortest and the longest sequences of each split, where these are drawn from a range.

    >>> error = Metric("mse", "min", chance=1.0, best=0.0)
    >>> task = Task("sum", input_size=1, output_size=1, steps=9, readout="last", loss="mse", metrics=(error,))
    >>> task.ranked.name
    'mse'
    """

    name: str
    input_size: int
    output_size: int
    steps: int
    readout: Literal["last", "every"]
    loss: LossName | str | Objective
    metrics: tuple[Metric, ...]
    loss_steps: Steps = None
    target_variance: float = 1.0
    tokens: Tokens | None = None
    carries_state: bool = False
    labels: tuple[str, ...] = ()
    lengths: Lengths | None = None

    def __post_init__(self) -> None:
        """Build what an import path names, and check the range of steps."""
        _check_range("loss_steps", self.loss_steps)
        if isinstance(self.loss, str) and "." in self.loss:
            object.__setattr__(self, "loss", named_objective(self.loss, "loss"))

    @property
    def objectives(self) -> tuple[Objective, ...]:
        """The loss and metrics that are of one's own."""
        named = (self.loss, *(metric.score for metric in self.metrics))
        return tuple(one for one in named if isinstance(one, Objective))

    @property
    def targets_are_classes(self) -> bool:
        """Whether targets are classes, by the loss, instead of values."""
        return self.loss.classes if isinstance(self.loss, Objective) else self.loss == "cross_entropy"

    @property
    def ranked(self) -> Metric:
        """The metric that leaderboards rank by."""
        return self.metrics[0]
