"""The process of one contender: ``python -m benchmark.speed.peer PARENT MODULE CONTENDER CASE RESULT``.

It builds the case, runs it once, writes the result to the file RESULT and prints a line of JSON that says so. Then it
answers each line ``run`` of its input with a line of JSON that tells the times of one more run, until its input ends.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any, TextIO

from benchmark.launchers.worker import end_with_parent
from benchmark.speed.contender import Result, Sample, load_report


def main(parent: int, module: str, contender: int, case: dict[str, Any], result_path: str) -> None:
    """Serve one contender.

    Args:
        parent: id of the driver's process, with which this one ends.
        module: where the report is.
        contender: its place among those of the report.
        case: fields of the report's case.
        result_path: the ``.npz`` file that the first run's result is written to.
    """
    end_with_parent(parent)
    _pin()
    answers = _take_standard_output()
    # Only now: their threads are pinned with the process that starts them.
    import torch

    from benchmark.provenance import hardware, versions
    from leaderboard.side_file import write_arrays

    torch.set_num_threads(1)
    report = load_report(module)
    begin = time.process_time()
    work = report.contenders[contender].build(type(report.case)(**case))
    set_up = time.process_time() - begin
    result, first_call = _run(work)
    write_arrays(Path(result_path), result)
    ready = {"set_up_seconds": set_up, "first_call_seconds": first_call.process_seconds}
    _answer(answers, {**ready, "hardware": hardware(torch.device("cpu"), 1), "versions": versions()})
    del result
    for _ in sys.stdin:
        _answer(answers, asdict(_run(work)[1]))


def _pin() -> None:
    # The same core for all contenders, of which one runs at a time; the first core serves the system's interrupts.
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})


def _take_standard_output() -> TextIO:
    """Return the standard output for answers alone: what a contender's libraries print goes to the error output."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    return answers


def _run(work: Callable[[], Result]) -> tuple[Result, Sample]:
    wall, process = time.perf_counter(), time.process_time()
    result = work()
    return result, Sample(time.process_time() - process, time.perf_counter() - wall)


def _answer(answers: TextIO, answer: dict[str, Any]) -> None:
    print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2], int(sys.argv[3]), json.loads(sys.argv[4]), sys.argv[5])
