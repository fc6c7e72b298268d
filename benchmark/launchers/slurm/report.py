"""What ``rnnbench status`` says of SLURM: tasks that run or wait, and those that ended with something left."""

from __future__ import annotations

import sys
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from rnnbench.benchmark.launchers.bundle import jobs_of
from rnnbench.benchmark.launchers.plan import Plan
from rnnbench.benchmark.launchers.slurm.commands import SlurmError, last_states, tasks
from rnnbench.benchmark.launchers.slurm.submissions import FOLDER, SCRIPT, Sent, held_by, loaded, sent_bundles
from rnnbench.leaderboard.plan import MOST_NAMED

_UNKNOWN = "was killed, or its node is gone, or its script ended before rnnbench did"
#: Tasks of a kind that are listed.
_MOST = 20


def print_queue(plans: Sequence[Plan], runs_dir: Path) -> None:
    """Print what of plans the queue holds, and why the rest of what was submitted is not finished; nothing if nothing.

    Of a run that was submitted several times, the newest submission counts.
    """
    if not any((runs_dir / FOLDER).glob(f"*/{SCRIPT}")):
        return
    try:
        queue = tasks()
    except SlurmError as error:
        print(f"note: what is submitted is not known here: {error}", file=sys.stderr)
        return
    left = {(job, member) for plan in plans for job in plan.runs for member in job.members}
    queued: list[Sent] = []
    ended: list[Sent] = []
    for sent, bundle in loaded(sent_bundles(runs_dir, queue)):
        held = held_by([bundle])
        its = {(job, member) for job, member in left if held.holds(job, member)}
        if its and sent.id:
            (queued if sent.is_queued else ended).append(sent)
            left -= its
    running = [sent for sent in queued if sent.task and sent.task.state != "PENDING"]
    waiting: dict[str, list[str]] = defaultdict(list)
    for sent in queued:
        if sent.task and sent.task.state == "PENDING":
            waiting[sent.task.reason].append(sent.id)
    if queued or ended:
        waits = sum(map(len, waiting.values()))
        counts = f"{len(running)} running, {waits} waiting, {len(ended)} ended with something left"
        print(f"\nSLURM tasks: {counts}")
    for sent in running[:_MOST]:
        assert sent.task is not None  # noqa: S101
        print(f"  {sent.id} {sent.task.state.lower()} on {sent.task.reason}: {_what(sent)}")
    for reason, ids in sorted(waiting.items(), key=lambda item: -len(item[1]))[:_MOST]:
        print(f"  {len(ids)} waiting {reason}: {_first_of(ids, ', ')}")
    states = last_states([sent.id for sent in ended if sent.task is None])
    for sent in ended[:_MOST]:
        print(f"  {sent.id} {_why(sent, states.get(sent.id, ''))}: {_what(sent)}")
    if ended:
        print("  the next submit sends again what is left")


def _what(sent: Sent) -> str:
    runs = len(jobs_of(sent.load().units))
    log = f"log {sent.log}" if sent.log.exists() else "which wrote no log"
    return f"{runs} run{'s' * (runs > 1)}, {log}"


def _why(sent: Sent, state: str) -> str:
    """Return how a task ended: by SLURM's word for it, and by its own."""
    messages = [str(message) for message in sent.end.get("messages", [])]
    state = (sent.task.state if sent.task else state).lower()
    if state == "completed" and not sent.end:
        return "completed, but its script ended before rnnbench did: see the log and the lines of --setup"
    if not messages:
        said_nothing = "killed, or its script failed before rnnbench began"
        return f"failed ({said_nothing})" if state == "failed" else state or _UNKNOWN
    return f"{state or 'ended'} ({_first_of(messages, '; ')})"


def _first_of(texts: Sequence[str], between: str) -> str:
    more = f" and {len(texts) - MOST_NAMED} more" * (len(texts) > MOST_NAMED)
    return between.join(texts[:MOST_NAMED]) + more
