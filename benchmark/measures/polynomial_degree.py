"""The degree of what the recurrence computes, as a polynomial of its inputs."""

from typing import ClassVar

from rnnbench.benchmark.config.validation import Count
from rnnbench.benchmark.measures.base import Measured, MeasureOptions, Subject, as_arrays


class PolynomialDegree(MeasureOptions):
    """Degree of the recurrence's output at each of the first steps; 0 for bounded outputs.

    Random inputs along growing multiples of themselves drive the recurrence: ``samples`` directions; ``split`` changes
    nothing.

    Attributes:
        samples: number of directions.
        length: number of steps.
    """

    uses_sequences: ClassVar[bool] = False

    samples: Count = 8
    length: Count = 4

    def take(self, subject: Subject) -> Measured:
        """Return the degree at every step.

        Summary: ``degree`` at the last step; not a number if its slope has not settled. Arrays [T]: ``steps``,
        ``degree``, ``settled`` (1 or 0).
        """
        from rnnbench.lit_models.dynamics.polynomial_degree import polynomial_degree

        measured = polynomial_degree(subject.network.recurrence, self.length, samples=self.samples)
        return Measured(
            {"degree": measured.degree[-1].item() if measured.settled[-1] else float("nan")},
            as_arrays(steps=measured.steps, degree=measured.degree, settled=measured.settled),
        )
