"""Processes that do one task after another, none of which is waited for once it is gone.

A process shares a socket with the launcher and nothing with the others: there is no lock, queue or shared memory that
one that is killed could leave taken. The launcher waits a second at most before it looks which processes still live.
"""

from __future__ import annotations

import contextlib
import math
import multiprocessing
import os
import pickle
import signal
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from multiprocessing.connection import Connection, wait
from typing import Any, TypeVar

from rnnbench.benchmark.interruption import blocked_signals, noted_signals
from rnnbench.benchmark.launchers.worker import END, INTERRUPT, Outcome

Task = TypeVar("Task")
Environment = Mapping[str, str]
#: A function that returns an ``Outcome`` and can be imported by its name, and its arguments.
Call = tuple[Callable[..., Outcome], tuple[Any, ...]]

#: The paths are set before anything is imported, so that no module in the current folder takes another's place.
_BOOT = (
    "import sys; sys.path[:] = sys.argv.pop(1).split('\\n'); "
    "from rnnbench.benchmark.launchers.worker import main; sys.exit(main(int(sys.argv[1])))"
)
_SECONDS_BETWEEN_LOOKS = 1.0
_SECONDS_TO_REPORT = 3.0
_SECONDS_TO_END = 30.0
#: A time limit is kept to 20 s, of which the report takes some.
_SECONDS_PAST_LIMIT = 15.0


def run_in_processes(
    tasks: Sequence[Task],
    call: Callable[[Task, int], Call],
    groups: Sequence[Callable[[], Sequence[Environment]]],
    tick: Callable[[], None],
    deadline: float = math.inf,
) -> Iterator[tuple[Task, Outcome]]:
    """Do tasks in other processes, and yield how each ended, in the order in which they end.

    Args:
        tasks: what to do, begun in this order. To a deque more may be added whenever a task has ended.
        call: what is called for a task by each process of the group whose index is given.
        groups: for as many tasks as are done at a time, what returns the environments of the processes that do a task
            together. A process alone does one task after another; several together are replaced after each task.
        tick: called about once a second.
        deadline: the monotonic time at which what is being done is ended as by a signal, and nothing more begun.

    Raises:
        KeyboardInterrupt: SIGINT or SIGTERM came. What was being done had half a minute to end in order.
    """
    waiting = tasks if isinstance(tasks, deque) else deque(tasks)
    slots = [_Group(environments) for environments in groups]
    current: dict[_Group, Task] = {}
    with noted_signals() as noted:
        try:
            while (waiting or current) and not noted.is_set and time.monotonic() < deadline:
                for index, group in enumerate(slots):
                    if waiting and group not in current:
                        current[group] = waiting.popleft()
                        group.begin(call(current[group], index))
                seconds = max(0.0, min(_SECONDS_BETWEEN_LOOKS, deadline - time.monotonic()))
                wait([connection for group in current for connection in group.unanswered()], seconds)
                tick()
                for group in list(current):
                    outcome = group.look()
                    if outcome is not None:
                        yield current.pop(group), outcome
            if noted.is_set:
                raise KeyboardInterrupt
        finally:
            _end(slots, current, _SECONDS_TO_END if time.monotonic() < deadline else _SECONDS_PAST_LIMIT)


def _end(slots: Iterable[_Group], current: Mapping[_Group, object], seconds: float) -> None:
    busy = [group for group in slots if group in current]
    for group in slots:
        group.tell(INTERRUPT if group in current else END)
    deadline = time.monotonic() + seconds
    # Once what was interrupted has been written, nothing is lost with those that wait for a task.
    while time.monotonic() < deadline and any(group.is_alive() for group in busy or slots):
        time.sleep(0.01)
    for group in slots:
        group.kill()


class _Group:
    """The processes of a task, started when there is one."""

    def __init__(self, environments: Callable[[], Sequence[Environment]]) -> None:
        self._environments = environments
        self._processes: list[_Process] = []
        self._failure: Outcome | None = None
        self._deadline = 0.0

    def begin(self, call: Call) -> None:
        """Start a task, in new processes if there are none or one has gone since the last."""
        if len(self._processes) > 1 or not all(process.is_alive() for process in self._processes):
            self.kill()
        self._processes = self._processes or [_Process(environment) for environment in self._environments()]
        self._failure = None
        for process in self._processes:
            process.outcome = None
            process.tell(pickle.dumps(call))

    def unanswered(self) -> list[Connection]:
        """Return the sockets on which an answer may come."""
        return [process.connection for process in self._processes if process.outcome is None]

    def look(self) -> Outcome | None:
        """Return how the task ended; None if it has not."""
        new = [process.look() for process in self._processes if process.outcome is None]
        # A process that is killed makes others fail: in the same second, it is the cause.
        for outcome in sorted((one for one in new if one is not None), key=lambda one: one.kind != "left"):
            if self._failure is None and outcome.kind != "trained":
                self._failure, self._deadline = outcome, time.monotonic() + _SECONDS_TO_REPORT
        if self.unanswered():
            # One alone would wait for ever for the others.
            if self._failure is None or time.monotonic() < self._deadline:
                return None
            self.kill()
        return self._failure or self._processes[0].outcome

    def tell(self, message: bytes) -> None:
        """Send a message; of several processes that were interrupted the first one alone has anything to write."""
        for process in self._processes[:1] if message == INTERRUPT else self._processes:
            process.tell(message)

    def is_alive(self) -> bool:
        """Return whether the first process, with which the others end, is alive."""
        return any(process.is_alive() for process in self._processes[:1])

    def kill(self) -> None:
        """End all processes at once."""
        for process in self._processes:
            process.kill()
        self._processes = []


class _Process:
    """A process and the socket to it."""

    def __init__(self, environment: Environment) -> None:
        self.outcome: Outcome | None = None
        self.connection, theirs = multiprocessing.Pipe()
        # The current folder comes last: classes of a user's are found there, but nothing in place of a library.
        here = os.getcwd()
        paths = "\n".join([*(path for path in sys.path if path not in ("", here)), here])
        command = [sys.executable, "-c", _BOOT, paths, str(theirs.fileno())]
        # Signals that reach the whole terminal are for the launcher alone, from the process's beginning.
        with theirs, blocked_signals():
            self._popen = subprocess.Popen(  # noqa: S603
                command, env=environment, pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL
            )

    def is_alive(self) -> bool:
        return self._popen.poll() is None

    def tell(self, message: bytes) -> None:
        # Whether it is gone is seen when its answer is looked for.
        with contextlib.suppress(OSError):
            self.connection.send_bytes(message)

    def look(self) -> Outcome | None:
        """Return the answer, or how the process ended without one; None if neither is there yet."""
        is_alive = self.is_alive()
        try:
            if self.connection.poll():
                self.outcome = self.connection.recv()
            elif not is_alive:
                raise EOFError
        except (EOFError, OSError):
            self.outcome = self._loss()
        return self.outcome

    def _loss(self) -> Outcome:
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._popen.wait(_SECONDS_TO_REPORT)
        self.kill()
        code = self._popen.returncode
        if code >= 0:
            return Outcome("failed", f"its process ended with exit code {code}; what it printed is above")
        memory = ", perhaps because memory ran out" if code == -signal.SIGKILL else ""
        what = f"its process was ended by {signal.Signals(-code).name}{memory}"
        return Outcome("left", f"{what}; the same command goes on from its checkpoint")

    def kill(self) -> None:
        self._popen.kill()
        self._popen.wait()
        self.connection.close()
