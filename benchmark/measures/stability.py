"""Whether an instance is known to be stable: the contraction constant of its recurrence."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

from rnnbench.benchmark.measures.base import Measured, MeasureOptions, Subject


@dataclass(frozen=True)
class Stability(MeasureOptions):
    """The contraction constant of an ElmanRNN or LSTM, computed from its weights (``lit_models.contraction``).

    Attributes:
        input_bound: B_x, the largest ‖x‖∞ of inputs for which an LSTM's constant is to hold; an ElmanRNN's holds for
            all.
    """

    uses_sequences: ClassVar[bool] = False

    input_bound: float = 1.0

    def __post_init__(self) -> None:
        """Check the values.

        Raises:
            ValueError: names the setting and what is allowed.
        """
        super().__post_init__()
        if not 0 < self.input_bound < math.inf:
            raise ValueError(f"input_bound is {self.input_bound}: a finite positive number is allowed")

    def take(self, subject: Subject) -> Measured:
        """Return the constants.

        Summary: ``contraction`` (λ), ``norm`` (``2`` or ``inf``), ``forget_bound`` (F of an LSTM, or None),
        ``input_lipschitz`` (L_x), ``contractive`` (1 where λ is below 1, else 0).

        Raises:
            ValueError: no constant is known for this recurrence.
        """
        from rnnbench.lit_models.contraction import contraction

        found = contraction(subject.network.recurrence, self.input_bound)
        if found is None:
            name = type(subject.network.recurrence).__name__
            raise ValueError(f"recurrence is {name}, whose contraction is unknown: ElmanRNN and LSTM are allowed")
        return Measured(
            {
                "contraction": found.constant,
                "norm": found.norm,
                "forget_bound": found.forget_bound,
                "input_lipschitz": found.input_lipschitz,
                "contractive": int(found.constant < 1),
            }
        )
