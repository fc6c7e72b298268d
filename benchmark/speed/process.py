"""The driver's side of a contender's process: it is started, asked for runs, and ended."""

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rnnbench.benchmark.errors import UserError
from rnnbench.benchmark.launchers.local import WORKER_ENVIRONMENT
from rnnbench.benchmark.speed.contender import Contender, Result, Sample
from rnnbench.leaderboard.side_file import read_arrays


class ContenderProcess:
    """A process that serves one contender (see ``benchmark.speed.peer``) until it is ended.

    ``ready`` is what it reported after the first run, ``samples`` are of those after it.
    """

    def __init__(
        self, contender: Contender[Any], arguments: Sequence[str], folder: Path, measures_memory: bool = False
    ) -> None:
        """Start the process and wait for its first run.

        Args:
            contender: what it is to serve.
            arguments: MODULE, REPORT, CONTENDER and CASE, as ``peer`` takes them.
            folder: for its files.
            measures_memory: whether freed memory is to be seen, and so given back to the system.

        Raises:
            UserError: the process ended by itself.
        """
        self.contender = contender
        self.samples: list[Sample] = []
        self._result, self._errors = (folder / f"{arguments[2]}.{suffix}" for suffix in ("npz", "err"))
        one_thread = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
        # As in training, whichever contender is timed.
        kept = {} if measures_memory else WORKER_ENVIRONMENT
        peer = [sys.executable, "-m", "rnnbench.benchmark.speed.peer", str(os.getpid())]
        with self._errors.open("wb") as errors:
            self._process = subprocess.Popen(  # noqa: S603
                [*peer, *arguments, str(self._result)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                encoding="utf-8",
                env={**kept, **os.environ, **one_thread},
            )
        try:
            self.ready = self._read()
        except BaseException:
            self.end()
            raise

    def end(self) -> None:
        """End the process."""
        self._process.kill()
        with contextlib.suppress(BrokenPipeError):
            self._process.communicate()

    def result(self) -> Result:
        """Return the result that is to be compared."""
        return read_arrays(self._result)

    def run(self) -> Sample:
        """Let the contender do its work once more; raise UserError if the process ended by itself."""
        assert self._process.stdin is not None  # noqa: S101
        # A process that has ended breaks the pipe; reading its answer then says why.
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.write("run\n")
            self._process.stdin.flush()
        return Sample(**self._read())

    def _read(self) -> dict[str, Any]:
        assert self._process.stdout is not None  # noqa: S101
        line = self._process.stdout.readline()
        if not line:
            raise UserError(f"contender '{self.contender.name}' {self._end_reason()}")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def _end_reason(self) -> str:
        code = self._process.wait()
        if code < 0:
            return f"was killed by signal {-code}, perhaps out of memory"
        printed = self._errors.read_text(encoding="utf-8", errors="replace").strip().splitlines()
        return f"ended with exit code {code}{f': {printed[-1]}' if printed else ''}"
