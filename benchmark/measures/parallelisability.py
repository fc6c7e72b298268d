"""How many parallel Newton iterations give the states of an instance, on the task's sequences."""

import itertools
import math

from pydantic import PositiveFloat

from rnnbench.benchmark.config.validation import Count
from rnnbench.benchmark.measures.base import Increasing, Measured, MeasureOptions, Subject, as_arrays

#: Shortest of the lengths that are not set.
SHORTEST = 8


class Parallelisability(MeasureOptions):
    """Iterations of Newton's method over whole sequences, and of its diagonal variant, against the length T.

    As in Gonzalez et al. 2025; ``lit_models.dynamics.parallelisability`` says what counts and what it costs. Beside it
    ``lyapunov`` and ``truncation`` on as many samples give the largest exponent and the truncation horizon of the same
    sequences.

    Attributes:
        samples: number of sequences.
        steps: lengths T, increasing; those above the length of the sequences are left out. None for the powers of two
            from 8 on, and the whole length.
        tolerance: distance at which a state counts as found, relative for states of norm above 1.
    """

    samples: Count = 4
    steps: Increasing | None = None
    tolerance: PositiveFloat = 1e-6

    def take(self, subject: Subject) -> Measured:
        """Return iterations against T.

        Summary: ``newton`` and ``diagonal``, at the longest T, and ``newton_growth`` and ``diagonal_growth``: p of T^p
        through the shortest and the longest T (0: as many at all lengths; 1: in proportion to the length; None for a
        single T); all of means over sequences. Arrays [K]: ``steps``, ``newton``, ``diagonal``.

        Raises:
            ValueError: sequences are of different lengths, or shorter than all ``steps``.
            FloatingPointError: states are not finite.
        """
        import torch

        from rnnbench.lit_models.dynamics.parallelisability import parallelisability

        if subject.batch.lengths is not None:
            raise ValueError("the sequences are of different lengths: iterations are counted where all have T steps")
        inputs = subject.encoded().detach()
        total, powers = len(inputs), (2**power * SHORTEST for power in itertools.count())
        steps = self.steps or (*itertools.takewhile(lambda length: length < total, powers), total)
        steps = tuple(length for length in steps if length <= total)
        found = parallelisability(subject.network.recurrence, inputs, steps, tolerance=self.tolerance)
        means = {"newton": found.newton.mean(1), "diagonal": found.diagonal.mean(1)}
        summary: dict[str, float | None] = {name: counts[-1].item() for name, counts in means.items()}
        summary |= {f"{name}_growth": _growth(steps, counts.tolist()) for name, counts in means.items()}
        return Measured(summary, as_arrays(steps=torch.tensor(steps), **means))


def _growth(steps: tuple[int, ...], counts: list[float]) -> float | None:
    """Return the power of T that the counts at the shortest and the longest length follow.

    >>> _growth((8, 16, 128), [4.0, 5.0, 16.0])
    0.5
    """
    if len(steps) < 2:
        return None
    return round(math.log(max(1.0, counts[-1]) / max(1.0, counts[0])) / math.log(steps[-1] / steps[0]), 12)
