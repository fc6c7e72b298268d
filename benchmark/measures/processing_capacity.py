"""Which functions of past inputs a linear readout finds in an instance's state."""

from typing import ClassVar

from rnnbench.benchmark.config.validation import Count
from rnnbench.benchmark.measures.base import Measured, MeasureOptions, Subject, as_arrays


class ProcessingCapacity(MeasureOptions):
    """Information processing capacity by degree and delay (Dambre et al. 2012), of the whole state.

    The recurrence is driven by random inputs of its own input size, uniform on [-1, 1]: ``samples`` and ``split``
    change nothing.

    Attributes:
        degrees: the highest degree.
        functions: of each degree at most so many; the delays follow from it.
        steps: steps that the readout is fitted to.
    """

    uses_sequences: ClassVar[bool] = False

    degrees: Count = 3
    functions: Count = 1000
    steps: Count = 4000

    def take(self, subject: Subject) -> Measured:
        """Return the capacities.

        Summary: ``total``; ``linear``, that of degree 1; ``rank``, the linearly independent state variables, which the
        total would be with all degrees and delays; ``state_size``. Arrays: ``degrees`` and ``by_degree`` [G],
        ``delays`` [P] and ``capacity`` [G, P], by the largest delay of a function.

        Raises:
            ValueError: there are too few steps for the size of the state, or functions for the number of inputs.
            FloatingPointError: the state becomes infinite or NaN.
        """
        from rnnbench.lit_models.dynamics.processing_capacity import processing_capacity

        recurrence = subject.network.recurrence
        measured = processing_capacity(recurrence, **self.model_dump(include={"degrees", "functions", "steps"}))
        return Measured(
            {
                "total": measured.total.item(),
                "linear": measured.by_degree[0].item(),
                "rank": measured.rank,
                "state_size": recurrence.state_size,
            },
            as_arrays(
                degrees=measured.degrees,
                by_degree=measured.by_degree,
                delays=measured.delays,
                capacity=measured.capacity,
            ),
        )
