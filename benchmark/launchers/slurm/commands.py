"""What SLURM is asked: each of its commands, and what is made of its answer."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Sequence
from typing import NamedTuple

from rnnbench.benchmark.errors import UserError

#: States of tasks that will not run again by themselves; all others are in the queue.
ENDED = {
    *("BOOT_FAIL", "CANCELLED", "COMPLETED", "DEADLINE", "FAILED"),
    *("NODE_FAIL", "OUT_OF_MEMORY", "PREEMPTED", "REVOKED", "TIMEOUT"),
}
_SECONDS = 120


class SlurmError(UserError):
    """A command of SLURM's is not there, or refuses; the message is its first line."""


class SlurmSilence(SlurmError):
    """A command of SLURM's did not answer in time: what it was asked for may be done or not."""


class Task(NamedTuple):
    """A task as the queue shows it: its id such as ``4711_3``, the job's name, its state, and a reason or nodes."""

    id: str
    name: str
    state: str
    reason: str

    @property
    def is_queued(self) -> bool:
        """Whether it waits or runs."""
        return self.state not in ENDED


def ask(*words: str) -> str:
    """Return what a command of SLURM's prints.

    Raises:
        SlurmError: it is not there, or failed; SlurmSilence: it did not answer.
    """
    if shutil.which(words[0]) is None:
        raise SlurmError(f"{words[0]} is not on PATH: SLURM's commands are needed here")
    try:
        done = subprocess.run(words, capture_output=True, text=True, errors="replace", timeout=_SECONDS)  # noqa: S603
    except subprocess.TimeoutExpired as error:
        raise SlurmSilence(f"{words[0]} did not answer within {_SECONDS} s") from error
    if done.returncode:
        lines = (done.stderr or done.stdout).strip().splitlines()
        reason = lines[0].removeprefix(f"{words[0]}: ").removeprefix("error: ") if lines else "no reason given"
        raise SlurmError(f"{words[0]} failed: {reason}")
    return done.stdout


def submit_array(script: Sequence[str]) -> str:
    """Submit an array by the words that follow ``sbatch``, and return its id."""
    # "4711", or "4711;cluster".
    return ask("sbatch", "--parsable", *script).strip().split(";")[0]


def tasks() -> list[Task]:
    """Return all tasks that the queue knows of, some minutes after their end too."""
    lines = ask("squeue", "--array", "--noheader", "--states=all", "--format=%i|%j|%T|%R").splitlines()
    rows = [line.strip().split("|", 3) for line in lines]
    return [Task(*row) for row in rows if len(row) == 4]


def last_states(ids: Sequence[str]) -> dict[str, str]:
    """Return how tasks ended, by their ids, as far as this cluster keeps accounts."""
    if not ids:
        return {}
    try:
        text = ask(
            "sacct", "--allocations", "--noheader", "--parsable2", "--format=JobID,State", f"--jobs={','.join(ids)}"
        )
    except SlurmError:
        # Many clusters keep none: then a task's own words have to do.
        return {}
    rows = [line.split("|") for line in text.splitlines()]
    return {row[0]: row[1] for row in rows if len(row) == 2}


def requeue(job: str) -> None:
    """Let a task that is running begin again, from the queue.

    Raises:
        SlurmError: it may not.
    """
    ask("scontrol", "requeue", job)
