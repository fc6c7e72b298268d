"""How far a suite is: a bar over all its runs, what is left, and when it is likely to end."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from datetime import datetime, timedelta
from types import TracebackType

from tqdm import tqdm

from rnnbench.benchmark.run.job import Job


def steps_done(job: Job) -> int:
    """Return the optimiser steps that a running or interrupted job has done, as it last said."""
    try:
        return int(job.progress.read_text(encoding="utf-8") or 0)
    except (OSError, ValueError):
        # Not begun, or being written at this moment; if it cannot be read at all, the run itself will say so.
        return 0


class SuiteBar:
    """A progress bar over the work of all jobs.

    Args:
        work: the total work of each job, in units of one instance through one time step of one batch.
        steps: the optimiser steps of each job.
    """

    def __init__(self, work: Mapping[Job, float], steps: Mapping[Job, int]) -> None:
        """Show an empty bar."""
        self._work = work
        self._steps = steps
        self._left = set(work)
        interval = 0.5 if sys.stderr.isatty() else 30.0
        self._bar = tqdm(
            total=sum(work.values()),
            bar_format="{l_bar}{bar}| {elapsed} elapsed{postfix}",
            mininterval=interval,
            file=sys.stderr,
            dynamic_ncols=True,
        )
        # What was done before this command says nothing about the speed of this one.
        self._before = self._done()
        self._began = datetime.now()
        self.update()

    def __enter__(self) -> SuiteBar:
        """Return the bar."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Leave the bar as it is."""
        self._bar.close()

    def finish(self, job: Job, message: str) -> None:
        """Count a job as ended, and print a line above the bar."""
        self._left.discard(job)
        if message:
            self._bar.write(message, file=sys.stderr)
        self.update()

    def update(self) -> None:
        """Show how far the running jobs are."""
        done = self._done()
        self._bar.set_postfix_str(f"{len(self._left)} of {len(self._work)} runs left, {self._end(done)}", refresh=False)
        self._bar.n = min(done, self._bar.total)
        self._bar.update(0)

    def _done(self) -> float:
        part = sum(self._work[job] * min(1.0, steps_done(job) / self._steps[job]) for job in self._left)
        return part + sum(work for job, work in self._work.items() if job not in self._left)

    def _end(self, done: float) -> str:
        elapsed = (datetime.now() - self._began).total_seconds()
        progress = done - self._before
        if progress <= 0 or elapsed < 1:
            return "end not known yet"
        end = datetime.now() + timedelta(seconds=elapsed * (self._bar.total - done) / progress)
        return f"ends about {end:%H:%M}" if end.date() == datetime.now().date() else f"ends about {end:%d %b %H:%M}"
