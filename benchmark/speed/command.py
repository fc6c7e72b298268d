"""``rnnbench speed``: take reports, print them, and write them as JSON."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path

from benchmark.errors import UserError
from benchmark.speed import REPORTS
from benchmark.speed.driver import compare
from benchmark.speed.render import render
from leaderboard.files import write_atomically

_REPEATS = 5


def report_speed(chosen: str, repeats: int | None, quick: bool, json_file: Path | None) -> int:
    """Take one report, or ``all`` of them.

    Args:
        chosen: name of a report, or ``all``.
        repeats: counted runs of each contender; None for 5, or 1 of a quick case.
        quick: take the small cases.
        json_file: where to write a list of the reports' outcomes; None for nowhere.

    Returns:
        0.

    Raises:
        UserError: contenders disagree, one of them ended by itself, or ``json_file`` lies in no folder.
        OSError: ``json_file`` cannot be written.
    """
    if json_file is not None and (json_file.is_dir() or not json_file.parent.is_dir()):
        raise UserError(f"--json {json_file}: a file in a folder that exists is allowed")
    comparisons = []
    for name in REPORTS if chosen == "all" else [chosen]:
        for comparison in compare(name, REPORTS[name], repeats or (1 if quick else _REPEATS), quick, _tell):
            print(render(comparison), end="\n\n", flush=True)
            comparisons.append(comparison)
    if json_file is not None:
        text = json.dumps([asdict(comparison) for comparison in comparisons], indent=1, allow_nan=False)
        write_atomically(json_file, f"{text}\n".encode())
    return 0


def _tell(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
