"""Standard output and error as they may be: narrow terminals, full disks, pipes that end, streams that are closed."""

import contextlib
import io
import os
import sys

from rnnbench.benchmark.errors import UserError

_closed: set[str] = set()


def open_closed_streams() -> None:
    """Open standard streams that a service has closed: the next file that is opened would take their place."""
    for descriptor, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(descriptor)
        except OSError:
            # The lowest free number is the one that is closed.
            opened = os.open(os.devnull, os.O_RDWR)
            os.set_inheritable(opened, True)
            setattr(sys, name, os.fdopen(opened, "r" if descriptor == 0 else "w", closefd=False))
            _closed.add(name)


def prepare_streams(needs_output: bool) -> None:
    """Print what a terminal's encoding lacks as question marks, and see that output that is needed has a place.

    Raises:
        OSError: standard output was closed, and is needed.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
    if "stdout" in _closed and needs_output:
        raise OSError("standard output is closed: give it a file or a pipe")


def output_problem() -> str:
    """Write what is buffered of standard output; return why that fails, or nothing, and then let it go nowhere."""
    try:
        sys.stdout.flush()
    except OSError as error:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)
        return f"standard output cannot be written: {error.strerror}"
    return ""


def print_error(message: str) -> None:
    """Print an error, where there is any place for it; what is not printable in it as Python writes it."""
    with contextlib.suppress(OSError):
        print(f"error: {UserError(message)}", file=sys.stderr, flush=True)
