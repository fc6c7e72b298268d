"""Standard output and error as they may be: narrow terminals, full disks, pipes that end, streams that are closed."""

import contextlib
import io
import os
import shutil
import sys
from collections.abc import Sequence

from rnnbench.benchmark.errors import UserError

_closed: set[str] = set()
#: What stands for signs of tables where a terminal's encoding lacks them.
_ASCII = {"±": "+-", "×": "x", "–": "-", "−": "-", "≥": ">=", "…": "...", "↓": "(min)", "↑": "(max)"}


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


def output_problem() -> OSError | None:
    """Write what is buffered of standard output; return why that fails, if it does, and then let it go nowhere."""
    try:
        sys.stdout.flush()
    except OSError as error:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)
        return error
    return None


def print_error(message: str) -> None:
    """Print an error, where there is any place for it; what is not printable in it as Python writes it."""
    with contextlib.suppress(OSError):
        print(f"error: {UserError(message)}", file=sys.stderr, flush=True)


def print_table(rows: Sequence[Sequence[str]], text_columns: int = 1) -> None:
    """Print rows of as many cells each, aligned: the first columns on the left, the others on the right.

    What a terminal is too narrow for stands below, beside the first column again; signs that its encoding lacks are
    written in others.
    """
    for line in aligned([[encodable(cell) for cell in row] for row in rows], _width(), text_columns):
        print(line)


def aligned(rows: Sequence[Sequence[str]], width: int | None = None, text_columns: int = 1) -> list[str]:
    r"""Return the lines of a table, in several parts where it is wider than ``width``.

    >>> print("\n".join(aligned([["", "ADD", "Digits"], ["LSTM", "0.1", "98"]])))
          ADD  Digits
    LSTM  0.1      98
    >>> len(aligned([["", "ADD", "Digits"], ["LSTM", "0.1", "98"]], width=10))
    5
    """
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    parts: list[list[int]] = [[]]
    for index in range(1, len(widths)):
        used = widths[0] + sum(widths[i] + 2 for i in (*parts[-1], index))
        if parts[-1] and width is not None and used > width:
            parts.append([])
        parts[-1].append(index)
    lines: list[str] = []
    for part in parts:
        lines += [""] if lines else []
        for row in rows:
            texts = [row[i].ljust(widths[i]) if i < text_columns else row[i].rjust(widths[i]) for i in (0, *part)]
            lines.append("  ".join(texts).rstrip())
    return lines


def _width() -> int | None:
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else None


def encodable(text: str) -> str:
    """Return text for standard output, with signs of tables written in others where its encoding lacks them."""
    try:
        text.encode(sys.stdout.encoding or "ascii")
    except UnicodeEncodeError:
        return "".join(_ASCII.get(char, char) for char in text)
    return text
