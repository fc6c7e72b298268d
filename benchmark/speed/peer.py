"""The process of one contender: ``python -m benchmark.speed.peer PARENT MODULE REPORT CONTENDER CASE RESULT``.

It builds the case, runs it once, writes the result that is to be compared (that of the case for agreement, if there is
one) to the file RESULT, an ``.npz``, and prints a line of JSON that says so. Then it answers each line ``run`` of its
input with a line of JSON that says what one more run took, until its input ends.
"""

import importlib.metadata
import json
import os
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, TextIO

from rnnbench.benchmark.launchers.worker import end_with_parent, set_up_torch
from rnnbench.benchmark.speed.contender import Measured, Result, Sample, load_reports

#: The system counts the memory of a process in pages, and not all at the same moment.
_UNCERTAIN_BYTES = 1 << 20


def main(parent: int, module: str, report_index: int, contender_index: int, case: dict[str, Any], path: str) -> None:
    """Serve a contender of a module's reports, by their indices, until the input or the parent process ends."""
    end_with_parent(parent)
    cores = _pin()
    answers = _take_standard_output()
    # Only now: torch's threads are pinned with the process that starts them.
    set_up_torch()
    import torch

    from rnnbench.benchmark.run.provenance import hardware, versions
    from rnnbench.leaderboard.side_file import write_arrays

    report = load_reports(module)[report_index]
    contender = report.contenders[contender_index]
    if contender.whole_machine and cores:
        os.sched_setaffinity(0, cores)
    agreement = report.agreement if contender.compared else None
    compared = {} if agreement is None else _run(contender.build(agreement))[0]
    begin = time.process_time()
    work = contender.build(type(report.case)(**case))
    set_up = time.process_time() - begin
    first_call = None
    if not report.once:
        result, sample = _run(work)
        compared, first_call = compared or result, sample.process_seconds
        del result
    write_arrays(Path(path), compared)
    ready = {"set_up_seconds": set_up, "first_call_seconds": first_call}
    package = {} if contender.package is None else {contender.package: importlib.metadata.version(contender.package)}
    device = torch.device("cuda" if torch.cuda.is_initialized() else "cpu")
    _answer(answers, {**ready, "hardware": hardware(device, 1), "versions": {**versions(), **package}})
    del compared
    for _ in sys.stdin:
        _answer(answers, asdict(_run(work)[1] if report.memory_unit is None else _run_for_memory(work)))


def _pin() -> set[int]:
    """Keep this process on one core; return all that it might use, or none where the system does not tell."""
    if not hasattr(os, "sched_setaffinity"):
        return set()
    # The same core for all contenders, of which one runs at a time; the first core serves the system's interrupts.
    cores: set[int] = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {max(cores)})
    return cores


def _take_standard_output() -> TextIO:
    """Return the standard output for answers alone: what a contender's libraries print goes to the error output."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    return answers


def _run(work: Callable[[], Result | Measured]) -> tuple[Result, Sample]:
    wall, process = time.perf_counter(), _process_seconds()
    result = work()
    if isinstance(result, Measured):
        return result.result, Sample(result.process_seconds, result.wall_seconds)
    return result, Sample(_process_seconds() - process, time.perf_counter() - wall)


def _process_seconds() -> float:
    """Return the processor's time of this process, and of those that it started and that have ended."""
    times = os.times()
    return time.process_time() + times.children_user + times.children_system


def _run_for_memory(work: Callable[[], Result | Measured]) -> Sample:
    import torch

    from rnnbench.benchmark.run.provenance import peak_memory, reset_peak_memory

    reset_peak_memory()
    before, held = peak_memory(torch.device("cpu")), _held_memory()
    sample = _run(work)[1]
    # Where the system does not let the peak be reset, an earlier one would hide that of this run.
    known = held is not None and before < held + _UNCERTAIN_BYTES
    return replace(sample, peak_bytes=peak_memory(torch.device("cpu")) - held if held is not None and known else None)


def _held_memory() -> int | None:
    """Return the bytes that this process holds now; None where the system does not tell."""
    status = Path("/proc/self/status")
    if not status.exists():
        return None
    (line,) = (line for line in status.read_text(encoding="ascii").splitlines() if line.startswith("VmRSS:"))
    return int(line.split()[1]) * 1024


def _answer(answers: TextIO, answer: dict[str, Any]) -> None:
    print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2], int(sys.argv[3]), int(sys.argv[4]), json.loads(sys.argv[5]), sys.argv[6])
