"""What the process of one contender does, as ``launchers.worker`` is asked to: build the case, and time runs of it."""

import importlib.metadata
import os
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pkgutil import resolve_name
from typing import Any

from rnnbench.benchmark.launchers.worker import set_up_torch
from rnnbench.benchmark.speed.contender import Measured, Result, Sample

#: The system counts the memory of a process in pages, and not all at the same moment.
_UNCERTAIN_BYTES = 1 << 20
#: What one more run is, once it is prepared.
_RUNS: list[Callable[[], Sample]] = []


def prepare(place: str, report_index: int, contender_index: int, case: dict[str, Any]) -> tuple[dict[str, Any], Result]:
    """Build a case for a contender of the reports at a place, by their indices, and run it once.

    It returns what is known then, and the result that is to be compared: of the case for agreement, if there is one.
    """
    cores = _pin()
    # Only now: torch's threads are pinned with the process that starts them.
    set_up_torch()
    import torch

    from rnnbench.benchmark.run.provenance import hardware, versions

    report = resolve_name(place)[report_index]
    contender = report.contenders[contender_index]
    if contender.whole_machine and cores:
        os.sched_setaffinity(0, cores)
    agreement = report.agreement if contender.compared else None
    compared = {} if agreement is None else _run(contender.build(agreement))[0]
    begin = time.process_time()
    work = contender.build(type(report.case)(**case))
    ready: dict[str, Any] = {"set_up_seconds": time.process_time() - begin, "first_call_seconds": None}
    if not report.once:
        result, sample = _run(work)
        compared, ready["first_call_seconds"] = compared or result, sample.process_seconds
    _RUNS.append((lambda: _run(work)[1]) if report.memory_unit is None else partial(_run_for_memory, work))
    package = {} if contender.package is None else {contender.package: importlib.metadata.version(contender.package)}
    device = torch.device("cuda" if torch.cuda.is_initialized() else "cpu")
    return {**ready, "hardware": hardware(device, 1), "versions": {**versions(), **package}}, compared


def run() -> Sample:
    """Do the work that was prepared once more."""
    return _RUNS[0]()


def _pin() -> set[int]:
    """Keep this process on one core; return all that it might use, or none where the system does not tell."""
    if not hasattr(os, "sched_setaffinity"):
        return set()
    # The same core for all contenders, of which one runs at a time; the first core serves the system's interrupts.
    cores: set[int] = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {max(cores)})
    return cores


def _run(work: Callable[[], Result | Measured]) -> tuple[Result, Sample]:
    wall, process = time.perf_counter(), _process_seconds()
    result = work()
    if isinstance(result, Measured):
        return result.result, Sample(result.process_seconds, result.wall_seconds, peak_bytes=result.peak_bytes)
    return result, Sample(_process_seconds() - process, time.perf_counter() - wall)


def _process_seconds() -> float:
    """Return the processor's time of this process, and of those that it started and that have ended."""
    times = os.times()
    return time.process_time() + times.children_user + times.children_system


def _run_for_memory(work: Callable[[], Result | Measured]) -> Sample:
    import torch

    from rnnbench.benchmark.run.provenance import peak_memory, reset_peak_memory, stated

    reset_peak_memory()
    before, resident = peak_memory(torch.device("cpu")), stated("/proc/self/status", "VmRSS:")
    sample = _run(work)[1]
    if sample.peak_bytes is not None:
        return sample
    held = int(resident.split()[0]) * 1024 if resident else 0
    # Where the system does not let the peak be reset, an earlier one would hide that of this run.
    known = resident and before < held + _UNCERTAIN_BYTES
    return replace(sample, peak_bytes=peak_memory(torch.device("cpu")) - held if known else None)
