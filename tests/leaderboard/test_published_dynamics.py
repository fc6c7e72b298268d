"""What the published records say of weak coupling, against what the paper derives: the exponents are log r + O(γ)."""

import math
from collections import defaultdict
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from rnnbench.leaderboard.files import read_arrays, side_path
from rnnbench.leaderboard.store import find_records, path_of

RECORDS = Path(__file__).parents[2] / "leaderboard" / "records"
RESIDUALS = {0.95, 0.995, 1.0025, 1.01}


@pytest.fixture(scope="module")
def deviations():
    """For each γ and r, a pair per instance: exponents of all sequences and slope of the gradient, both less log r."""
    found = defaultdict(list)
    for record in find_records(RECORDS, Path("coupling"))[0]:
        if record.budget == "cpu":
            settings = record.config["recurrence"]["init_args"]
            log_r = math.log(settings["r"])
            exponents = read_arrays(side_path(path_of(RECORDS, record)))["lyapunov/start/exponents"]
            slope = record.measures["gradient_flow"]["start"].summary["slope"]
            found[settings["gamma"], settings["r"]].append((exponents.astype(np.float64) - log_r, slope - log_r))
    assert found.keys() == {(gamma, r) for gamma in (0.001, 0.005, 0.01, 0.02) for r in RESIDUALS}
    return found


def largest(deviations, gamma):
    return max(abs(exponents).max() for r in RESIDUALS for exponents, _ in deviations[gamma, r])


@pytest.mark.parametrize("r", sorted(RESIDUALS))
@pytest.mark.parametrize(("gamma", "bound"), [(0.001, 0.0005), (0.01, 0.006)], ids=["weak coupling", "the paper's"])
def test_exponents_and_gradient_follow_the_residual(deviations, r, gamma, bound):
    for exponents, slope in deviations[gamma, r]:
        assert exponents.shape == (16, 100)
        assert abs(exponents.mean()) < 0.0005
        assert abs(exponents).max() < bound
        assert abs(slope) < bound


def test_the_deviation_grows_with_the_coupling(deviations):
    assert largest(deviations, 0.02) >= 3 * largest(deviations, 0.005)


@pytest.mark.parametrize("task", ["sMNIST", "Digits"])
def test_curvature_grows_with_the_residual(task):
    magnitude = defaultdict(set)
    for record in find_records(RECORDS, Path("dynamics"))[0]:
        if (record.budget, record.task) == ("cpu", task):
            curvature = record.measures["hessian"]["start"].summary["largest_magnitude"]
            magnitude[record.config["recurrence"]["init_args"]["r"]].add(curvature)
    assert magnitude.keys() == RESIDUALS
    ordered = [magnitude[r] for r in sorted(RESIDUALS)]
    assert all(max(lower) < min(higher) for lower, higher in pairwise(ordered))
