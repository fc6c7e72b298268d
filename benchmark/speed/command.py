"""``rnnbench speed``: take reports, print them, and write them as JSON and as a figure."""

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from rnnbench.benchmark.errors import UserError
from rnnbench.benchmark.launchers.writable import check_writable
from rnnbench.benchmark.speed import NOT_OF_ALL, REPORTS
from rnnbench.benchmark.speed.contender import Comparison
from rnnbench.benchmark.speed.driver import compare
from rnnbench.benchmark.speed.render import render
from rnnbench.leaderboard.drawing.speed_figure import read_comparisons, speed_figure
from rnnbench.leaderboard.files import write_atomically

_REPEATS = 5
_FIGURE = "ratios.svg"


def report_speed(
    chosen: str,
    repeats: int | None,
    quick: bool,
    json_file: Path | None,
    output: Path | None = None,
    full: bool = False,
) -> int:
    """Take one report, or ``all`` that need no GPU; the arguments are the options of the command line.

    Returns:
        0, or 2 where one of ``all`` reports failed, which keeps none of the others from being taken.

    Raises:
        UserError: contenders of the one report disagree, one of them ended by itself, the report cannot be taken here,
            ``json_file`` lies in no folder, or ``output`` is none or holds other files of JSON.
        OSError: a file cannot be written.
    """
    if quick and full:
        raise UserError("--quick and --full exclude each other; give one of them")
    _check_places(json_file, output)
    comparisons: list[Comparison] = []
    exit_code = 0
    for name in [name for name in REPORTS if name not in NOT_OF_ALL] if chosen == "all" else [chosen]:
        taken: list[Comparison] = []
        turns = repeats or (1 if quick else _REPEATS)
        try:
            for comparison in compare(name, REPORTS[name], turns, quick, _print_progress, full):
                print(render(comparison), end="\n\n", flush=True)
                taken.append(comparison)
        except UserError as error:
            if chosen != "all":
                raise UserError(f"{name}: {error}") from error
            _print_progress(f"error: {name}: {error}")
            exit_code = 2
            continue
        if output is not None:
            # At once: a later report may be interrupted.
            write_atomically(output / f"{name}.json", _as_json(taken))
            write_atomically(output / _FIGURE, speed_figure(read_comparisons(output)))
        comparisons += taken
    if json_file is not None:
        write_atomically(json_file, _as_json(comparisons))
    return exit_code


def _check_places(json_file: Path | None, output: Path | None) -> None:
    """Check that both can be written, and that the folder holds no other files of JSON."""
    if json_file is not None:
        if json_file.is_dir() or not json_file.parent.is_dir():
            raise UserError(f"--json {json_file} must be a file in a folder that exists")
        check_writable(json_file.parent, f"--json {json_file}")
    if output is None:
        return
    if output.exists() and not output.is_dir():
        raise UserError(f"--output {output} must be a folder, got a file")
    check_writable(output, f"--output {output}")
    try:
        read_comparisons(output)
    except ValueError as error:
        raise UserError(f"--output {output}: {error}; give another folder, or move the file away") from error


def _as_json(comparisons: Sequence[Comparison]) -> bytes:
    text = json.dumps([asdict(comparison) for comparison in comparisons], indent=1, allow_nan=False)
    return f"{text}\n".encode()


def _print_progress(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
