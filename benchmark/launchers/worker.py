"""A worker process: trains one job after another on one thread, and ends when its parent does."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
import time
import traceback
from dataclasses import dataclass
from multiprocessing.queues import Queue
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from rnnbench.benchmark.errors import UserError, message_of
from rnnbench.benchmark.run.job import Job, load_job

if TYPE_CHECKING:
    from rnnbench.benchmark.run.train import TrainOptions

#: The variable that tells a process of a run over several devices which process started it.
PARENT = "RNNBENCH_PARENT"
_SECONDS_TO_REPORT = 3.0

#: The GPU of this worker, or None; set once when the process starts.
_device_index: int | None = None


@dataclass(frozen=True)
class Outcome:
    """How a job ended.

    Attributes:
        kind: ``trained``; ``refused`` for what the user can mend; ``failed`` for what should not happen.
        message: what to tell; empty if trained.
    """

    kind: Literal["trained", "refused", "failed"]
    message: str = ""


def start_worker(devices: Queue[int] | None) -> None:
    """Prepare a worker process: one thread, one GPU of its own if there are any, and a watch on its parent."""
    global _device_index
    parent = multiprocessing.parent_process()
    if parent is not None and parent.pid is not None:
        end_with_parent(parent.pid)
    os.environ["OMP_NUM_THREADS"] = "1"
    set_up_torch()
    _device_index = devices.get() if devices is not None else None


def set_up_torch() -> None:
    """Let torch use one thread, and take numbers below the normal range for zero."""
    import torch

    torch.set_num_threads(1)
    # Gradients that vanish over many steps walk through denormal numbers, where every operation is ten times slower.
    torch.set_flush_denormal(True)


def end_with_parent(parent: int) -> None:
    """End this process soon after its parent is gone: an orphan would hold the lock of a run that is to go on.

    Args:
        parent: id of the process that started this one. Asking the system instead could come too late.
    """

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(0.25)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def train_job(job: Job, options: TrainOptions) -> Outcome:
    """Train a job and say how it ended; whatever goes wrong, other jobs go on."""
    import dataclasses

    from rnnbench.benchmark.run.train import is_first_process, train

    try:
        train(job, dataclasses.replace(options, device_index=_device_index))
    except (Exception, SystemExit) as error:
        # SystemExit too: code of a user's own must not end the launcher, and other jobs go on.
        if not is_first_process(options):
            # If the first process failed too, this one ends with it here, and the message comes once.
            time.sleep(_SECONDS_TO_REPORT)
        if isinstance(error, (UserError, OSError)):
            return Outcome("refused", f"{job.name}: {message_of(error)}")
        # The traceback is kept beside the run; the launcher reports the failure and goes on with the other jobs.
        log = job.folder / "error.log"
        log.write_text(traceback.format_exc(), encoding="utf-8")
        return Outcome("failed", f"{job.name}: {type(error).__name__}: {error} (traceback in {log})")
    return Outcome("trained")


def main() -> int:
    """Train the job whose file is given, on several devices: ``python -m benchmark.launchers.worker JOB RUNS OPTIONS``.

    Lightning's launcher starts the sister processes of a run by executing this whole command again.
    """
    import json

    # Before anything slow is imported. The sister processes, if this one starts any, are to end with it.
    parent = int(os.environ.get(PARENT, os.getppid()))
    end_with_parent(parent)
    # A command that a shell started in the background passes on that SIGINT is ignored; the launcher ends us by it.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.environ[PARENT] = str(os.getpid())
    from rnnbench.benchmark.run.train import TrainOptions, is_first_process

    set_up_torch()
    path, runs_dir, encoded = sys.argv[1:4]
    given = json.loads(encoded)
    options = TrainOptions(**{**given, "data_dir": Path(given["data_dir"]) if given["data_dir"] else None})
    outcome = train_job(load_job(Path(path), Path(runs_dir)), options)
    if outcome.message:
        print(outcome.message, file=sys.stderr, flush=True)
        if not is_first_process(options):
            # The first process waits for this one in an operation that may never end by itself.
            os.kill(parent, signal.SIGKILL)
    return {"trained": 0, "refused": 2, "failed": 1}[outcome.kind]


if __name__ == "__main__":
    sys.exit(main())
