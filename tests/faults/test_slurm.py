"""``rnnbench submit`` under seeded faults, on a real SLURM of this machine."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.kinds import CLUSTER_KINDS
from tests.faults.local import LocalLauncher
from tests.faults.slurm import SlurmLauncher
from tests.faults.survival import kind_of, survive, undisturbed_run
from tests.faults.trial import Undisturbed
from tests.slurm.cluster import Cluster, why_none

pytestmark = [pytest.mark.slow, pytest.mark.skipif(bool(why_none()), reason=why_none())]


@pytest.fixture(scope="module")
def launcher(tmp_path_factory) -> Iterator[SlurmLauncher]:
    with Cluster(tmp_path_factory.mktemp("slurm") / "cluster") as cluster:
        yield SlurmLauncher(cluster, tmp_path_factory.mktemp("tasks"))


@pytest.fixture(scope="module")
def undisturbed(launcher, tmp_path_factory) -> Undisturbed:
    by_run = undisturbed_run(LocalLauncher(), tmp_path_factory.mktemp("run"))
    submitted = undisturbed_run(launcher, tmp_path_factory.mktemp("submit"))
    assert submitted.results == by_run.results
    return submitted


@pytest.mark.parametrize(
    "seed", [pytest.param(seed, id=f"{seed}-{kind_of(seed, CLUSTER_KINDS)}") for seed in range(114)]
)
def test_records_are_those_of_an_undisturbed_run(
    seed: int, launcher: SlurmLauncher, undisturbed: Undisturbed, tmp_path: Path
) -> None:
    survive(launcher, seed, tmp_path, undisturbed, CLUSTER_KINDS)
