"""A worker process: does one task after another on one thread, and ends with the launcher that started it."""

from __future__ import annotations

import os
import pickle
import queue
import signal
import threading
import time
import traceback
from collections.abc import Collection
from dataclasses import dataclass
from multiprocessing.connection import Connection
from types import FrameType
from typing import TYPE_CHECKING, Literal

from rnnbench.benchmark.errors import UserError, is_out_of_memory, message_of
from rnnbench.benchmark.interruption import EXIT_CODE, SIGNALS, Noted
from rnnbench.benchmark.run.ending import end_training
from rnnbench.benchmark.run.lease import BusyError
from rnnbench.datamodules.own_code import own_line, reason_of

if TYPE_CHECKING:
    from rnnbench.benchmark.config.options import TrainOptions
    from rnnbench.benchmark.run.job import Job

#: What the launcher says beside tasks: that the current one is to be ended, and that there will be none.
INTERRUPT, END = b"interrupt", b"end"
#: What a command ends with, the first that applies: a fault of ours, what the user can fix, what is left to do.
_EXIT_CODES = {"failed": 1, "refused": 2, "left": 3}


@dataclass(frozen=True)
class Outcome:
    """How a task ended.

    Attributes:
        kind: ``trained``; ``left`` for what the same command may finish, later or again; ``refused`` for what the user
            can fix; ``failed`` for what should not happen.
        message: what to report; empty if trained.
        log: where more of it lies, in words; differs between tasks that ended by the same.
    """

    kind: Literal["trained", "left", "refused", "failed"]
    message: str = ""
    log: str = ""


def exit_code(kinds: Collection[str]) -> int:
    """Return what a command ends with whose tasks ended so.

    >>> exit_code({"trained"}), exit_code({"trained", "left", "refused"})
    (0, 2)
    """
    return next((code for kind, code in _EXIT_CODES.items() if kind in kinds), 0)


def main(descriptor: int) -> int:
    """Do the tasks that come over a socket, and answer each; return the exit code."""
    os.set_inheritable(descriptor, False)
    connection = Connection(descriptor)
    inbox: queue.SimpleQueue[bytes] = queue.SimpleQueue()
    interrupted = Noted()

    def interrupt(signum: int, frame: FrameType | None) -> None:
        # A terminal sends Ctrl-C to every process. This one ends when the launcher says so, and only once.
        if interrupted.is_set:
            interrupted.is_set = False
            end_training()

    for number in SIGNALS:
        signal.signal(number, interrupt)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
    try:
        # As soon as this runs it may interrupt what starts it.
        threading.Thread(target=_receive, args=(connection, inbox, interrupted), daemon=True).start()
        while (message := inbox.get()) != END:
            function, arguments = pickle.loads(message)  # noqa: S301
            connection.send(function(*arguments))
        return 0
    except (KeyboardInterrupt, BrokenPipeError):
        return EXIT_CODE


def _receive(connection: Connection, inbox: queue.SimpleQueue[bytes], interrupted: Noted) -> None:
    """Hand on what comes, and end this process if the launcher is gone: an orphan would keep the lock of a run."""
    while True:
        try:
            message = connection.recv_bytes()
        except (EOFError, OSError):
            os._exit(1)
        if message == INTERRUPT:
            interrupted.is_set = True
            # To the main thread, which may be waiting for a task.
            signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
        else:
            inbox.put(message)


def set_up_torch() -> None:
    """Let torch use one thread, and take numbers below the normal range for zero."""
    import torch

    torch.set_num_threads(1)
    # Gradients that vanish over many steps pass through denormal numbers, where an operation takes ten times as long.
    torch.set_flush_denormal(True)


def end_with_parent(parent: int) -> None:
    """End this process soon after its parent is gone, whose id is given: to ask the system could come too late."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(0.25)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def train_job(job: Job, options: TrainOptions) -> Outcome:
    """Train a job and return how it ended; whatever goes wrong, other jobs go on."""
    try:
        set_up_torch()
        from rnnbench.benchmark.run.train import train

        train(job, options)
    except (Exception, SystemExit) as error:
        # SystemExit too: code of a user's own must not end the process. Lightning's is the answer to SIGTERM.
        if isinstance(error, SystemExit) and isinstance(error.__context__, KeyboardInterrupt):
            # How Lightning answers the launcher's interrupt. A process that stayed would be waited for.
            raise KeyboardInterrupt from None
        if isinstance(error, SystemExit) and type(error).__name__ == "SIGTERMException":
            return Outcome("left", "it was ended by SIGTERM; the same command goes on from its checkpoint")
        if isinstance(error, BusyError):
            return Outcome("left", message_of(error))
        if isinstance(error, UserError):
            return Outcome("refused", message_of(error))
        if is_out_of_memory(error):
            return Outcome("refused", "memory ran out: give fewer --workers, or smaller networks", _logged(job))
        if own_line(error):
            return Outcome("refused", reason_of(error), _logged(job))
        if isinstance(error, OSError):
            return Outcome("refused", message_of(error))
        return Outcome("failed", f"{type(error).__name__}: {error}", _logged(job))
    return Outcome("trained")


def _logged(job: Job) -> str:
    """Keep the current traceback beside the run, and return where it is."""
    log = job.folder / "error.log"
    try:
        log.parent.mkdir(parents=True, exist_ok=True)
        log.write_text(traceback.format_exc(), encoding="utf-8")
    except OSError as error:
        return f" (the traceback cannot be written: {message_of(error)})"
    return f" (traceback in {log})"
