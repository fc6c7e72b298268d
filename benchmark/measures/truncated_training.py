"""How far training through the last k inputs leads away from training through all of them."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import TYPE_CHECKING, Literal

from pydantic import PositiveFloat

from rnnbench.benchmark.config.validation import Count
from rnnbench.benchmark.measures.base import Increasing, Measured, MeasureOptions, Subject

if TYPE_CHECKING:
    from rnnbench.datamodules.task import Batch


class TruncatedTraining(MeasureOptions):
    """Distance between the weights of a recurrent and a truncated network trained in parallel (Miller & Hardt 2019).

    Copies of the instance, from its weights at the moment of measuring, take plain gradient steps on the same training
    batches: ``samples`` and ``split`` change nothing. With a readout at every step, a truncation costs k times as much
    as the recurrence.

    Attributes:
        ks: numbers of inputs that the truncated networks see, increasing.
        steps: updates; training batches start again where an epoch has fewer.
        learning_rate: of the first step.
        decay: ``constant``, or ``1/t`` as in the theorem.
        gradient_clip_norm: largest 2-norm of a gradient; None for no clipping.
    """

    ks: Increasing = (1, 2, 4, 8, 16)
    steps: Count = 50
    learning_rate: PositiveFloat = 0.1
    decay: Literal["constant", "1/t"] = "constant"
    gradient_clip_norm: PositiveFloat | None = None

    def take(self, subject: Subject) -> Measured:
        """Return the distances after every step.

        Summary, after the last step: ``moved`` (how far the recurrent network's weights are from where they were),
        ``distance`` and ``relative`` (distance / moved) of the largest k. Arrays: ``ks`` [K], ``distance`` and
        ``relative`` [K, steps], ``moved`` [steps].
        """
        from rnnbench.lit_models.dynamics.truncated_training import truncated_training

        measured = truncated_training(
            subject.network,
            subject.task,
            itertools.islice(_passes(subject), self.steps),
            self.ks,
            learning_rate=self.learning_rate,
            decay=self.decay,
            gradient_clip_norm=self.gradient_clip_norm,
        )
        return Measured(
            {
                "moved": measured.moved[-1].item(),
                "distance": measured.distance[-1, -1].item(),
                "relative": measured.relative[-1, -1].item(),
            },
            {
                "ks": measured.ks.cpu().numpy(),
                "distance": measured.distance.float().cpu().numpy(),
                "relative": measured.relative.float().cpu().numpy(),
                "moved": measured.moved.float().cpu().numpy(),
            },
        )


def _passes(subject: Subject) -> Iterator[Batch]:
    while True:
        yield from subject.train_batches()
