"""How many dimensions of an instance's state the inputs of the task's sequences move."""

from typing import Annotated

from pydantic import Field

from rnnbench.benchmark.config.validation import Count
from rnnbench.benchmark.measures.base import Measured, MeasureOptions, Subject, as_arrays


class EffectiveState(MeasureOptions):
    """Numerical rank of the map from past inputs to the last state (``lit_models.dynamics.effective_state``).

    Attributes:
        samples: number of sequences.
        tolerance: the share of the largest singular value from which on one counts.
    """

    samples: Count = 4
    tolerance: Annotated[float, Field(ge=0, le=1)] = 1e-6

    def take(self, subject: Subject) -> Measured:
        """Return the rank, and the singular values.

        Summary: ``rank`` and ``entropy`` (exponential of the entropy of the singular values), means over sequences, and
        ``state_size``. Arrays: ``singular_values`` [min(S, T D)], descending, means over sequences.

        Raises:
            ValueError: sequences are of different lengths.
            FloatingPointError: states or derivatives are not finite.
        """
        from rnnbench.lit_models.dynamics.effective_state import effective_state

        if subject.batch.lengths is not None:
            raise ValueError("the sequences are of different lengths: the rank is measured where all have T steps")
        recurrence = subject.network.recurrence
        found = effective_state(recurrence, subject.encoded().detach(), tolerance=self.tolerance)
        summary = {
            "rank": found.rank.double().mean().item(),
            "entropy": found.entropy.mean().item(),
            "state_size": recurrence.state_size,
        }
        return Measured(summary, as_arrays(singular_values=found.singular_values.mean(0)))
