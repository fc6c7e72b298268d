"""``rnnbench submit`` on a real SLURM of this machine, whose tasks are forked from the tests' template.

A task executes a small relay instead of ``rnnbench``: it has a process forked that does the work, passes on the signals
that SLURM sends it, ends as that ends, and takes it along when it is killed. ``tests/slurm`` starts tasks as users do.
"""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from rnnbench.benchmark.launchers.slurm.submissions import FOLDER
from tests.benchmark.forked import SERVER, _command
from tests.faults.launcher import SUITE, Ended, Reached
from tests.faults.local import LocalCommand, begin
from tests.slurm.cluster import Cluster, wait_for

RELAY = """#!{python} -ISE
import json, os, signal, socket, sys
server = socket.socket(socket.AF_UNIX)
server.connect("{socket}")
server.sendall(json.dumps([sys.argv[1:], os.getcwd(), dict(os.environ)]).encode() + b"\\n")
for number in (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1):
    signal.signal(number, lambda number, frame: server.send(bytes([number])))
code = int(server.recv(99))
if code < 0:
    os.kill(os.getpid(), -code)
os._exit(code)
"""
_EXECUTABLE = "RNNBENCH_TEST_EXECUTABLE"
_WORST_FIRST = (2, 3, 130)
#: To ask SLURM takes a process.
_SECONDS_BETWEEN_LOOKS = 0.5


class Tasks:
    """What relays ask for: the processes of tasks, and how each task ended last."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.running = folder, set[int]()
        #: Exit codes and what was printed, by the array's name and the task's index.
        self.ended: dict[tuple[str, str], Ended] = {}
        self.server = socket.socket(socket.AF_UNIX)
        self.server.bind(str(folder / "socket"))
        self.server.listen(64)
        relay = folder / "rnnbench"
        relay.write_text(RELAY.format(python=sys.executable, socket=folder / "socket"), encoding="utf-8")
        relay.chmod(0o755)
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            relay, _ = self.server.accept()
            threading.Thread(target=self._do, args=(relay,), daemon=True).start()

    def _do(self, relay: socket.socket) -> None:
        with relay, relay.makefile("rb", buffering=0) as lines:
            words, folder, environment = json.loads(lines.readline())
            streams = [self.folder / f"{os.urandom(6).hex()}.{name}" for name in ("out", "err")]
            arguments = (Path(folder), words, environment, streams, begin)
            process = SERVER.Process(target=_command, args=arguments)
            process.start()
            self.running.add(process.pid)
            while process.exitcode is None:
                if relay in select.select([relay, process.sentinel], [], [])[0]:
                    sent = relay.recv(1)
                    for kill in (os.kill, os.killpg) if not sent else (os.kill,):
                        with suppress(ProcessLookupError):
                            kill(process.pid, sent[0] if sent else signal.SIGKILL)
                    if not sent:
                        process.join()
            task = environment["SLURM_JOB_NAME"], environment["SLURM_ARRAY_TASK_ID"]
            printed = "".join(path.read_text(encoding="utf-8") for path in streams if path.exists())
            self.ended[task] = Ended(process.exitcode, printed)
            self.running.discard(process.pid)
            with suppress(OSError):
                relay.sendall(str(process.exitcode).encode())


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
