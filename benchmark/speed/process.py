"""The driver's side of a contender's process: it is started, asked for runs, and ended."""

import os
import subprocess
import sys
from collections.abc import Callable
from multiprocessing import Pipe
from pathlib import Path
from typing import Any

from rnnbench.benchmark.errors import UserError
from rnnbench.benchmark.launchers.local import WORKER_ENVIRONMENT
from rnnbench.benchmark.speed import peer
from rnnbench.benchmark.speed.contender import Contender, Sample

_BOOT = "import sys; from rnnbench.benchmark.launchers.worker import main; sys.exit(main(int(sys.argv[1])))"


class ContenderProcess:
    """A process that serves one contender until it is ended, or the driver ends.

    ``ready`` is what it reported after the first run, whose ``result`` is to be compared; ``samples`` are of those
    after it. ``arguments`` are those of ``peer.prepare``; ``errors`` is a file for what it prints of errors; where
    memory is measured, what is freed is to be seen, and so given back to the system.

    Raises:
        UserError: the process ended by itself.
    """

    def __init__(
        self, contender: Contender[Any], arguments: tuple[Any, ...], errors: Path, measures_memory: bool = False
    ) -> None:
        self.contender = contender
        self.samples: list[Sample] = []
        self._errors = errors
        one_thread = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
        # As in training, whichever contender is timed.
        environment = {**({} if measures_memory else WORKER_ENVIRONMENT), **os.environ, **one_thread}
        self._connection, theirs = Pipe()
        command, none = [sys.executable, "-c", _BOOT, str(theirs.fileno())], subprocess.DEVNULL
        with theirs, errors.open("wb") as file:
            self._process = subprocess.Popen(  # noqa: S603
                command, env=environment, pass_fds=[theirs.fileno()], stdin=none, stdout=none, stderr=file
            )
        try:
            self.ready, self.result = self._answer(peer.prepare, *arguments)
        except BaseException:
            self.end()
            raise

    def end(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.wait()
        self._connection.close()

    def run(self) -> Sample:
        """Let the contender do its work once more; raise UserError if the process ended by itself."""
        sample: Sample = self._answer(peer.run)
        return sample

    def _answer(self, function: Callable[..., Any], *arguments: Any) -> Any:
        try:
            self._connection.send((function, arguments))
            return self._connection.recv()
        except (EOFError, OSError) as error:
            raise UserError(f"contender '{self.contender.name}' {self._end_reason()}") from error

    def _end_reason(self) -> str:
        code = self._process.wait()
        if code < 0:
            return f"was killed by signal {-code}, perhaps out of memory"
        printed = self._errors.read_text(encoding="utf-8", errors="replace").strip().splitlines()
        return f"ended with exit code {code}{f': {printed[-1]}' if printed else ''}"
