"""``rnnbench run`` on this machine, in processes that are forked from the tests' template."""

from __future__ import annotations

import gc
import os
import signal
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from rnnbench.benchmark.run import source
from tests.benchmark.forked import SERVER, _command
from tests.faults.injected import install
from tests.faults.launcher import SUITE, Ended, Reached

WORDS = ("run", SUITE, "--quiet", "--workers", "2")


class LocalCommand:
    """The command and its workers: one session of processes."""

    def __init__(
        self,
        folder: Path,
        environment: Mapping[str, str],
        words: Sequence[str] = WORDS,
        before: Callable[[], None] | None = None,
    ) -> None:
        self._streams = [folder / f"stdout-{os.urandom(3).hex()}", folder / f"stderr-{os.urandom(3).hex()}"]
        whole = {name: value for name, value in os.environ.items() if name != "RNNBENCH_DATA"} | dict(environment)
        self.process = SERVER.Process(target=_command, args=(folder, words, whole, self._streams, before or begin))
        self.process.start()

    def ended(self) -> Ended | None:
        if self.process.exitcode is None or _session(self.process.pid):
            return None
        return Ended(self.process.exitcode, "".join(path.read_text(encoding="utf-8") for path in self._streams))


class LocalLauncher:
    """One machine: with its node dies all that runs."""

    places_vary = False

    def start(self, folder: Path, environment: Mapping[str, str], *options: str) -> LocalCommand:
        return LocalCommand(folder, environment, (*WORDS, *options))

    def main_process(self, command: LocalCommand, reached: Reached) -> int:
        return command.process.pid

    def kill_node(self, command: LocalCommand, reached: Reached) -> None:
        os.killpg(command.process.pid, signal.SIGKILL)

    def cut_off_node(self) -> None:
        raise NotImplementedError("there is one machine")

    def restore_node(self) -> None:
        pass


def begin() -> None:
    """Give the command a session of its own and the fault, and spare it what takes time and is not compared."""
    os.setsid()
    # A collection would look at all that the template imported.
    gc.freeze()
    source.repository_state = lambda *_: (None, None)
    install()


def _session(leader: int) -> list[int]:
    """Return the processes of a session that live; one that ended may stay as a zombie where nobody asks for it."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _, _, session = entry.read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()[:4]
        except OSError:
            continue
        if int(session) == leader and state not in "ZX":
            found.append(int(entry.parent.name))
    return found
