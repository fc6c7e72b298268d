"""What is learned: a task's sizes, loss, metrics with their chance and best values, and its scored positions."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, NamedTuple, get_args

from torch import Tensor

from rnnbench.datamodules.checks import check_at_least, check_choice, check_flags, check_number, nearest_of
from rnnbench.datamodules.objective import Objective, as_objective

LossName = Literal["mse", "rmse", "cross_entropy", "frame_nll"]
MetricName = Literal[LossName, "normalized_mse", "accuracy", "perplexity", "bits_per_character", "slot_f1"]
_OF_CLASSES = {"cross_entropy", "accuracy", "perplexity", "bits_per_character", "slot_f1"}
#: Which steps are scored: a half-open range of them, those that have a label, or None for all.
Steps = tuple[int, int] | Literal["labelled"] | None
_LONGEST_NAME = 200
UNLABELLED = -100
"""The class of a step that has no label."""


def _check_range(name: str, steps: Steps) -> None:
    # Three numbers, taken for indices, would be a slice with a stride.
    if steps is None or steps == "labelled":
        return
    if not (isinstance(steps, (tuple, list)) and len(steps) == 2 and 0 <= steps[0] < steps[1]):
        raise ValueError(f"{name} must be the first scored step and the one after the last, got {steps!r:.80}")


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
        """Build what an import path names, and check what must hold whatever the task."""
        name, what = self.name, f"metric {self.name!s:.80}"
        if not (isinstance(name, str) and name.isprintable() and 1 <= len(name) <= _LONGEST_NAME):
            raise ValueError(f"the name of a metric must be of 1 to {_LONGEST_NAME} characters, got {name!r:.80}")
        if self.direction not in ("min", "max"):
            raise ValueError(f"direction of {what} must be 'min' or 'max', got {self.direction!r:.80}")
        check_number(f"chance of {what}", self.chance)
        check_number(f"best of {what}", self.best)
        if self.chance == self.best or (self.best > self.chance) != (self.direction == "max"):
            worse = "above" if self.direction == "min" else "below"
            raise ValueError(
                f"chance of {what} must be {worse} its best value, as its direction is {self.direction!r}, got "
                f"chance {self.chance} and best {self.best}"
            )
        if self.minimal_performance is not None:
            check_number(f"minimal_performance of {what}", self.minimal_performance)
            if not min(self.chance, self.best) < self.minimal_performance < max(self.chance, self.best):
                between = f"{self.chance} and {self.best}, its chance and best"
                raise ValueError(
                    f"minimal_performance of {what} must lie between {between}, got {self.minimal_performance}"
                )
        for number in ("chance", "best", "minimal_performance"):
            if (value := getattr(self, number)) is not None:
                object.__setattr__(self, number, float(value))  # records hold nothing of numpy's
        _check_range(f"steps of {what}", self.steps)
        check_flags(**{f"decimals of {what}": self.decimals})
        if name in get_args(MetricName):
            known = "max" if name in ("accuracy", "slot_f1") else "min"
            if self.score is not None:
                raise ValueError(f"{what} is one of rnnbench's: a metric with a score of its own needs another name")
            if self.direction != known:
                raise ValueError(f"direction of {what} must be {known!r}, got {self.direction!r}")
        if self.score is not None:
            object.__setattr__(self, "score", as_objective(self.score, f"score of {what}"))
        elif name not in get_args(MetricName):
            known = nearest_of(name, get_args(MetricName))
            raise ValueError(f"unknown metric {name!r:.80}: {known}; one of your own needs a score, an Objective")

    @property
    def of_classes(self) -> bool:
        """Whether it scores targets that are classes, instead of values."""
        return self.score.classes if isinstance(self.score, Objective) else self.name in _OF_CLASSES


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
        """Build what an import path names, and check that sizes, loss, metrics and scored steps fit each other."""
        check_at_least(1, input_size=self.input_size, output_size=self.output_size, steps=self.steps)
        check_choice("readout", self.readout, ("last", "every"))
        if isinstance(self.loss, str) and "." not in self.loss:
            check_choice("loss", self.loss, get_args(LossName))
        else:
            object.__setattr__(self, "loss", as_objective(self.loss, "loss"))
        metrics = tuple(self.metrics) if isinstance(self.metrics, (tuple, list)) else ()
        if not metrics or not all(isinstance(metric, Metric) for metric in metrics):
            example = "such as (Metric('mse', 'min', chance=1.0, best=0.0),)"
            raise ValueError(f"metrics must be a tuple of at least one Metric, {example}, got {self.metrics!r:.80}")
        object.__setattr__(self, "metrics", metrics)
        names = [metric.name for metric in metrics]
        if twice := next((name for name in names if names.count(name) > 1), None):
            raise ValueError(f"metrics must have different names, got {twice!r} {names.count(twice)} times")
        for metric in metrics:
            self._check_targets(metric)
        for what, steps in self._scored():
            self._check_steps(what, steps)
        if self.tokens is not None and self.input_size != self.tokens.input_size:
            size = self.tokens.input_size
            raise ValueError(f"input_size must be that of the tokens, {size}, got {self.input_size}")
        if len(self.labels) not in (0, self.output_size):
            count = len(self.labels)
            raise ValueError(f"there must be as many labels as outputs, {self.output_size}, got {count}")
        if "normalized_mse" in names:
            check_number("target_variance", self.target_variance, above=0)

    def _scored(self) -> Iterator[tuple[str, Steps]]:
        yield "loss_steps", self.loss_steps
        yield from ((f"steps of metric {metric.name}", metric.steps) for metric in self.metrics)

    def _check_targets(self, metric: Metric) -> None:
        if metric.of_classes == self.targets_are_classes:
            return
        needed, given = ("classes", "values") if metric.of_classes else ("values", "classes")
        loss = self.loss if isinstance(self.loss, str) else type(self.loss).__name__
        raise ValueError(
            f"metric {metric.name} needs targets that are {needed}, but under loss {loss} they are {given}: let both "
            "have the same targets (of an Objective, its attribute 'classes' says which)"
        )

    def _check_steps(self, what: str, steps: Steps) -> None:
        _check_range(what, steps)
        if steps is None:
            return
        if self.readout == "last":
            raise ValueError(f"{what} must be None for a readout at the last step, got {steps!r}")
        if steps == "labelled":
            if not self.targets_are_classes:
                raise ValueError(f"{what} must be a range of steps or None for targets that are values, got {steps!r}")
        elif int(steps[1]) > self.steps:
            raise ValueError(f"{what} must end within the {self.steps} steps of a sequence, got {steps}")

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
