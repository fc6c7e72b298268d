"""How far a suite is: a bar over all its runs, what is left, and when it is likely to end."""

import heapq
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta

from tqdm import tqdm

from rnnbench.benchmark.run.job import Job
from rnnbench.leaderboard.metric import display

#: Seconds of training that must have been seen before an end is named.
_SECONDS_TO_JUDGE = 5.0


def steps_done(job: Job) -> int:
    """Return the optimiser steps that a running or interrupted job has done, as it last said."""
    return reported(job)[0]


def reported(job: Job) -> tuple[int, str]:
    """Return the steps that a job has done, and its latest validation score in words; empty if there is none yet."""
    try:
        steps, *score = job.progress.read_text(encoding="utf-8").split(" ", 2)
        return int(steps), display(score[1]).sentence(float(score[0])) if score else ""
    except (OSError, ValueError, IndexError):
        # Not begun, or being written at this moment; if it cannot be read at all, the run itself will say so.
        return 0, ""


def makespan(durations: Sequence[float], workers: int) -> float:
    """Return when the last of some runs ends, the longest begun first, each on the first worker that is free.

    >>> makespan([3.0, 2.0, 2.0], workers=2)
    4.0
    """
    free = [0.0] * max(1, min(workers, len(durations)))
    for duration in sorted(durations, reverse=True):
        heapq.heapreplace(free, free[0] + duration)
    return max(free)


class SuiteBar:
    """A progress bar over the work of all jobs.

    Args:
        work: the total work of each job, in units of one instance through one time step of one batch.
        steps: the optimiser steps of each job.
        quiet: whether only errors are shown.
    """

    def __init__(self, work: Mapping[Job, float], steps: Mapping[Job, int], quiet: bool = False) -> None:
        """Show an empty bar."""
        self._work = dict(work)
        self._steps = dict(steps)
        self._left = set(work)
        # Ended without their records: left for another command.
        self._unfinished: set[Job] = set()
        # What was done before this command says nothing about the speed of this one, nor does starting up.
        self._before = {job: steps_done(job) for job in work}
        self._first: dict[Job, tuple[float, int]] = {}
        self._latest: dict[Job, tuple[float, int]] = {}
        self._scores: dict[Job, str] = {}
        self._together = 1
        on_terminal = sys.stderr.isatty()
        interval = 0.5 if on_terminal else 30.0
        self._bar = tqdm(
            total=sum(work.values()),
            bar_format="{l_bar}{bar}| {elapsed} elapsed{postfix}",
            mininterval=interval,
            file=sys.stderr,
            dynamic_ncols=True,
            disable=quiet,
        )
        # What is training stands below on a terminal, and behind the bar elsewhere, where no line can be gone back to.
        below = {"position": 1, "bar_format": "{desc}", "leave": False, "file": sys.stderr, "dynamic_ncols": True}
        self._training = tqdm(total=0, disable=quiet, **below) if on_terminal else None
        self.update()

    def close(self) -> None:
        """Leave the bar as it is."""
        if self._training is not None:
            self._training.close()
        self._bar.close()

    def finish(self, job: Job, message: str, trained: bool) -> None:
        """Count a job as done if it is trained, else as far as it came; and print a line above the bar."""
        self._left.discard(job)
        if not trained:
            self._unfinished.add(job)
        if job in self._first:
            self._latest[job] = time.monotonic(), self._steps[job]
        if message:
            self._bar.write(message, file=sys.stderr)
        self.update()

    def replace(self, expected: Iterable[Job], work: Mapping[Job, float], steps: Mapping[Job, int]) -> None:
        """Put jobs, with their work and steps, in place of those that stood for them."""
        for job in expected:
            self._left.discard(job)
            self._work.pop(job)
        self._work |= work
        self._steps |= steps
        self._left |= set(work)
        self._before |= {job: steps_done(job) for job in work}
        self._bar.total = sum(self._work.values())
        self.update()

    def update(self) -> None:
        """Show how far the running jobs are."""
        ended = self._work.keys() - self._left - self._unfinished
        done = sum(self._work[job] for job in ended)
        for job in self._left | self._unfinished:
            said, self._scores[job] = reported(job)
            steps = min(said, self._steps[job])
            done += self._work[job] * steps / self._steps[job]
            if steps > self._before[job] and job in self._left:
                self._latest[job] = time.monotonic(), steps
                self._first.setdefault(job, self._latest[job])
        self._together = max(self._together, len(self._left & self._first.keys()))
        end = f", {self._end()}" if self._left else ""
        left, training = f"{len(self._work) - len(ended)} of {len(self._work)} runs left{end}", self._running()
        if self._training is not None:
            self._training.set_description_str(training)
        elif training:
            left = f"{left}; {training}"
        self._bar.set_postfix_str(left, refresh=False)
        self._bar.n = min(done, self._bar.total)
        self._bar.update(0)

    def _running(self) -> str:
        """Say what is training, how far it is, and its latest validation score."""
        names = []
        for job in self._left & self._latest.keys():
            share = f"{job.experiment.name} {100 * self._latest[job][1] / self._steps[job]:.0f} %"
            best = f" (best of {len(job.members)})" if len(job.members) > 1 else ""
            names.append(f"{share}, {self._scores[job]}{best}" if self._scores[job] else share)
        return f"training {'; '.join(sorted(names))}" if names else ""

    def seconds_left(self) -> float | None:
        """Return the estimated seconds until the last job ends; None if too little of any was seen."""
        seconds = {job: self._latest[job][0] - start for job, (start, _) in self._first.items()}
        share = {job: (self._latest[job][1] - steps) / self._steps[job] for job, (_, steps) in self._first.items()}
        work = sum(self._work[job] * share[job] for job in share)
        if sum(seconds.values()) < _SECONDS_TO_JUDGE or not work:
            return None
        remaining = []
        for job in self._left:
            # A run's own pace once it is known; until then that of all others, by the work of a step.
            whole = self._work[job] * sum(seconds.values()) / work
            if seconds.get(job, 0.0) >= _SECONDS_TO_JUDGE and share[job]:
                whole = seconds[job] / share[job]
            done = self._latest.get(job, (0.0, self._before[job]))[1]
            remaining.append(whole * (1 - min(done / self._steps[job], 1)))
        return makespan(remaining, self._together)

    def _end(self) -> str:
        seconds = self.seconds_left()
        if seconds is None:
            return "end not known yet"
        end = datetime.now() + timedelta(seconds=seconds)
        return f"ends about {end:%H:%M}" if end.date() == datetime.now().date() else f"ends about {end:%d %b %H:%M}"
