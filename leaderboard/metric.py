"""Metrics: what a record says of one, and how tables, figures and published numbers show its values."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, SerializerFunctionWrapHandler, model_serializer


@dataclass(frozen=True)
class Display:
    """How a metric is shown.

    Attributes:
        label: its name for readers.
        unit: of what is shown; with ``%``, values are fractions and shown as percentages.
        decimals: whether its values are of a size that two decimals suit.
        published: its name in ``published/results.csv``.
        own: whether it is a user's own, of which nothing but the unit says what its values are.
    """

    label: str
    unit: str = ""
    decimals: bool = False
    published: str = ""
    own: bool = False

    @property
    def scale(self) -> float:
        """What values are multiplied by before they are shown."""
        return 100.0 if self.unit == "%" else 1.0

    @property
    def heading(self) -> str:
        """The label, with the unit where that is a percentage or of a user's own metric."""
        return f"{self.label} %" if self.unit == "%" else self.axis if self.own else self.label

    @property
    def axis(self) -> str:
        """Label and unit for an axis."""
        return f"{self.label} ({self.unit})" if self.unit else self.label

    def sentence(self, value: float) -> str:
        """Write a value behind its name.

        >>> display("accuracy").sentence(0.98224), display("rmse").sentence(0.5)
        ('accuracy 98.22 %', 'RMSE 5.00e-1')
        """
        unit = f" {self.unit}" if self.unit and (self.own or self.unit == "%") else ""
        return f"{self.label} {self.text(value)}{unit}"

    def text(self, value: float, digits: int = 2) -> str:
        """Write a value: with two decimals, or in short scientific form where sizes differ by magnitudes.

        >>> display("accuracy").text(0.98224), display("rmse").text(0.0000461), display("mse").text(12.5)
        ('98.22', '4.61e-5', '1.25e1')
        >>> display("perplexity").text(143.512), display("slot_f1").text(0.9), display("perplexity").text(0)
        ('143.51', '90.00', '0')
        """
        if self.unit == "%":
            return f"{100 * value:.2f}"
        if value == 0 or not math.isfinite(value):
            return f"{value:.0f}"
        if self.decimals:
            return f"{value:.2f}"
        return short_exponent(f"{value:.{digits}e}")


def short_exponent(number: str) -> str:
    """Shorten the exponent of a number, ``e-05`` to ``e-5``, and leave out that of zero."""
    mantissa, _, exponent = number.partition("e")
    return f"{mantissa}e{int(exponent)}" if int(exponent or 0) else mantissa


_DISPLAYS = {
    "accuracy": Display("accuracy", "%", published="test_acc_pct"),
    "rmse": Display("RMSE", "units of the target", published="test_RMS"),
    "mse": Display("MSE", "squared units of the target", published="test_MSE"),
    "normalized_mse": Display("MSE / variance", "dimensionless"),
    "cross_entropy": Display("cross-entropy", "nats"),
    "perplexity": Display("perplexity", decimals=True, published="test_ppl"),
    "bits_per_character": Display("bits per character", decimals=True, published="test_bpc"),
    "frame_nll": Display("NLL per frame", "nats", decimals=True, published="test_NLL"),
    "slot_f1": Display("slot F1", "%", published="test_F1"),
}


def display(metric: str) -> Display:
    """Return how a metric is shown; under its own name if nothing is known of it."""
    return _DISPLAYS.get(metric, Display(metric))


def metric_of_published(name: str) -> str:
    """Return our name of a metric of ``published/results.csv``; the file's own where we have none.

    >>> metric_of_published("test_acc_pct"), metric_of_published("iterations_to_MP")
    ('accuracy', 'iterations_to_MP')
    """
    return next((metric for metric, shown in _DISPLAYS.items() if shown.published == name), name)


class MetricInfo(BaseModel):
    """A measured quantity: its direction, its chance level, its best possible value and, if any, its threshold.

    ``unit`` and ``decimals`` say how one of a user's own is shown (``Display``).

    >>> within = MetricInfo(name="within", direction="max", chance=0.0, best=1.0, unit="%")
    >>> within.display.sentence(0.5), within.heading
    ('within 50.00 %', 'within % ↑')
    >>> loudness = MetricInfo(name="loudness", direction="min", chance=0.0, best=-60.0, unit="dB", decimals=True)
    >>> loudness.display.sentence(-10.5), loudness.heading
    ('loudness -10.50 dB', 'loudness (dB) ↓')
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)

    name: Annotated[str, Field(min_length=1, max_length=200)]
    direction: Literal["min", "max"]
    chance: float
    best: float
    minimal_performance: float | None = None
    unit: Annotated[str, Field(max_length=40)] = ""
    decimals: bool = False

    @model_serializer(mode="wrap")
    def _written(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        # Those of known metrics are written as before there were these fields.
        return {key: value for key, value in write(self).items() if value or key not in ("unit", "decimals")}

    @property
    def display(self) -> Display:
        """How it is shown."""
        return _DISPLAYS.get(self.name, Display(self.name, self.unit, self.decimals, own=True))

    @property
    def heading(self) -> str:
        """Its name for readers, with an arrow in the direction of better values."""
        return f"{self.display.heading} {'↓' if self.direction == 'min' else '↑'}"

    @property
    def range(self) -> tuple[float, float]:
        """Its smallest and its largest value: fractions lie between 0 and 1, others end at the best possible one.

        >>> MetricInfo(name="accuracy", direction="max", chance=0.1, best=1.0).range
        (0.0, 1.0)
        >>> MetricInfo(name="rmse", direction="min", chance=0.408, best=0.0).range
        (0.0, inf)
        """
        if self.display.unit == "%":
            return 0.0, 1.0
        return (self.best, math.inf) if self.direction == "min" else (-math.inf, self.best)

    @property
    def difference_range(self) -> tuple[float, float]:
        """The smallest and the largest difference of two values."""
        low, high = self.range
        return low - high, high - low

    def why_outside(self, values: Iterable[float | None]) -> str:
        """Return what is wrong with the first of some values that lies outside the range; empty if none does."""
        low, high = self.range
        # Where losses end at zero, sums of rounded terms may lie a little below.
        slack = 0.0 if self.display.unit == "%" else 1e-9
        wrong = next((v for v in values if v is not None and not low - slack <= v <= high + slack), None)
        return "" if wrong is None else f"{self.name} must lie between {low:g} and {high:g}, got {wrong:g}"

    def better(self, value: float, other: float) -> bool:
        """Return whether a value is better than another."""
        return value < other if self.direction == "min" else value > other
