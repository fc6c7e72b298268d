"""The command in a process of its own that is forked from one which has imported everything: a fork is cheap, not that.

``test_run_command`` and ``test_installation`` start it as a user does, from a new interpreter.
"""

import multiprocessing
import os
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace

SERVER = multiprocessing.get_context("forkserver")
SERVER.set_forkserver_preload(
    [
        "rnnbench.benchmark.command.cli",
        "rnnbench.benchmark.run.train",
        "rnnbench.datamodules.adding",
        "rnnbench.lit_models.recurrences.gated",
        "rnnbench.leaderboard.board_page",
    ]
)


def run_forked(
    folder: Path, words: Sequence[str], environment: dict[str, str], before: Callable[[], object] = int
) -> subprocess.CompletedProcess[str]:
    """Run the command in a folder, and call a function that can be imported before it."""
    with tempfile.TemporaryDirectory() as streams:
        printed = [Path(streams, name) for name in ("stdout", "stderr")]
        process = SERVER.Process(target=_command, args=(folder, words, environment, printed, before))
        process.start()
        process.join(1800)
        if process.exitcode is None:
            process.kill()
        output, errors = (path.read_text(encoding="utf-8") for path in printed)
        assert process.exitcode is not None, f"{words} has not ended: {errors}"
        return subprocess.CompletedProcess(words, process.exitcode, output, errors)


def _command(
    folder: Path, words: Sequence[str], environment: dict[str, str], printed: Sequence[Path], before: Callable
) -> None:
    from rnnbench.__main__ import main
    from rnnbench.benchmark.launchers import pool

    for descriptor, path in enumerate(printed, 1):
        with path.open("wb") as stream:
            os.dup2(stream.fileno(), descriptor)
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    sys.path.insert(0, str(folder))
    sys.argv = ["rnnbench", *words]
    pool.subprocess = SimpleNamespace(
        Popen=ForkedWorker, DEVNULL=subprocess.DEVNULL, TimeoutExpired=subprocess.TimeoutExpired
    )
    before()
    sys.exit(main())


class ForkedWorker:
    """What the pool uses of ``Popen``, for a process that runs its Python command without a new interpreter."""

    def __init__(self, command: Sequence[str], env: dict[str, str], pass_fds: Sequence[int], stdin: int) -> None:
        self.returncode: int | None = None
        self._pid = os.fork()
        if self._pid == 0:
            self._run(command, env, *pass_fds)

    def _run(self, command: Sequence[str], environment: dict[str, str], kept: int) -> None:
        code: object = 1
        try:
            # As a new interpreter: what else is open would outlive the launcher here.
            os.closerange(3, kept)
            os.closerange(kept + 1, os.sysconf("SC_OPEN_MAX"))
            os.environ.clear()
            os.environ.update(environment)
            sys.argv = ["-c", *command[3:]]
            exec(command[2], {})  # noqa: S102
        except SystemExit as end:
            code = end.code
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code if isinstance(code, int) else code is not None)

    def poll(self) -> int | None:
        """Return the exit code, or the negative signal; None while it runs."""
        if self.returncode is None:
            ended, status = os.waitpid(self._pid, os.WNOHANG)
            self.returncode = os.waitstatus_to_exitcode(status) if ended else None
        return self.returncode

    def wait(self, timeout: float = float("inf")) -> None:
        """Wait for its end."""
        deadline = time.monotonic() + timeout
        while self.poll() is None:
            if time.monotonic() > deadline:
                raise subprocess.TimeoutExpired("worker", timeout)
            time.sleep(0.01)

    def kill(self) -> None:
        """End it at once."""
        if self.poll() is None:
            os.kill(self._pid, 9)
