"""What an instance loses when it sees the last k inputs only."""

import itertools

from rnnbench.benchmark.config.validation import Count
from rnnbench.benchmark.measures.base import Increasing, Measured, MeasureOptions, Subject, as_arrays

#: A truncation whose states are this much of their norm away on average counts as the whole recurrence.
SMALL_ERROR = 0.01


class Truncation(MeasureOptions):
    """Error of states and outputs at the last step of each sequence, its bound, and the task's metric, against k.

    As in Miller & Hardt 2019.

    Attributes:
        samples: number of sequences.
        ks: numbers of inputs, increasing; None for the powers of two below T, and T.
    """

    samples: Count = 64
    ks: Increasing | None = None

    def take(self, subject: Subject) -> Measured:
        """Return the curves over k, and the memory: the smallest k whose error is below 1 % of the state's norm.

        Summary: ``contraction`` (λ; None where none is known), ``norm`` (``2`` or ``inf``), ``metric`` (the ranked
        one's name), ``metric_full``, ``memory`` (inputs; None if only the whole sequence is enough). Arrays [K]:
        ``ks``, ``state_error`` and ``output_error`` (means over sequences), ``state_error_max``, ``bound`` (NaN where
        the recurrence is not known to be contractive), ``metric``. Where sequences are of unequal lengths, T is that of
        the longest.

        Raises:
            ValueError: states are not finite.
        """
        import torch

        from rnnbench.lit_models.dynamics.truncation import truncated_scores, truncation_error

        network, ranked = subject.network, subject.task.ranked.name
        steps = subject.batch.inputs.shape[1]
        ks = self.ks or (*itertools.takewhile(lambda k: k < steps, (2**power for power in itertools.count())), steps)
        inputs = subject.encoded().detach()
        error = truncation_error(network.recurrence, inputs, ks, lengths=subject.batch.lengths, readout=network.readout)
        scores = truncated_scores(network, subject.task, subject.batch, ks)
        state_error = error.state_error[:, 0]
        small = state_error.mean(1) < SMALL_ERROR * error.state_norm.mean()
        memory = next((k for k, enough in zip(ks, small.tolist(), strict=True) if enough and k < steps), None)
        return Measured(
            {
                "contraction": None if error.contraction is None else error.contraction.constant,
                "norm": error.norm,
                "metric": ranked,
                "metric_full": scores.full[ranked].item(),
                "memory": memory,
            },
            as_arrays(
                ks=torch.tensor(ks),
                state_error=state_error.mean(1),
                state_error_max=state_error.amax(1),
                output_error=error.output_error[:, 0].mean(1),
                bound=error.bound,
                metric=scores.scores[ranked],
            ),
        )
