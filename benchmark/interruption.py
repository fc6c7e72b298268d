"""What SIGINT and SIGTERM do: the first ends a command in order, and none of them ends it in a traceback."""

import contextlib
import os
import signal
import threading
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any, TypeAlias

Handler: TypeAlias = Callable[[int, FrameType | None], Any] | int | None
SIGNALS = (signal.SIGINT, signal.SIGTERM)
MESSAGE = "interrupted"
#: Of a command that continues what it began.
GOES_ON = "interrupted: the same command goes on from here"
EXIT_CODE = 130


class Noted:
    """Whether a signal has come. Not an Event, whose lock a handler would wait for that interrupts another."""

    is_set = False


_first = Noted()


def end_on_signals() -> None:
    """Let the first signal raise KeyboardInterrupt, and every later one end the process, with message and exit code."""
    _install(_end)


def ignore_signals() -> None:
    """Ignore signals, if one has come: while Python ends, they would end the process with another exit code."""
    if _first.is_set:
        _install(signal.SIG_IGN)


def _end(signum: int, frame: FrameType | None) -> None:
    if _first.is_set:
        # Whatever the first one was about to do takes too long. Nothing is lost: files are written whole or not at all.
        with contextlib.suppress(OSError):
            os.write(2, f"{MESSAGE}\n".encode())
        os._exit(EXIT_CODE)
    _first.is_set = True
    raise KeyboardInterrupt


@contextlib.contextmanager
def noted_signals() -> Iterator[Noted]:
    """Within this block signals are noted in what it gives, and do nothing else (in the main thread)."""
    noted = Noted()

    def note(signum: int, frame: FrameType | None) -> None:
        noted.is_set = _first.is_set = True

    before = _install(note)
    try:
        yield noted
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _install(handler: Handler) -> dict[int, Handler]:
    """Handle signals, but those that whoever started this process has ignored, as a shell does for what runs behind."""
    if threading.current_thread() is not threading.main_thread():
        return {}
    before = [(number, signal.getsignal(number)) for number in SIGNALS]
    handled: dict[int, Handler] = {int(number): old for number, old in before if old not in (signal.SIG_IGN, None)}
    for number in handled:
        signal.signal(number, handler)
    return handled


@contextlib.contextmanager
def blocked_signals() -> Iterator[None]:
    """Within this block signals wait; a process started in it has them wait until it unblocks them."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
