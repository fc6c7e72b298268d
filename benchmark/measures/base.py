"""What a measure is: when and on what it is taken, what it is given, and what it returns."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar, Literal

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

    from rnnbench.datamodules.task import Batch, Task
    from rnnbench.lit_models.network import Network
    from rnnbench.lit_models.recurrence import Recurrence

Moment = Literal["start", "end"]
Number = float | int | str | None


@dataclass(frozen=True)
class Subject:
    """What is measured: one instance at one moment, and the sequences that it is measured on.

    Attributes:
        network: the instance alone, a copy: what is done to it touches nothing else.
        task: what it learns.
        batch: the chosen sequences of the chosen split, on the network's device.
        train_batches: starts a pass over training batches in an order of its own.
    """

    network: Network
    task: Task
    batch: Batch
    train_batches: Callable[[], Iterator[Batch]]

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


@dataclass(frozen=True)
class MeasureOptions(ABC):
    """When a measure is taken and on how many sequences; a subclass adds settings of its own, and takes it.

    Attributes:
        at: before training (``start``), after it with the last weights (``end``), or both.
        every_epochs: also after every so many epochs; None for never.
        samples: number of sequences, drawn once: the same for all instances and moments.
        split: where they are drawn from.
    """

    #: Whether it looks at the sequences at all.
    uses_sequences: ClassVar[bool] = True

    at: tuple[Moment, ...] = ("start",)
    every_epochs: int | None = None
    samples: int = 16
    split: Literal["val", "test"] = "test"

    def __post_init__(self) -> None:
        """Check the values.

        Raises:
            ValueError: names the setting and what is allowed.
        """
        if not self.at and self.every_epochs is None:
            raise ValueError("at is empty: name start, end or both, or give every_epochs")
        if len(set(self.at)) < len(self.at):
            raise ValueError(f"at is {list(self.at)}: each moment is allowed once")
        self.check_positive("every_epochs", "samples")

    def check_positive(self, *names: str) -> None:
        """Raise a ValueError if one of these settings is neither None nor at least 1."""
        for name in names:
            value = getattr(self, name)
            if value is not None and not value >= 1:
                raise ValueError(f"{name} is {value}: at least 1 is allowed")

    def check(self, recurrence: Recurrence, task: Task) -> None:  # noqa: B027
        """Raise a ValueError, before any training, if these settings are impossible for a recurrence and a task."""

    @abstractmethod
    def take(self, subject: Subject) -> Measured:
        """Measure; whatever goes wrong is raised, and marks this measure as failed in the record."""
