"""What a measure is: when and on what it is taken, what it is given, and what it returns."""

from __future__ import annotations

import itertools
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import AfterValidator, Field, model_validator

from rnnbench.benchmark.config.validation import Count, Model, must

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

    from rnnbench.datamodules.task import Batch, Task
    from rnnbench.lit_models.network import Network
    from rnnbench.lit_models.recurrence import Recurrence

Moment = Literal["start", "end"]
#: A list in YAML.
Moments = Annotated[tuple[Moment, ...], Field(strict=False)]
Number = float | int | str | None


def _increasing(values: tuple[int, ...]) -> tuple[int, ...]:
    if any(low >= high for low, high in itertools.pairwise(values)):
        raise must("increasing")
    return values


#: Numbers of inputs that a truncation sees.
Increasing = Annotated[tuple[Count, ...], Field(min_length=1, strict=False), AfterValidator(_increasing)]


@dataclass(frozen=True)
class Subject:
    """What is measured: one instance at one moment, and the sequences that it is measured on.

    Attributes:
        network: the instance alone, a copy: what is done to it touches nothing else.
        task: what it learns.
        batch: the chosen sequences of the chosen split, on the network's device.
        train_batches: starts a pass over training batches in an order of its own.
        at_length: draws test sequences of another length, so many, with the task as it is then; it raises a ValueError
            where the task has no such setting.
        project: what training does to a network after each step, for stable weights; None for nothing.
    """

    network: Network
    task: Task
    batch: Batch
    train_batches: Callable[[], Iterator[Batch]]
    at_length: Callable[[int, int], tuple[Task, Batch]]
    project: Callable[[Network], object] | None = None

    def encoded(self) -> Tensor:
        """Return what the recurrence sees of the chosen sequences [T, B, D]."""
        encoded: Tensor = self.network.encoder(self.batch.inputs.transpose(0, 1))
        return encoded


@dataclass(frozen=True)
class Measured:
    """What a measure returns.

    Attributes:
        summary: numbers for tables; not finite or None where there is none.
        arrays: for figures, by name.
    """

    summary: Mapping[str, Number]
    arrays: Mapping[str, np.ndarray] = field(default_factory=dict)


def as_arrays(**values: Tensor) -> dict[str, np.ndarray]:
    """Return tensors as arrays for figures: in single precision, whole numbers and flags as 64-bit integers."""
    return {k: (v.float() if v.is_floating_point() else v.long()).cpu().numpy() for k, v in values.items()}


class MeasureOptions(Model, ABC):
    """When a measure is taken and on how many sequences; a subclass adds settings of its own, and takes it.

    Attributes:
        at: before training (``start``), after it with the last weights (``end``), or both.
        every_epochs: also after every so many epochs; None for never.
        samples: number of sequences, drawn once: the same for all instances and moments.
        split: where they are drawn from.
    """

    #: Whether it looks at the sequences at all.
    uses_sequences: ClassVar[bool] = True

    at: Moments = ("start",)
    every_epochs: Count | None = None
    samples: Count = 16
    split: Literal["val", "test"] = "test"

    @model_validator(mode="after")
    def _is_taken(self) -> MeasureOptions:
        if not self.at and self.every_epochs is None:
            raise ValueError("at is empty: name start, end or both, or give every_epochs")
        if len(set(self.at)) < len(self.at):
            raise ValueError(f"at must name each moment once, got {list(self.at)}")
        return self

    def check(self, recurrence: Recurrence, task: Task) -> None:
        """Raise a ValueError, before any training, if these settings are impossible for a recurrence and a task."""

    @abstractmethod
    def take(self, subject: Subject) -> Measured:
        """Measure; whatever goes wrong is raised, and marks this measure as failed in the record."""
