"""What a rule finds: one outcome for each comparison that it makes, and the verdict that follows from all of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Verdict = Literal["holds", "fails", "undecided", "open"]


@dataclass(frozen=True)
class Outcome:
    """One comparison of a rule.

    Attributes:
        what: what was compared, in words.
        verdict: what it shows by itself.
        value: the number compared; None where it does not exist.
        low: lower end of its 95 % interval; None where the rule looks at single values.
        high: upper end.
        wanted: what the rule asks of the number, for example ``> 0.3``.
        n: instances (or pairs) behind it.
        remark: what a reader must know besides, for example how many instances diverged.
    """

    what: str
    verdict: Verdict
    value: float | None
    low: float | None
    high: float | None
    wanted: str
    n: int
    remark: str = ""


def combined(outcomes: Sequence[Outcome]) -> Verdict:
    """Return the verdict of a claim all of whose comparisons must hold.

    >>> one = lambda verdict: Outcome("", verdict, None, None, None, "", 0)
    >>> combined([one("holds"), one("undecided")]), combined([one("undecided"), one("fails")]), combined([one("holds")])
    ('undecided', 'fails', 'holds')
    """
    found = {outcome.verdict for outcome in outcomes}
    for verdict in ("open", "fails", "undecided"):
        if verdict in found:
            return verdict
    return "holds" if outcomes else "open"


def above(value: float, low: float, high: float, threshold: float, strict: bool = True) -> Verdict:
    """Return whether an interval lies above a threshold (holds), below (fails) or covers it (undecided).

    Args:
        value: the estimate; an interval of no width is judged by it alone.
        low: lower end of the interval.
        high: upper end.
        threshold: the threshold.
        strict: whether equality fails.

    >>> above(0.5, 0.2, 0.8, 0.1), above(0.5, 0.2, 0.8, 0.3), above(0.5, 0.2, 0.8, 0.9)
    ('holds', 'undecided', 'fails')
    """
    if low == high:
        return "holds" if value > threshold or (not strict and value == threshold) else "fails"
    if low > threshold or (not strict and low == threshold):
        return "holds"
    return "fails" if high < threshold else "undecided"


def below(value: float, low: float, high: float, threshold: float, strict: bool = True) -> Verdict:
    """Return whether an interval lies below a threshold (holds), above (fails) or covers it (undecided)."""
    return above(-value, -high, -low, -threshold, strict)
