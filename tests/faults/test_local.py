"""``rnnbench run`` under seeded faults."""

from pathlib import Path

import pytest

from tests.faults.launcher import ONE_RUN, TWO_RUNS
from tests.faults.local import LocalLauncher
from tests.faults.survival import kind_of, survive, undisturbed_run
from tests.faults.trial import Undisturbed

#: Of each kind one within the default tests, with one run; and of each five more that have two at a time.
ONE, TWO = range(18), range(18, 120)


@pytest.fixture(scope="module")
def one_run(tmp_path_factory) -> Undisturbed:
    return undisturbed_run(LocalLauncher(), tmp_path_factory.mktemp("undisturbed"), ONE_RUN)


@pytest.fixture(scope="module")
def two_runs(tmp_path_factory) -> Undisturbed:
    return undisturbed_run(LocalLauncher(), tmp_path_factory.mktemp("undisturbed"), TWO_RUNS)


@pytest.mark.parametrize("seed", [pytest.param(seed, id=f"{seed}-{kind_of(seed)}") for seed in ONE])
def test_records_of_a_run_are_those_of_an_undisturbed_one(seed: int, one_run: Undisturbed, tmp_path: Path) -> None:
    survive(LocalLauncher(), seed, tmp_path, one_run)


@pytest.mark.slow
@pytest.mark.parametrize("seed", [pytest.param(seed, id=f"{seed}-{kind_of(seed)}") for seed in TWO])
def test_records_of_two_runs_are_those_of_undisturbed_ones(seed: int, two_runs: Undisturbed, tmp_path: Path) -> None:
    survive(LocalLauncher(), seed, tmp_path, two_runs)
