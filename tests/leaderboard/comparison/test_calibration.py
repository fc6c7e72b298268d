"""How often compare is wrong, on simulated suites: without differences, and with known ones."""

import numpy as np
import pytest
from scipy import stats

from rnnbench.leaderboard.comparison.compare import compare_networks
from rnnbench.leaderboard.comparison.folders import prediction_interval
from tests.leaderboard.comparison.boards import make_boards

NOISE = {
    "normal": lambda random, n: random.normal(size=n),
    "errors over magnitudes": lambda random, n: random.lognormal(sigma=1.5, size=n),
    "accuracies of 360": lambda random, n: random.binomial(360, 0.95, size=n) / 360,
}


def simulated(random, noise, shift=0.0):
    """One to six tasks of different scales, 3 to 10 seeds on each; the differences' true means, and the comparison."""
    shifts, values = {}, {}
    for task in range(random.integers(1, 7)):
        scale, seeds = 10.0 ** random.integers(-4, 3), random.integers(3, 11)
        shifts[f"T{task}"] = scale * shift * random.normal()
        one, other = (scale * noise(random, seeds) for _ in range(2))
        values[f"T{task}"] = {"A": list(one + shifts[f"T{task}"]), "B": list(other)}
    return shifts, compare_networks(make_boards(values), "A", "B").boards[0]


def false_finds(suites, kind):
    """In how many suites without differences any test finds one."""
    random = np.random.default_rng(len(kind))
    found = (simulated(random, NOISE[kind])[1] for _ in range(suites))
    return sum(board.better is not None or any(t.better is not None for t in board.tasks) for board in found)


def covered(suites):
    """Of how many intervals how many hold the true difference."""
    random = np.random.default_rng(0)
    found = [
        task.interval.low <= shifts[task.task] <= task.interval.high
        for shifts, board in (simulated(random, NOISE["normal"], 2.0) for _ in range(suites))
        for task in board.tasks
    ]
    return sum(found), len(found)


def reproduced(results):
    """How many means of further seeds lie in the interval of a reference."""
    random = np.random.default_rng(1)
    inside = 0
    for _ in range(results):
        reference, mine = random.normal(size=random.integers(3, 11)), random.normal(size=random.integers(1, 11))
        _, low, high = prediction_interval(reference, len(mine))
        inside += low <= mine.mean() <= high
    return inside


def test_a_few_suites():
    # Bounds that a rate of 5 % exceeds in one of a thousand cases.
    assert false_finds(60, "normal") <= stats.binom.ppf(0.999, 60, 0.05)
    hits, intervals = covered(60)
    assert intervals > 150
    assert abs(stats.norm.ppf(stats.binom.cdf(hits, intervals, 0.95))) < 3.1
    assert abs(stats.norm.ppf(stats.binom.cdf(reproduced(300), 300, 0.95))) < 3.1


@pytest.mark.slow
@pytest.mark.parametrize("kind", NOISE)
def test_equal_networks_are_told_apart_in_at_most_6_percent_of_1000_suites(kind, record_property):
    found = false_finds(1000, kind)
    record_property("suites with a difference", found)
    assert found <= 60


@pytest.mark.slow
def test_intervals_cover_in_93_to_97_percent(record_property):
    hits, intervals = covered(1000)
    record_property("covered", f"{hits} of {intervals}")
    assert 0.93 <= hits / intervals <= 0.97
    assert 930 <= reproduced(1000) <= 970
