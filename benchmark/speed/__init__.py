"""Speed reports: contenders for the same work, timed side by side. Listing them imports no torch."""

from __future__ import annotations

#: Name on the command line to the module whose ``REPORT`` it is.
REPORTS = {"lyapunov": "benchmark.speed.lyapunov"}
