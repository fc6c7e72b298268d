"""Standard output and error as they may be: narrow terminals, full disks, pipes that end, streams that are closed."""

from __future__ import annotations

import contextlib
import io
import os
import sys


def prepare_streams(needs_output: bool) -> None:
    """Print what a terminal's encoding lacks as question marks, and give closed streams a place to write to.

    Args:
        needs_output: whether a command would do nothing without standard output.

    Raises:
        OSError: standard output is closed, and needed.
    """
    closed = sys.stdout is None
    for number, name in ((1, "stdout"), (2, "stderr")):
        if getattr(sys, name) is None:
            # Otherwise the next file that is opened becomes this stream, and what is printed goes into it.
            _send_nowhere(number)
            setattr(sys, name, os.fdopen(number, "w", encoding="utf-8"))
        stream = getattr(sys, name)
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
    if closed and needs_output:
        raise OSError("standard output is closed: give it a file or a pipe")


def _send_nowhere(number: int) -> None:
    opened = os.open(os.devnull, os.O_WRONLY)
    if opened != number:
        os.dup2(opened, number)
        os.close(opened)
    os.set_inheritable(number, True)


def output_problem() -> str:
    """Write what is buffered of standard output; return why that fails, or nothing, and then let it go nowhere."""
    try:
        sys.stdout.flush()
    except OSError as error:
        _send_nowhere(sys.stdout.fileno())
        return f"standard output cannot be written: {error.strerror}"
    return ""


def print_error(message: str) -> None:
    """Print an error, where there is any place for it."""
    with contextlib.suppress(OSError):
        print(f"error: {message}", file=sys.stderr, flush=True)
