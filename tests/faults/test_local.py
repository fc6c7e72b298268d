"""``rnnbench run`` under seeded faults."""

from pathlib import Path

import pytest

from tests.faults.local import LocalLauncher
from tests.faults.survival import Undisturbed, name_of, survive, undisturbed_run

#: Seeds, and those of them that the default tests take: one of each kind.
SEEDS, FEW = range(102), 17


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory) -> Undisturbed:
    return undisturbed_run(LocalLauncher(), tmp_path_factory.mktemp("undisturbed"))


@pytest.mark.parametrize(
    "seed", [pytest.param(s, id=name_of(s), marks=[pytest.mark.slow] if s >= FEW else []) for s in SEEDS]
)
def test_records_are_those_of_an_undisturbed_run(seed: int, undisturbed: Undisturbed, tmp_path: Path) -> None:
    survive(LocalLauncher(), seed, tmp_path, undisturbed)
