"""Numbers as text."""

from __future__ import annotations

import math
from collections.abc import Iterable

from rnnbench.leaderboard.statistics import Statistic

# Name on axes and in tables, and unit.
_LABELS = {
    "accuracy": ("accuracy", "%"),
    "rmse": ("RMSE", "units of the target"),
    "mse": ("MSE", "squared units of the target"),
    "normalized_mse": ("MSE / variance", "dimensionless"),
    "cross_entropy": ("cross-entropy", "nats"),
    "perplexity": ("perplexity", ""),
    "bits_per_character": ("bits per character", ""),
    "frame_nll": ("NLL per frame", "nats"),
    "slot_f1": ("slot F1", "%"),
}
_PERCENT = frozenset({"accuracy", "slot_f1"})
# Of a size that is read best as it is.
_PLAIN = frozenset({"perplexity", "bits_per_character", "frame_nll"})


def label(metric: str) -> str:
    """Return a metric's name for readers, with its unit where that is a percentage."""
    name, unit = _LABELS.get(metric, (metric, ""))
    return f"{name} %" if unit == "%" else name


def axis_label(metric: str) -> str:
    """Return a metric's name and unit for an axis."""
    name, unit = _LABELS.get(metric, (metric, ""))
    return f"{name} ({unit})" if unit else name


def scale(metric: str) -> float:
    """Return what a metric's values are multiplied by before they are shown."""
    return 100.0 if metric in _PERCENT else 1.0


def score(value: float, metric: str, digits: int = 2) -> str:
    """Write a metric's value: with two decimals, or in short scientific form where sizes differ by magnitudes.

    >>> score(0.98224, "accuracy"), score(0.0000461, "rmse"), score(0, "mse"), score(12.5, "mse")
    ('98.22', '4.61e-5', '0', '1.25e1')
    >>> score(143.512, "perplexity"), score(0.9, "slot_f1"), score(0, "perplexity")
    ('143.51', '90.00', '0')
    """
    if metric in _PERCENT:
        return f"{100 * value:.2f}"
    if value == 0 or not math.isfinite(value):
        return f"{value:.0f}"
    if metric in _PLAIN:
        return f"{value:.2f}"
    mantissa, _, exponent = f"{value:.{digits}e}".partition("e")
    return f"{mantissa}e{int(exponent)}" if int(exponent) else mantissa


def mean_and_sd(summary: Statistic, metric: str, bold: bool = False) -> str:
    """Write ``mean ± sd (n)``; without the deviation for one value."""
    text = score(summary.mean, metric)
    if summary.sd is not None:
        text += f" ± {score(summary.sd, metric, digits=1)}"
    return f"**{text}** ({summary.n})" if bold else f"{text} ({summary.n})"


def count(value: int) -> str:
    """Write a count of parameters.

    >>> count(47), count(9880), count(999_950), count(4_200_000)
    ('47', '9.9k', '1.0M', '4.2M')
    """
    if value < 1000:
        return str(value)
    # 999,950 would round to 1000.0k.
    return f"{value / 1e3:.1f}k" if value < 999_950 else f"{value / 1e6:.1f}M"


def span(texts: Iterable[tuple[float, str]]) -> str:
    """Write the least and the largest of some numbers, once if they read the same.

    >>> span([(11300, "11.3k"), (9880, "9.9k")]), span([(1, "1"), (1, "1")])
    ('9.9k–11.3k', '1')
    """
    ordered = sorted(texts)
    low, high = ordered[0][1], ordered[-1][1]
    return low if low == high else f"{low}–{high}"


def milliseconds(seconds: float) -> str:
    """Write a duration in milliseconds to three digits, never in scientific form.

    >>> milliseconds(0.012345), milliseconds(2.5), milliseconds(0)
    ('12.3', '2500', '0')
    """
    value = 1000 * seconds
    if value == 0:
        return "0"
    return f"{value:.{max(0, 2 - math.floor(math.log10(value)))}f}"


def measured(summary: Statistic) -> str:
    """Write ``mean ± sd (n)`` of any quantity: four digits, two of the deviation; none for one value.

    >>> measured(Statistic(-0.0512933, 0.000123, 5)), measured(Statistic(1.5e-21, None, 1))
    ('-0.05129 ± 0.00012 (5)', '1.5e-21 (1)')
    """
    text = _short(summary.mean, 4)
    if summary.sd is not None:
        text += f" ± {_short(summary.sd, 2)}"
    return f"{text} ({summary.n})"


def _short(value: float, digits: int) -> str:
    mantissa, _, exponent = f"{value:.{digits}g}".partition("e")
    return f"{mantissa}e{int(exponent)}" if exponent else mantissa
