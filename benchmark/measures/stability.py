"""Whether an instance is known to be stable: the contraction constant of its recurrence."""

from typing import ClassVar

from pydantic import PositiveFloat

from rnnbench.benchmark.measures.base import Measured, MeasureOptions, Subject


class Stability(MeasureOptions):
    """The contraction constant of an ElmanRNN or LSTM, computed from its weights (``lit_models.contraction``).

    Attributes:
        input_bound: B_x, the largest ‖x‖∞ of inputs for which an LSTM's constant is to hold; an ElmanRNN's holds for
            all.
    """

    uses_sequences: ClassVar[bool] = False

    input_bound: PositiveFloat = 1.0

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
            raise ValueError(f"recurrence must be an ElmanRNN or an LSTM, whose contraction is known, got {name}")
        return Measured(
            {
                "contraction": found.constant,
                "norm": found.norm,
                "forget_bound": found.forget_bound,
                "input_lipschitz": found.input_lipschitz,
                "contractive": int(found.constant < 1),
            }
        )
