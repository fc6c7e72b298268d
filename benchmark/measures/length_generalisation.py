"""What an instance scores on sequences of other lengths than those that it was trained on."""

from typing import ClassVar

from rnnbench.benchmark.config.validation import Count
from rnnbench.benchmark.measures.base import Increasing, Measured, MeasureOptions, Moments, Subject, as_arrays

#: Lengths by default, in lengths of training.
MULTIPLES = (1, 2, 4, 8)


class LengthGeneralisation(MeasureOptions):
    """The task's metric on test sequences of other lengths, for tasks that draw their sequences and have a length.

    Attributes:
        samples: number of sequences of each length.
        lengths: steps T of the sequences, increasing; None for 1, 2, 4 and 8 times that of training.
    """

    uses_sequences: ClassVar[bool] = False

    at: Moments = ("end",)
    samples: Count = 256
    lengths: Increasing | None = None

    def take(self, subject: Subject) -> Measured:
        """Return the ranked metric by length.

        Summary: ``metric`` (the ranked one's name), ``shortest`` and ``longest`` (its values there). Arrays [L]:
        ``lengths``, ``metric``.

        Raises:
            ValueError: the task has no length, or allows none of those asked for.
        """
        import torch

        from rnnbench.lit_models.dynamics.truncation import batch_scores

        name = subject.task.ranked.name
        lengths = self.lengths or [multiple * subject.task.steps for multiple in MULTIPLES]
        scores = []
        for length in lengths:
            task, batch = subject.at_length(length, self.samples)
            scores.append(batch_scores(subject.network, task, batch)[name].item())
        summary = {"metric": name, "shortest": scores[0], "longest": scores[-1]}
        return Measured(summary, as_arrays(lengths=torch.tensor(lengths), metric=torch.tensor(scores)))
