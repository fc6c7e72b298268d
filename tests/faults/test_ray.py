"""``rnnbench run --launcher ray`` under seeded faults: of the command, and of a node."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.kinds import CLUSTER_KINDS
from tests.faults.local import LocalLauncher
from tests.faults.ray import RayLauncher
from tests.faults.survival import kind_of, survive, undisturbed_run
from tests.faults.trial import Undisturbed
from tests.ray.cluster import NO_RAY, Cluster

pytestmark = [pytest.mark.slow, pytest.mark.skipif(bool(NO_RAY), reason=NO_RAY)]


@pytest.fixture(scope="module")
def launcher(tmp_path_factory) -> Iterator[RayLauncher]:
    cluster = Cluster()
    yield RayLauncher(cluster, tmp_path_factory.mktemp("workers"))
    cluster.end()


@pytest.fixture(scope="module")
def undisturbed(launcher, tmp_path_factory) -> Undisturbed:
    by_run = undisturbed_run(LocalLauncher(), tmp_path_factory.mktemp("run"))
    by_ray = undisturbed_run(launcher, tmp_path_factory.mktemp("ray"))
    assert by_ray.results == by_run.results
    return by_ray


@pytest.mark.parametrize(
    "seed", [pytest.param(seed, id=f"{seed}-{kind_of(seed, CLUSTER_KINDS)}") for seed in range(114)]
)
def test_records_are_those_of_an_undisturbed_run(
    seed: int, launcher: RayLauncher, undisturbed: Undisturbed, tmp_path: Path
) -> None:
    survive(launcher, seed, tmp_path, undisturbed, CLUSTER_KINDS)
