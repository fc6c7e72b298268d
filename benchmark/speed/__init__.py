"""Speed reports: contenders for the same work, timed side by side. Listing them imports no torch."""

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
    "gpu": "rnnbench.benchmark.speed.gpu",
}

#: What ``all`` leaves out: it needs a GPU.
NOT_OF_ALL = ("gpu",)
