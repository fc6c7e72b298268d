"""``rnnbench work``: what a task of an array does with its bundle, from its start to its wall clock."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from types import FrameType

from rnnbench.benchmark.errors import UserError
from rnnbench.benchmark.interruption import Noted, ignore_signals
from rnnbench.benchmark.launchers.bundle import Bundle, jobs_of, load_bundle
from rnnbench.benchmark.launchers.bundle_run import run_bundle
from rnnbench.benchmark.launchers.slurm.commands import SlurmError, requeue
from rnnbench.benchmark.launchers.slurm.submissions import FOLDER, end_path
from rnnbench.benchmark.launchers.worker import Outcome, exit_code
from rnnbench.benchmark.run.job import Job
from rnnbench.leaderboard.files import write_atomically


def do_bundle(path: Path) -> int:
    """Train what is left of a bundle; at SIGUSR1, which says that the wall clock is near, end in order and requeue.

    Returns:
        0 if all is trained; otherwise the code that ``rnnbench run`` would have, 3 too where the wall clock came first.

    Raises:
        UserError: the bundle is damaged, or lies in no submission.
        KeyboardInterrupt: SIGINT or SIGTERM came, as at ``scancel``.
    """
    path = path.absolute()
    with _warning() as warned:
        # Of RUNS/.slurm/SUBMISSION/0.json; where no submission can lie, there is no bundle either.
        bundle = load_bundle(path, path.parents[min(2, len(path.parents) - 1)])
        if path.parent.parent.name != FOLDER:
            raise UserError(f"{path}: lies in no submission, as RUNS/{FOLDER}/NAME/N.json does: name the bundle there")
        end_path(path).unlink(missing_ok=True)
        before = _checkpoints(bundle)
        kinds: set[str] = set()
        messages: list[str] = []

        def ended(job: Job, outcome: Outcome) -> None:
            kinds.add(outcome.kind)
            print(f"{job.name}: {outcome.message or 'trained'}{outcome.log}", flush=True)
            if outcome.message:
                messages.append(f"{job.name}: {outcome.message}{outcome.log}")

        try:
            run_bundle(bundle, ended)
            code = exit_code(kinds)
        except KeyboardInterrupt:
            if not warned.is_set:
                _say(path, 130, [*messages, "ended by a signal, as of scancel or preemption"])
                raise
            # A requeue ends this task by SIGTERM, at times before scontrol has answered, which ignores it too.
            ignore_signals()
            has_got_on = "trained" in kinds or _checkpoints(bundle) != before
            if has_got_on and _is_requeued():
                print("the wall clock is near: requeued, to go on from here", flush=True)
                return 3
            reason = "the wall clock came first"
            if not has_got_on:
                reason = "nothing was done within the wall clock: give more --time"
            messages.append(f"{reason}; submit again")
            code = 3
        for message in messages:
            print(f"error: {message}", file=sys.stderr, flush=True)
        _say(path, code, messages)
    return code


@contextlib.contextmanager
def _warning() -> Iterator[Noted]:
    """Within this block SIGUSR1 is noted, and then ends what is being done like SIGTERM."""
    warned = Noted()

    def note(signum: int, frame: FrameType | None) -> None:
        warned.is_set = True
        signal.raise_signal(signal.SIGTERM)

    before = signal.signal(signal.SIGUSR1, note)
    try:
        yield warned
    finally:
        signal.signal(signal.SIGUSR1, before)


def _checkpoints(bundle: Bundle) -> dict[Path, int]:
    """Return when the checkpoints of a bundle's jobs were written."""
    found = {}
    for job in jobs_of(bundle.units):
        with contextlib.suppress(FileNotFoundError):
            found[job.checkpoint] = job.checkpoint.stat().st_mtime_ns
    return found


def _is_requeued() -> bool:
    try:
        requeue(_own_id())
    except SlurmError as error:
        print(f"not requeued: {error}", file=sys.stderr, flush=True)
        return False
    return True


def _own_id() -> str:
    """Return the id of this task alone: the job's number may be that of the whole array, as the last task's is."""
    array, index = (os.environ.get(f"SLURM_ARRAY_{name}", "") for name in ("JOB_ID", "TASK_ID"))
    return f"{array}_{index}" if array and index else os.environ.get("SLURM_JOB_ID", "")


def _say(path: Path, code: int, messages: list[str]) -> None:
    write_atomically(end_path(path), json.dumps({"code": code, "messages": messages}).encode())
