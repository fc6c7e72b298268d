"""Tests of paired differences: within a task, over tasks, corrected for their number, and the seeds that they need."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy import stats

LEVEL = 0.05
POWER = 0.8
#: Pairs whose flips are enumerated; more of them are sampled.
_MOST_ENUMERATED = 14
_SAMPLED = 2**_MOST_ENUMERATED - 1
_MOST_SEEDS = 1000


class FlipTest(NamedTuple):
    """A sign-flip test: its two-sided p value, in which direction, of how many pairs, and if all flips were counted."""

    p: float
    mean: float
    n: int
    exact: bool


def paired_p(differences: Sequence[float]) -> float | None:
    """Return the p value of the paired t test; None of fewer than two differences.

    Differences that all agree leave the t test no spread to judge by: there it is that of their signs, 2 / 2^n.

    >>> paired_p([1.0, 2.0, 3.0]), paired_p([0.5, 0.5, 0.5]), paired_p([0.0, 0.0]), paired_p([1.0])
    (0.074179..., 0.25, 1.0, None)
    """
    n = len(differences)
    if n < 2 or not any(differences):
        return 1.0 if n > 1 else None
    effect = _effect(differences)
    return 2 * 0.5**n if math.isinf(effect) else 2 * float(stats.t.sf(effect * math.sqrt(n), n - 1))


def _effect(differences: Sequence[float]) -> float:
    """Return the size of the mean of differences over their standard deviation; infinity where they all agree."""
    scaled = np.asarray(differences) / np.abs(differences).max()
    # Equal differences of scores such as k / 360 differ by rounding.
    return math.inf if np.ptp(scaled) < 1e-9 else abs(float(scaled.mean())) / float(scaled.std(ddof=1))


def sign_flip(differences: Sequence[Sequence[float]]) -> FlipTest | None:
    """Test differences over tasks: under the null hypothesis each of them is as likely to have the other sign.

    The statistic is the mean over tasks of the mean difference divided by the root mean square of the task's
    differences: no flip changes that scale, and tasks weigh equally whatever their units and numbers of seeds. Signs
    are flipped seed by seed within a task. Up to 14 pairs all flips are counted, beyond that 16,383 drawn ones with the
    observed one, from a generator with a fixed seed.

    Args:
        differences: of each task, those of its pairs.

    Returns:
        None if there is no pair that differs.

    >>> sign_flip([[1.0, 2.0, 3.0], [10.0, 20.0, 15.0]])
    FlipTest(p=0.03125, mean=0.945..., n=6, exact=True)
    """
    scaled = []
    for of_task in differences:
        values = np.asarray(of_task, dtype=float)
        if values.any():
            # Divided by the largest first, since squares of the smallest floats vanish.
            values = values / np.abs(values).max()
            scaled.append(values / (len(values) * math.sqrt(float(np.mean(values**2)))))
    if not scaled:
        return None
    steps = np.concatenate(scaled)
    exact = len(steps) <= _MOST_ENUMERATED
    if exact:
        bits = np.arange(2 ** len(steps))[:, None] >> np.arange(len(steps)) & 1
        sums = (1 - 2 * bits) @ steps
    else:
        generator = np.random.default_rng(0)
        sums = np.full(_SAMPLED + 1, steps.sum())
        for of_task in scaled:
            sums[1:] -= 2 * generator.integers(0, 2, (_SAMPLED, len(of_task)), dtype=np.int8) @ of_task
    # As extreme, up to the rounding of sums.
    extreme = np.abs(sums) >= abs(steps.sum()) * (1 - 1e-9)
    return FlipTest(float(extreme.mean()), float(steps.sum()) / len(differences), len(steps), exact)


def holm(p_values: Sequence[float]) -> list[float]:
    """Return p values adjusted by Holm's step-down procedure: those below a level have that family-wise error.

    >>> holm([0.01, 0.04, 0.03])
    [0.03, 0.06, 0.06]
    """
    adjusted = [0.0] * len(p_values)
    largest = 0.0
    for place, index in enumerate(sorted(range(len(p_values)), key=lambda i: p_values[i])):
        largest = max(largest, min(1.0, (len(p_values) - place) * p_values[index]))
        adjusted[index] = largest
    return adjusted


def seeds_needed(differences: Sequence[float], level: float = LEVEL) -> float | None:
    """Return how many pairs a paired t test needs for this mean difference at this spread, with a power of 80 %.

    Mean and spread are those of the differences, as if they were the true ones: of few pairs that is a rough guess.

    Args:
        differences: of at least two pairs.
        level: of the two-sided test.

    Returns:
        None if the mean difference is zero, infinity for more than 1,000 pairs.

    >>> seeds_needed([0.0, 1.0, 2.0]), seeds_needed([-1.0, 1.0]), seeds_needed([-1.0, 1.001])
    (10, None, inf)
    """
    effect = _effect(differences) if any(differences) else 0.0
    if effect == 0:
        return None
    if math.isinf(effect):
        return math.ceil(math.log2(2 / level))
    # Two or three seeds are enough for larger ones, and scipy's series does not converge for the largest.
    effect = min(effect, 100.0)
    first, last = 2, _MOST_SEEDS + 1
    while first < last:
        n = (first + last) // 2
        enough = _power(effect, n, level) >= POWER
        first, last = (first, n) if enough else (n + 1, last)
    return first if first <= _MOST_SEEDS else math.inf


def _power(effect: float, n: int, level: float) -> float:
    """Return the probability that a two-sided t test of n pairs finds an effect, in its direction."""
    return float(stats.nct.sf(stats.t.isf(level / 2, n - 1), n - 1, effect * math.sqrt(n)))
