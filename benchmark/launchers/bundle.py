"""Bundles: jobs that one process of a cluster does, with all that it needs to do them, as one file of JSON."""

from __future__ import annotations

import dataclasses
import heapq
import json
import math
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from pydantic import TypeAdapter

from rnnbench.benchmark.config.experiment import Experiment
from rnnbench.benchmark.config.options import RunOptions
from rnnbench.benchmark.errors import UserError
from rnnbench.benchmark.launchers.plan import Plan
from rnnbench.benchmark.run.job import Job, Member, experiment_of, plain
from rnnbench.leaderboard.files import write_atomically

Item = TypeVar("Item")
_OPTIONS = TypeAdapter(RunOptions)
#: What of a command says what is to be done, which the jobs do, or when it ends.
_NOT_KEPT = {"deadline", "runs_dir", "budget", "only", "instances", "dry_run", "time_limit", "quiet"}


@dataclass(frozen=True, eq=False)
class Unit:
    """Jobs that one bundle holds together: one run, or all pilots that are left of an experiment.

    Attributes:
        jobs: what can be trained now.
        follows: the experiment whose runs in full follow the pilots, and its instances; None for what has none.
    """

    jobs: tuple[Job, ...]
    follows: tuple[Experiment, tuple[int, ...]] | None = None


@dataclass(frozen=True)
class Bundle:
    """What one process does, and how: ``options`` hold what is about training, and ``workers``."""

    units: tuple[Unit, ...]
    options: RunOptions

    def save(self, path: Path) -> None:
        """Write the bundle. Places are not in it: the folder of runs may be elsewhere on another machine."""
        experiments: dict[int, int] = {}
        listed: list[dict[str, Any]] = []

        def index(experiment: Experiment) -> int:
            if id(experiment) not in experiments:
                experiments[id(experiment)] = len(listed)
                listed.append(plain(experiment))
            return experiments[id(experiment)]

        units = [
            {
                "jobs": [
                    [index(job.experiment), [[m.experiment_id, m.instance] for m in job.members]] for job in u.jobs
                ],
                "follows": u.follows and [index(u.follows[0]), u.follows[1]],
            }
            for u in self.units
        ]
        options = _OPTIONS.dump_python(self.options, mode="json", exclude=_NOT_KEPT)
        content = {"options": options, "units": units, "experiments": listed}
        write_atomically(path, f"{json.dumps(content)}\n".encode())


def load_bundle(path: Path, runs_dir: Path) -> Bundle:
    """Return the bundle that ``Bundle.save`` wrote, for a folder of runs.

    Raises:
        UserError: there is none, or it is damaged.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        experiments = [experiment_of(one) for one in content["experiments"]]
        units = tuple(
            Unit(
                tuple(
                    Job(experiments[index], tuple(Member(*member) for member in members), runs_dir)
                    for index, members in unit["jobs"]
                ),
                unit["follows"] and (experiments[unit["follows"][0]], tuple(unit["follows"][1])),
            )
            for unit in content["units"]
        )
        options = _OPTIONS.validate_python({**content["options"], "runs_dir": runs_dir})
        return Bundle(units, options)
    except FileNotFoundError as error:
        raise UserError(f"{path}: no such bundle") from error
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror}); submit again") from error
    except (KeyError, IndexError, TypeError, ValueError) as error:
        reason = f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"
        raise UserError(f"{path}: damaged or not a bundle ({reason}); submit again") from error


def units_of(plan: Plan, instances: Mapping[str, tuple[int, ...]]) -> Iterator[Unit]:
    """Yield the units of a plan, in its order.

    Args:
        plan: of one suite or several.
        instances: those that are wanted of each suite, by its name.
    """
    later = {(job.experiment.suite, job.experiment.name): job.experiment for job in plan.later}
    pilots: dict[tuple[str, str], list[Job]] = defaultdict(list)
    for job in (job for job in plan.jobs if job.experiment.is_pilot):
        pilots[job.experiment.suite, job.experiment.name].append(job)
    for job in plan.jobs:
        cell = job.experiment.suite, job.experiment.name
        if not job.experiment.is_pilot:
            yield Unit((job,))
        elif of_cell := pilots.pop(cell, None):
            follows = (dataclasses.replace(later[cell], chosen=None), instances[cell[0]]) if cell in later else None
            yield Unit(tuple(of_cell), follows)


def pack(seconds: Mapping[Item, float], target: float, workers: int) -> list[list[Item]]:
    """Return bundles of about a duration, as few as that gives and about equally long.

    Args:
        seconds: how long each item takes one worker.
        target: seconds that a bundle takes; what takes longer is bundled with nothing that is shorter.
        workers: items of a bundle that are done at a time.

    >>> pack({"a": 50.0, "b": 9.0, "c": 8.0, "d": 2.0, "e": 1.0}, target=10.0, workers=1)
    [['a'], ['b', 'e'], ['c', 'd']]
    >>> pack({"a": 50.0, "b": 9.0, "c": 8.0, "d": 2.0, "e": 1.0}, target=10.0, workers=4)
    [['a'], ['b', 'c', 'd', 'e']]
    """
    longest_first = sorted(seconds, key=lambda item: -seconds[item])
    long = [item for item in longest_first if seconds[item] >= target]
    short = longest_first[len(long) :]
    bundles = [long[start : start + workers] for start in range(0, len(long), workers)]
    count = math.ceil(sum(seconds[item] for item in short) / (target * workers) or (1 if short else 0))
    filled: list[tuple[float, int, list[Item]]] = [(0.0, index, []) for index in range(count)]
    for item in short:
        whole, index, items = filled[0]
        items.append(item)
        heapq.heapreplace(filled, (whole + seconds[item], index, items))
    return [*bundles, *(items for _, _, items in sorted(filled, key=lambda one: one[1]) if items)]


def jobs_of(units: Sequence[Unit]) -> list[Job]:
    """Return the jobs of units."""
    return [job for unit in units for job in unit.jobs]
