"""Intervals and rank correlations that few instances allow (scipy)."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import special

CONFIDENCE = 0.95
RESAMPLES = 2000


class Interval(NamedTuple):
    """An estimate and its 95 % interval; ``low`` is -inf and ``high`` inf where one value allows none."""

    value: float
    low: float
    high: float

    def within(self, ends: tuple[float, float]) -> "Interval":
        """Return the interval cut at the ends of what can be."""
        return Interval(self.value, max(self.low, ends[0]), min(self.high, ends[1]))


def mean_interval(values: Sequence[float]) -> Interval:
    """Return the mean with its 95 % t interval.

    >>> [round(x, 3) for x in mean_interval([1.0, 2.0, 3.0])]
    [2.0, -0.484, 4.484]
    """
    mean = math.fsum(values) / len(values)
    if len(values) < 2:
        return Interval(mean, -math.inf, math.inf)
    error = float(np.std(values, ddof=1)) / math.sqrt(len(values))
    # Quantile of Student's t: scipy.stats, which takes it from there, is a second slower to import.
    half = error * float(special.stdtrit(len(values) - 1, (1 + CONFIDENCE) / 2))
    return Interval(mean, mean - half, mean + half)


def kendall(first: npt.ArrayLike, second: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """Return Kendall's τ-b of two lists of equal length, or of each of many; NaN where one is constant or has a NaN.

    Every pair of points is looked at, which for the few points of a claim is a hundredth of scipy's time, with the same
    value.

    Args:
        first: numbers (..., points).
        second: numbers (..., points).

    >>> float(kendall([1, 2, 3, 4], [10, 8, 5, 1]))
    -1.0
    """
    pair = [np.asarray(values, dtype=float) for values in (first, second)]
    i, j = np.triu_indices(pair[0].shape[-1], 1)
    one, other = ((values[..., i] > values[..., j]) * 1 - (values[..., i] < values[..., j]) for values in pair)
    known = ~(np.isnan(pair[0]) | np.isnan(pair[1])).any(-1)
    with np.errstate(invalid="ignore"):
        tau = (one * other).sum(-1) / np.sqrt((one != 0).sum(-1)) / np.sqrt((other != 0).sum(-1))
    return np.where(known, tau.clip(-1.0, 1.0), math.nan)


def kendall_interval(axis: Sequence[float], samples: Sequence[Sequence[float]]) -> Interval:
    """Return Kendall's τ between an axis and the mean of each sample, with a percentile bootstrap over instances.

    Instances are drawn together at all points of the axis, since they share their seeds (paired): samples are cut to
    the shortest. The generator has a fixed seed, so that the same records give the same interval.

    Args:
        axis: one number a point.
        samples: the instances' values at each point.
    """
    return paired_kendall_interval(
        [[point] * len(sample) for point, sample in zip(axis, samples, strict=True)], samples
    )


def paired_kendall_interval(
    first: Sequence[Sequence[float]], second: Sequence[Sequence[float]], of_points: bool = False
) -> Interval:
    """Return Kendall's τ between the means of two values of the same samples, and its interval; as above.

    Args:
        first: one value of the instances of each sample.
        second: the other, of the same instances.
        of_points: whether the samples themselves are a choice of many, such as networks, so that they are drawn too,
            and instances within each of them (a bootstrap of two levels); without it they are fixed, such as points
            of an axis.

    >>> paired_kendall_interval([[1.0], [2.0], [3.0]], [[4.0], [5.0], [7.0]])
    Interval(value=1.0, low=-1.0, high=1.0)
    """
    n = min(len(sample) for sample in second)
    pair = [np.array([sample[:n] for sample in samples], dtype=float) for samples in (first, second)]

    estimate = float(kendall(*(values.mean(1) for values in pair)))
    if n < 2:
        return Interval(estimate, -1.0, 1.0)
    generator = np.random.default_rng(0)
    if of_points:
        # A sample that is drawn twice is the same both times: tied, so that it says nothing about itself.
        count = len(pair[0])
        instances = generator.integers(0, n, (RESAMPLES, count, n))
        points = generator.integers(0, count, (RESAMPLES, count))
        means = (values[np.arange(count)[:, None], instances].mean(2) for values in pair)
        drawn = kendall(*(np.take_along_axis(each, points, 1) for each in means))
    else:
        chosen = generator.integers(0, n, (RESAMPLES, n))
        drawn = kendall(*(values[:, chosen].mean(2).T for values in pair))
    low, high = np.nanpercentile(drawn, [100 * (1 - CONFIDENCE) / 2, 100 * (1 + CONFIDENCE) / 2])
    return Interval(estimate, float(low), float(high))
