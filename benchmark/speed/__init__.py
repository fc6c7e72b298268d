"""Speed reports: contenders for the same work, timed side by side. Listing them imports no torch."""

#: Name on the command line to where its reports are, one for each case.
REPORTS = {
    "scan": "rnnbench.benchmark.speed.scan:REPORTS",
    "linear": "rnnbench.benchmark.speed.sequences:LINEAR",
    "ensemble": "rnnbench.benchmark.speed.sequences:ENSEMBLE",
    "overhead": "rnnbench.benchmark.speed.overhead:REPORTS",
    "suite": "rnnbench.benchmark.speed.whole_suite:REPORTS",
    "lyapunov": "rnnbench.benchmark.speed.lyapunov:REPORTS",
    "memory": "rnnbench.benchmark.speed.sequences:MEMORY",
    "scaling": "rnnbench.benchmark.speed.sequences:SCALING",
    "records": "rnnbench.benchmark.speed.many_records:REPORTS",
    "gpu": "rnnbench.benchmark.speed.gpu:REPORTS",
}

#: What ``all`` leaves out: it needs a GPU.
NOT_OF_ALL = ("gpu",)
