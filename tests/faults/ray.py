"""``rnnbench run --launcher ray`` on a cluster of two nodes of this machine, forked from the tests' template.

Records are written by the command, so that faults of files hit it; with a node die tasks, and the command goes on.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.faults.injected import VARIABLE
from tests.faults.launcher import SUITE, Reached
from tests.faults.local import LocalCommand, begin
from tests.ray.cluster import Cluster


class RayCommand(LocalCommand):
    """The command, and what lets it go on where it halts."""

    def __init__(self, folder: Path, environment: Mapping[str, str], address: str, options: Sequence[str]) -> None:
        self.go = Path(environment[VARIABLE]) / "go"
        words = ("run", SUITE, "--quiet", "--launcher", "ray", "--address", address, *options)
        super().__init__(folder, environment, words, begin)


class RayLauncher:
    """A cluster whose second node may be lost."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster

    def start(self, folder: Path, environment: Mapping[str, str], *options: str) -> RayCommand:
        return RayCommand(folder, environment, self._cluster.address, options)

    def main_process(self, command: RayCommand, reached: Reached) -> int:
        return command.process.pid

    def kill_node(self, command: RayCommand, reached: Reached) -> None:
        self._cluster.tell("kill")
        command.go.touch()

    def cut_off_node(self) -> None:
        self._cluster.tell("cut off")

    def restore_node(self) -> None:
        self._cluster.tell("add")
