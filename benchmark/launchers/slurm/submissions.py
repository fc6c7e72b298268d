"""Submissions: what was sent to SLURM, what of it the queue holds, and how the rest ended.

A submission is a folder ``runs/.slurm/NAME`` with a script, bundles ``0.json``, ``1.json`` …, and what their tasks say
when they end, ``0.end.json``. An array's name in the queue is ``rnnbench-NAME-FIRST``, with the number of its first
bundle: the queue alone decides what is queued, also where a command died after it had submitted.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rnnbench.benchmark.errors import UserError
from rnnbench.benchmark.launchers.bundle import Bundle, load_bundle
from rnnbench.benchmark.launchers.slurm.commands import Task
from rnnbench.benchmark.run.job import Job, Member

#: Inside the folder of runs: hidden, so that nothing takes it for records.
FOLDER = ".slurm"
_PREFIX = "rnnbench-"
SCRIPT = "script.sh"
#: The ids of a submission's arrays, by the number of their first bundle.
ARRAYS = "arrays.json"


@dataclass(frozen=True)
class Sent:
    """A bundle that was submitted.

    Attributes:
        path: its file.
        task: the newest of its tasks that the queue knows; None if it knows none.
    """

    path: Path
    task: Task | None

    @property
    def is_queued(self) -> bool:
        """Whether it waits or runs."""
        return self.task is not None and self.task.is_queued

    @property
    def id(self) -> str:
        """The id of its task, such as ``4711_3``; empty if it was never submitted."""
        if self.task is not None:
            return self.task.id
        number = int(self.path.stem)
        firsts = {int(first): array for first, array in read_json(self.path.with_name(ARRAYS)).items()}
        first = max((first for first in firsts if first <= number), default=None)
        return "" if first is None else f"{firsts[first]}_{number - first}"

    @property
    def log(self) -> Path:
        """Where its task writes."""
        return self.path.with_name(f"{self.id}.log")

    @property
    def end(self) -> dict[str, Any]:
        """What its task said when it ended; empty if it was killed, waits or runs."""
        return read_json(end_path(self.path))

    def load(self) -> Bundle:
        """Return the bundle."""
        return load_bundle(self.path, self.path.parents[2])


def loaded(sent: Iterable[Sent]) -> Iterator[tuple[Sent, Bundle]]:
    """Yield the bundles that can be read, with what was sent; a note names each other one that is in the queue."""
    for one in sent:
        try:
            yield one, one.load()
        except UserError as error:
            # What ended without its bundle is missing like all else: the next submit sends it.
            if one.is_queued:
                print(f"note: task {one.id}: {error}", file=sys.stderr)


@dataclass(frozen=True)
class Held:
    """What bundles hold: members by the folder of records they belong to, and cells that they follow up."""

    members: frozenset[Path]
    cells: frozenset[tuple[str, str, str]]

    def holds(self, job: Job, member: Member) -> bool:
        """Return whether a member of a job is held, or follows from what is."""
        experiment = job.experiment
        follows = (experiment.suite, experiment.budget, experiment.name) in self.cells
        return follows or (bool(self.members) and job.record_path(member) in self.members)


def held_by(bundles: Iterable[Bundle]) -> Held:
    """Return what bundles hold."""
    members, cells = set(), set()
    for bundle in bundles:
        for unit in bundle.units:
            members |= {job.record_path(member) for job in unit.jobs for member in job.members}
            if unit.follows is not None:
                experiment = unit.follows[0]
                cells.add((experiment.suite, experiment.budget, experiment.name))
    return Held(frozenset(members), frozenset(cells))


def array_name(folder: Path, first: int) -> str:
    """Return the name of an array in the queue."""
    return f"{_PREFIX}{folder.name}-{first}"


def end_path(bundle: Path) -> Path:
    """Return where the task of a bundle says how it ended."""
    return bundle.with_suffix(".end.json")


def sent_bundles(runs_dir: Path, queue: list[Task]) -> list[Sent]:
    """Return all bundles that were submitted for a folder of runs, the newest submission first."""
    known: dict[tuple[str, int], Task] = {}
    for task in queue:
        name, _, first = task.name.removeprefix(_PREFIX).rpartition("-")
        index = task.id.partition("_")[2]
        if task.name.startswith(_PREFIX) and first.isdecimal() and index.isdecimal():
            known[name, int(first) + int(index)] = task
    # An array that was cancelled while it waited has no tasks, but stands there itself.
    whole = {task.id: task for task in queue if task.name.startswith(_PREFIX) and task.id.isdecimal()}
    found: list[Sent] = []
    for folder in sorted({path.parent for path in (runs_dir / FOLDER).glob(f"*/{SCRIPT}")}, reverse=True):
        numbers = {int(path.stem) for path in folder.glob("*.json") if path.stem.isdecimal()}
        # A task in the queue is shown also if its bundle is gone.
        numbers |= {number for (name, number), task in known.items() if name == folder.name and task.is_queued}
        for number in sorted(numbers):
            path = folder / f"{number}.json"
            sent = Sent(path, known.get((folder.name, number)))
            array = whole.get(sent.id.partition("_")[0]) if sent.task is None else None
            found.append(Sent(path, array._replace(id=sent.id)) if array else sent)
    return found


def read_json(path: Path) -> dict[str, Any]:
    """Return what a small file of ours holds; nothing if it is missing or damaged."""
    try:
        return dict(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return {}
