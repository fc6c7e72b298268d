"""What a task does on a node: it trains a job in a folder of its own, says how far it is, and returns all files."""

import contextlib
import dataclasses
import io
import signal
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

import ray
from ray.exceptions import RayError

from rnnbench.benchmark.config.options import TrainOptions
from rnnbench.benchmark.interruption import Noted
from rnnbench.benchmark.launchers.worker import Outcome, train_job
from rnnbench.benchmark.run.job import Job
from rnnbench.leaderboard.files import write_atomically

#: Contents of files by their paths, relative to the folder of runs.
Files = dict[str, bytes]
#: Files, and what was printed on standard error.
Said = tuple[Files, str]

_SECONDS_BETWEEN_REPORTS = 1.0
#: Checkpoints of a thousand tasks go through one process.
_SECONDS_BETWEEN_CHECKPOINTS = 30.0


class Board:
    """What tasks say while they train, and whether they are to end: an actor on the launcher's node."""

    def __init__(self) -> None:
        self._said: dict[int, Said] = {}
        self._is_over = False

    def say(self, attempt: int, files: Files, printed: str) -> bool:
        """Note what an attempt to train a job wrote and printed; return whether it is to end."""
        before = self._said.get(attempt, ({}, ""))
        self._said[attempt] = before[0] | files, before[1] + printed
        return self._is_over

    def take(self) -> dict[int, Said]:
        """Return what was said since the last time, by attempt."""
        said, self._said = self._said, {}
        return said

    def end(self) -> None:
        """Have all tasks end in order."""
        self._is_over = True


def train_on_node(
    job: Job, options: TrainOptions, checkpoint: bytes | None, board: Any, attempt: int
) -> tuple[Outcome, Said]:
    """Train a job from a checkpoint, if there is one; return how it ended, what it wrote, and last printed."""
    with tempfile.TemporaryDirectory(prefix="rnnbench-") as name, contextlib.redirect_stderr(_Lines()) as lines:
        here = dataclasses.replace(job, runs_dir=Path(name))
        if checkpoint is not None:
            write_atomically(here.checkpoint, checkpoint)

        def there(text: str) -> str:
            return text.replace(name, str(job.runs_dir))

        outcome = _train(here, options, lambda files: board.say.remote(attempt, files, there(lines.take())))
        paths = (path for path in here.runs_dir.rglob("*") if path.is_file() and not path.match("run-*/lease.*"))
        files = {path.relative_to(name).as_posix(): path.read_bytes() for path in paths}
        outcome = dataclasses.replace(outcome, message=there(outcome.message), log=there(outcome.log))
        return outcome, (files, there(lines.take()))


class _Lines(io.StringIO):
    """Lines that a task printed, for the launcher's standard error."""

    def __init__(self) -> None:
        super().__init__()
        self._taken = 0

    def take(self) -> str:
        """Return the whole lines that were printed since the last time."""
        whole = self.getvalue()[self._taken :].rpartition("\n")
        lines = "".join(whole[:2])
        self._taken += len(lines)
        return lines


def _train(job: Job, options: TrainOptions, say: Callable[[Files], Any]) -> Outcome:
    is_over, ended = Noted(), threading.Event()

    def interrupt(signum: int, frame: FrameType | None) -> None:
        # Only once, and only when the launcher says so.
        if is_over.is_set:
            is_over.is_set = False
            raise KeyboardInterrupt

    before = signal.signal(signal.SIGINT, interrupt)
    # Ray's daemons, and so their workers, block it.
    mask = signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    reports = threading.Thread(target=_report, args=(job, say, is_over, ended), daemon=True)
    reports.start()
    try:
        outcome = train_job(job, options)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
    except KeyboardInterrupt:
        outcome = Outcome("left", "it was interrupted")
    finally:
        ended.set()
        reports.join()
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        signal.signal(signal.SIGINT, before)
    return outcome


def _report(job: Job, say: Callable[[Files], Any], is_over: Noted, ended: threading.Event) -> None:
    """Send progress and checkpoints until the job has ended; interrupt it if it is to end or nobody listens."""
    sent: dict[Path, int] = {}
    next_checkpoint = 0.0
    while not ended.wait(_SECONDS_BETWEEN_REPORTS):
        files = _changed(job.progress, sent) | _changed(job.source, sent)
        if time.monotonic() >= next_checkpoint and (checkpoint := _changed(job.checkpoint, sent)):
            files |= checkpoint
            next_checkpoint = time.monotonic() + _SECONDS_BETWEEN_CHECKPOINTS
        try:
            is_over.is_set = ray.get(say({path.relative_to(job.runs_dir).as_posix(): files[path] for path in files}))
        except RayError:
            is_over.is_set = True
        if is_over.is_set:
            # To the main thread, which trains.
            signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
            return


def _changed(path: Path, sent: dict[Path, int]) -> dict[Path, bytes]:
    """Return the content of a file that is there and was not sent yet as it is."""
    try:
        changed, content = path.stat().st_mtime_ns, path.read_bytes()
    except FileNotFoundError:
        return {}
    if sent.get(path) == changed:
        return {}
    sent[path] = changed
    return {path: content}
