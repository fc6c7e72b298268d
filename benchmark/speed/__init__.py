"""Speed reports: contenders for the same work, timed side by side. Listing them imports no torch."""

from __future__ import annotations

#: Name on the command line to the module whose ``REPORTS`` it stands for.
REPORTS = {
    "scan": "rnnbench.benchmark.speed.scan",
    "linear": "rnnbench.benchmark.speed.linear",
    "ensemble": "rnnbench.benchmark.speed.ensemble",
    "overhead": "rnnbench.benchmark.speed.overhead",
    "suite": "rnnbench.benchmark.speed.whole_suite",
    "lyapunov": "rnnbench.benchmark.speed.lyapunov",
    "memory": "rnnbench.benchmark.speed.memory",
    "scaling": "rnnbench.benchmark.speed.scaling",
}

#: Reports that are no comparison of processes on a core: the module and the function of it that takes them. They are
#: not among ``all``.
APART = {"gpu": ("rnnbench.benchmark.speed.gpu", "report_gpu")}
