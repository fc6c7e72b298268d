"""``rnnbench run --launcher ray`` on a cluster of two nodes of this machine, forked from the tests' template.

Records are written by the command, so that faults of files hit it; with a node die tasks, and the command goes on.
Workers, of which Ray starts new ones for each command, execute a relay: ``tests/ray`` has them as they are.
"""

from __future__ import annotations

import os
import runpy
import sys
from collections.abc import Mapping, Sequence
from multiprocessing.process import BaseProcess
from pathlib import Path

from tests.benchmark.forked import SERVER
from tests.faults.injected import VARIABLE
from tests.faults.launcher import SUITE, Reached
from tests.faults.local import LocalCommand, begin
from tests.faults.relay import Relays
from tests.ray.cluster import Cluster

_PYTHON = "RNNBENCH_TEST_PYTHON"


class Workers(Relays):
    """The processes of Ray's workers."""

    def process(self, words: list[str], folder: Path, environment: dict[str, str]) -> BaseProcess:
        return SERVER.Process(target=_work, args=(words, folder, environment))


def _work(words: list[str], folder: Path, environment: dict[str, str]) -> None:
    """Do as a new interpreter with a script. The template knows no Ray, which reads the environment when imported."""
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    sys.argv = words
    sys.path[:0] = [str(Path(words[0]).parent), *environment.get("PYTHONPATH", "").split(os.pathsep)]
    runpy.run_path(words[0], run_name="__main__")


class RayCommand(LocalCommand):
    """The command, and what lets it go on where it halts."""

    def __init__(self, folder: Path, environment: Mapping[str, str], address: str, options: Sequence[str]) -> None:
        self.go = Path(environment[VARIABLE]) / "go"
        words = ("run", SUITE, "--quiet", "--launcher", "ray", "--address", address, *options)
        super().__init__(folder, environment, words, begin_ray)


class RayLauncher:
    """A cluster whose second node may be lost."""

    places_vary = True

    def __init__(self, cluster: Cluster, folder: Path) -> None:
        self._cluster, self._workers = cluster, Workers(folder, "python")

    def start(self, folder: Path, environment: Mapping[str, str], *options: str) -> RayCommand:
        more = {_PYTHON: str(self._workers.folder / "python")}
        return RayCommand(folder, {**environment, **more}, self._cluster.address, options)

    def main_process(self, command: RayCommand, reached: Reached) -> int:
        return command.process.pid

    def kill_node(self, command: RayCommand, reached: Reached) -> None:
        self._cluster.tell("kill")
        command.go.touch()

    def cut_off_node(self) -> None:
        self._cluster.tell("cut off")

    def restore_node(self) -> None:
        self._cluster.tell("add")


def begin_ray() -> None:
    """Let workers execute the relay in place of Python; they have the code, and need none of this command's."""
    begin()
    import ray

    init = ray.init
    own = {"py_executable": os.environ[_PYTHON]}
    ray.init = lambda runtime_env, **rest: init(runtime_env={"env_vars": runtime_env["env_vars"], **own}, **rest)
