"""How many past inputs a linear readout finds in the state."""

from typing import ClassVar

from rnnbench.benchmark.config.validation import Count
from rnnbench.benchmark.measures.base import Measured, MeasureOptions, Subject, as_arrays

#: Most delays that are looked at where their number is not set.
MOST_DELAYS = 400


class MemoryCapacity(MeasureOptions):
    """Explained variance of the input of every delay, and their sum (Jaeger 2002).

    The recurrence is driven by random inputs of its own input size, uniform on [-1, 1], not by the task's, whose
    neighbouring steps explain one another: ``samples`` and ``split`` change nothing.

    Attributes:
        delays: number of delays, from 0 on; None for twice the state size, at most 400.
        steps: steps that the readout is fitted to.
    """

    uses_sequences: ClassVar[bool] = False

    delays: Count | None = None
    steps: Count = 4000

    def take(self, subject: Subject) -> Measured:
        """Return the capacity of every delay, summed over input features.

        Summary: ``total``, ``state_size``, and ``state_total`` of the states of all layers of a stack (``total`` is of
        the top one's; records of before hold that of all). Arrays [P]: ``delays``, ``capacity``, ``state_capacity``.

        Raises:
            ValueError: there are too few steps for the size of the state.
            FloatingPointError: the state becomes infinite or NaN.
        """
        from rnnbench.lit_models.dynamics.memory import memory_capacity

        recurrence = subject.network.recurrence
        delays = min(2 * recurrence.state_size, MOST_DELAYS) if self.delays is None else self.delays
        measured = memory_capacity(recurrence, delays=delays, steps=self.steps)
        return Measured(
            {
                "total": measured.total.item(),
                "state_total": measured.state_total.item(),
                "state_size": recurrence.state_size,
            },
            as_arrays(delays=measured.delays, capacity=measured.capacity, state_capacity=measured.state_capacity),
        )
