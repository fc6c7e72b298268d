"""The reports that are no comparison of processes: what ``python -m`` of their modules does."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

from rnnbench.benchmark.errors import UserError
from rnnbench.benchmark.launchers.writable import check_writable

#: Takes a report: quick or not, and where to write it as JSON; returns the exit code.
Take = Callable[[bool, "Path | None"], int]


def check_json_file(path: Path | None) -> None:
    """Check that a file can be written.

    Raises:
        UserError: it lies in no folder or one that cannot be written to, or is one.
    """
    if path is not None and (path.is_dir() or not path.parent.is_dir()):
        raise UserError(f"--json {path}: a file in a folder that exists is allowed")
    if path is not None:
        check_writable(path.parent, f"--json {path}")


def run_apart(take: Take) -> int:
    """Take a report as the process's arguments say; return the exit code."""
    parser = argparse.ArgumentParser(description=take.__doc__)
    parser.add_argument("--quick", action="store_true", help="small cases, too small to judge by")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write what was found as JSON")
    options = parser.parse_args()
    try:
        check_json_file(options.json)
        return take(options.quick, options.json)
    except (UserError, OSError) as error:
        print(f"{parser.prog}: {error}", file=sys.stderr)
        return 2
