"""How far training through the last k inputs leads away from training through all of them."""

import itertools
from typing import Literal

from pydantic import PositiveFloat

from rnnbench.benchmark.config.validation import Count
from rnnbench.benchmark.measures.base import Increasing, Measured, MeasureOptions, Subject, as_arrays


class TruncatedTraining(MeasureOptions):
    """Distance between the weights of a recurrent and a truncated network trained in parallel (Miller & Hardt 2019).

    Copies of the instance, from its weights at the moment of measuring, take plain gradient steps on the same training
    batches: ``samples`` and ``split`` change nothing. Where training projects to stable weights, they are projected
    too after every step. With a readout at every step, a truncation costs k times as much
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

        passes = itertools.chain.from_iterable(subject.train_batches() for _ in itertools.count())
        measured = truncated_training(
            subject.network,
            subject.task,
            itertools.islice(passes, self.steps),
            self.ks,
            project=subject.project,
            **self.model_dump(include={"learning_rate", "decay", "gradient_clip_norm"}),
        )
        return Measured(
            {
                "moved": measured.moved[-1].item(),
                "distance": measured.distance[-1, -1].item(),
                "relative": measured.relative[-1, -1].item(),
            },
            as_arrays(**vars(measured)),
        )
