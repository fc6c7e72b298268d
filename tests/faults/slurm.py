"""``rnnbench submit`` on a real SLURM of this machine. Tasks execute a relay: ``tests/slurm`` has them as they are."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Mapping, Sequence
from multiprocessing.process import BaseProcess
from pathlib import Path

from rnnbench.benchmark.launchers.slurm.submissions import FOLDER
from tests.benchmark.forked import SERVER, _command
from tests.faults.launcher import SUITE, Ended, Reached
from tests.faults.local import LocalCommand, begin
from tests.faults.relay import Relays
from tests.slurm.cluster import Cluster, wait_for

_EXECUTABLE = "RNNBENCH_TEST_EXECUTABLE"
_WORST_FIRST = (2, 3, 130)
#: To ask SLURM takes a process.
_SECONDS_BETWEEN_LOOKS = 0.5


class Tasks(Relays):
    """The processes of tasks, and how each task ended last."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, "rnnbench")
        #: Exit codes and what was printed, by the array's name and the task's index.
        self.ended: dict[tuple[str, str], Ended] = {}
        self._streams: dict[BaseProcess, list[Path]] = {}

    def process(self, words: list[str], folder: Path, environment: dict[str, str]) -> BaseProcess:
        streams = [self.folder / f"{os.urandom(6).hex()}.{name}" for name in ("out", "err")]
        process = SERVER.Process(target=_command, args=(folder, words, environment, streams, begin))
        self._streams[process] = streams
        return process

    def note_end(self, process: BaseProcess, environment: dict[str, str]) -> None:
        task = environment["SLURM_JOB_NAME"], environment["SLURM_ARRAY_TASK_ID"]
        printed = (path.read_text(encoding="utf-8") for path in self._streams.pop(process) if path.exists())
        self.ended[task] = Ended(process.exitcode, "".join(printed))


class SlurmCommand:
    """A submission and its tasks."""

    def __init__(
        self, cluster: Cluster, tasks: Tasks, folder: Path, environment: Mapping[str, str], options: Sequence[str]
    ) -> None:
        self._cluster, self._tasks = cluster, tasks
        self._next_look = 0.0
        self._sent = folder / "runs" / FOLDER
        self._before = set(self._sent.glob("*/"))
        self.submit = LocalCommand(
            folder,
            {"SLURM_CONF": cluster.environment["SLURM_CONF"], _EXECUTABLE: str(tasks.folder / "python"), **environment},
            ("submit", SUITE, "--slurm", "--bundle", "1s", "--time", "30m", *options),
            begin_submit,
        )

    def ended(self) -> Ended | None:
        submit = self.submit.ended()
        if submit is None or self._tasks.running or time.monotonic() < self._next_look:
            return None
        self._next_look = time.monotonic() + _SECONDS_BETWEEN_LOOKS
        if self._cluster.queue():
            return None
        names = {f"rnnbench-{path.name}" for path in set(self._sent.glob("*/")) - self._before}
        tasks = [end for (name, _), end in list(self._tasks.ended.items()) if name.rpartition("-")[0] in names]
        printed = submit.printed + "".join(end.printed for end in tasks)
        codes = [submit.code, *(end.code for end in tasks)]
        killed = [code for code in codes if code < 0]
        code = killed[0] if killed else next((code for code in _WORST_FIRST if code in codes), max(codes))
        if code == 0 and not tasks and "nothing is missing" not in printed:
            return Ended(3, f"{printed}note: another has submitted it\n")
        return Ended(code, printed)


class SlurmLauncher:
    """A cluster of one node."""

    places_vary = False

    def __init__(self, cluster: Cluster, folder: Path) -> None:
        self._cluster, self._tasks = cluster, Tasks(folder)

    def start(self, folder: Path, environment: Mapping[str, str], *options: str) -> SlurmCommand:
        return SlurmCommand(self._cluster, self._tasks, folder, environment, options)

    def main_process(self, command: SlurmCommand, reached: Reached) -> int:
        return reached.parent if reached.parent in self._tasks.running else reached.pid

    def kill_node(self, command: SlurmCommand, reached: Reached) -> None:
        self._cluster.kill_node()
        # The one that submits may run there too.
        if reached.pid == command.submit.process.pid:
            os.kill(reached.pid, signal.SIGKILL)
        wait_for(lambda: not self._tasks.running)

    def cut_off_node(self) -> None:
        self._cluster.cut_off_node()

    def restore_node(self) -> None:
        self._cluster.start_node()


def begin_submit() -> None:
    """Let scripts start the relay instead of the command."""
    begin()
    sys.executable = os.environ[_EXECUTABLE]
