"""Speed reports: contenders for the same work, timed side by side. Listing them imports no torch."""

from __future__ import annotations

#: Name on the command line to the module whose ``REPORTS`` it stands for.
REPORTS = {
    "scan": "benchmark.speed.scan",
    "linear": "benchmark.speed.linear",
    "ensemble": "benchmark.speed.ensemble",
    "overhead": "benchmark.speed.overhead",
    "suite": "benchmark.speed.whole_suite",
    "lyapunov": "benchmark.speed.lyapunov",
    "memory": "benchmark.speed.memory",
    "scaling": "benchmark.speed.scaling",
}

#: Reports that are no comparison of processes on a core: the module and the function of it that takes them. They are
#: not among ``all``.
APART = {
    "gpu": ("benchmark.speed.gpu", "report_gpu"),
    "kernels": ("benchmark.speed.kernels", "report_kernels"),
}
