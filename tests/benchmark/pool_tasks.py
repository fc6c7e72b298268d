"""Tasks for the processes of a pool, in a module that is quickly imported."""

import os
import signal
import time

from rnnbench.benchmark.launchers.worker import Outcome


def pause(seconds: float) -> Outcome:
    time.sleep(seconds)
    return Outcome("trained", str(os.getpid()))


def fail(rank: str, how: str) -> Outcome:
    """Fail in one of the processes that share a task; the others wait for it."""
    if os.environ.get("LOCAL_RANK", rank) != rank:
        time.sleep(3600)
    if how == "child":
        # It keeps the socket open, as a user's own data loaders might.
        if os.fork() == 0:
            time.sleep(5)
            os._exit(0)
        how = "kill"
    if how == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    if how == "exit":
        os._exit(5)
    return Outcome("failed", "no luck here")
