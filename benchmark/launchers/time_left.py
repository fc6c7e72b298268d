"""How long the rest of suites takes, from records alone: nothing is timed and torch is not imported.

An optimiser step of an instance takes what it took in records of the same network on the same task; where there are
none, what ``--dry-run`` estimated, what records that came with rnnbench say, or what similar ones took, scaled to the
length and the batch. Estimates and others' records are corrected by how they compare with the user's own records.
"""

from __future__ import annotations

import contextlib
import functools
import itertools
import json
import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import NamedTuple

from pydantic_core import from_json

from rnnbench.benchmark.config.experiment import Experiment
from rnnbench.benchmark.config.recipe import Recipe
from rnnbench.benchmark.launchers.plan import Plan
from rnnbench.benchmark.launchers.progress import steps_done
from rnnbench.benchmark.run.job import Job
from rnnbench.leaderboard.files import write_atomically
from rnnbench.leaderboard.schema import Record, parse_time
from rnnbench.leaderboard.settings import Config, config_id
from rnnbench.leaderboard.store import record_files, shipped_records

#: Where ``--dry-run`` leaves what it timed, inside the folder of runs: hidden, so that nothing takes it for a record.
TIMED = ".timed.json"
#: Arguments of tasks that say how long sequences are, or with what they grow.
_LENGTHS = ("length", "bptt", "delay", "train_lengths")


class Kind(NamedTuple):
    """What decides how long an optimiser step of one instance takes, as far as a configuration says."""

    recurrence: str
    recurrence_class: str
    task_class: str
    batch_size: int
    length: int | None
    trains: bool

    @classmethod
    def of(cls, config: Config) -> Kind:
        """Return the kind of a resolved configuration."""
        task, recurrence = config["task"], config["recurrence"]
        length = next((task["init_args"][name] for name in _LENGTHS if task["init_args"].get(name)), None)
        length = sum(length) // 2 if isinstance(length, (list, tuple)) else length
        key = _recurrence_id(json.dumps(recurrence, sort_keys=True))
        trains = config["training"].get("max_steps") != 0
        return cls(key, recurrence["class_path"], task["class_path"], config["training"]["batch_size"], length, trains)

    def scale(self, other: Kind) -> float:
        """Return how many times as long as another kind's a step takes, by sequences and their lengths."""
        lengths = self.length / other.length if self.length and other.length else 1.0
        return lengths * self.batch_size / other.batch_size


@functools.lru_cache(10_000)
def _recurrence_id(recurrence: str) -> str:
    return config_id({"recurrence": json.loads(recurrence)})


#: From alike to hardly so: whether a kind tells of another one.
_SIMILAR: tuple[Callable[[Kind, Kind], bool], ...] = (
    lambda one, other: one == other,
    lambda one, other: one.recurrence == other.recurrence and one.task_class == other.task_class,
    lambda one, other: one.recurrence_class == other.recurrence_class and one.task_class == other.task_class,
    lambda one, other: one.recurrence_class == other.recurrence_class and bool(one.length and other.length),
    lambda one, other: one.task_class == other.task_class,
    lambda one, other: bool(one.length and other.length),
)


@dataclass(frozen=True)
class Left:
    """What is left of a plan: hours of one core, or of one device; and records of whose speed nothing is known."""

    hours: float
    unknown: int


class Speeds:
    """Seconds of an optimiser step of one instance with its share of evaluations, by kind.

    Args:
        own: records of this machine.
        runs_dir: the folder of runs, where ``--dry-run`` may have left what it timed.
    """

    def __init__(self, own: Iterable[Record], runs_dir: Path) -> None:
        """Read what was timed; published records are read if they are needed."""
        own = list(own)
        self._own, self._epochs = _by_kind(own), _steps_of_epochs(own)
        self._timed = self._corrected(_timed(runs_dir / TIMED))
        self._cache: dict[Kind, float | None] = {}

    @functools.cached_property
    def _shipped(self) -> dict[Kind, float]:
        records = list(_published())
        self._epochs = {**_steps_of_epochs(records), **self._epochs}
        return self._corrected(_by_kind(records))

    def _corrected(self, known: dict[Kind, float]) -> dict[Kind, float]:
        both = [math.log(self._own[kind] / known[kind]) for kind in known.keys() & self._own.keys()]
        ratio = math.exp(fmean(both)) if both else 1.0
        return {kind: ratio * seconds for kind, seconds in known.items()}

    def left(self, plan: Plan) -> Left:
        """Return what is left of a plan."""
        known = {job: self.seconds(job, plan) for job in plan.runs}
        unknown = sum(len(job.members) for job, seconds in known.items() if seconds is None)
        return Left(sum(seconds or 0.0 for seconds in known.values()) / 3600, unknown)

    def seconds(self, job: Job, plan: Plan) -> float | None:
        """Return the seconds of one core, or device, that are left of a run; None if nothing is known of its speed."""
        steps, pace = self._steps(job.experiment, plan), self._pace(Kind.of(job.experiment.config))
        if steps is None or pace is None:
            return None
        done = steps_done(job) if job.checkpoint.exists() else 0
        return pace * len(job.members) * max(0, steps - done)

    def _pace(self, kind: Kind) -> float | None:
        if kind not in self._cache:
            self._cache[kind] = next(self._similar(kind), None)
        return self._cache[kind]

    def _similar(self, kind: Kind) -> Iterator[float]:
        sources: tuple[Callable[[], dict[Kind, float]], ...]
        sources = (lambda: self._own, lambda: self._timed, lambda: self._shipped)
        for similar, source in itertools.product(_SIMILAR, sources):
            alike = {k: s for k, s in source().items() if k.trains == kind.trains and similar(kind, k)}
            if alike:
                yield fmean(kind.scale(other) * seconds for other, seconds in alike.items())

    def _steps(self, experiment: Experiment, plan: Plan) -> float | None:
        """Return the optimiser steps of a run; those of the cell's instances where their patience may end them."""
        recipe = Recipe(**experiment.config["training"])
        known = () if experiment.is_pilot else plan.records.get(experiment.name, ())
        if known and recipe.patience:
            return fmean(record.steps for record in known)
        if recipe.max_steps is not None:
            # A run of no steps, which only measures, is work too.
            return max(1, recipe.max_steps)
        of_epoch = _epoch(experiment.config) or self._epochs.get(_epoch_key(experiment.config))
        if of_epoch is None and self._shipped:
            of_epoch = self._epochs.get(_epoch_key(experiment.config))
        return None if of_epoch is None else of_epoch * (recipe.max_epochs or 1)


def remember(runs_dir: Path, paces: Mapping[Kind, float]) -> None:
    """Keep what ``--dry-run`` timed, beside what it timed before, for later estimates.

    Raises:
        OSError: the folder cannot be written.
    """
    path = runs_dir / TIMED
    text = json.dumps([[*kind, pace] for kind, pace in sorted({**_timed(path), **paces}.items(), key=str)], indent=0)
    write_atomically(path, text.encode())


def _timed(path: Path) -> dict[Kind, float]:
    """Return what was kept; nothing if that is nothing, or another program's."""
    try:
        return {Kind(*kind): float(pace) for *kind, pace in json.loads(path.read_text(encoding="utf-8"))}
    except (OSError, ValueError, TypeError):
        return {}


def _published() -> Iterator[Record]:
    """Yield the first finished record of each experiment that came with rnnbench: its instances take as long.

    They are unchecked: what is wrong with one is for ``check`` to say.
    """
    seen = set()
    for file in record_files(shipped_records()):
        experiment = file.place.rpartition("-")[0]
        if experiment in seen:
            continue
        with contextlib.suppress(ValueError, OSError, KeyError, TypeError):
            record = Record.model_construct(**from_json((shipped_records() / file.place).read_bytes()))
            # What tells less than it should tells nothing.
            if _by_kind([record]):
                seen.add(experiment)
                yield record


def _by_kind(records: Sequence[Record]) -> dict[Kind, float]:
    found: dict[Kind, list[float]] = defaultdict(list)
    # Records that came out of an index share their configurations.
    kinds: dict[int, Kind] = {}
    for record in records:
        if record.status == "finished":
            key = id(record.config)
            kind = kinds[key] if key in kinds else kinds.setdefault(key, Kind.of(record.config))
            found[kind].append(_seconds(record))
    return {kind: fmean(seconds) for kind, seconds in found.items()}


def _seconds(record: Record) -> float:
    """Return the seconds of a step: training alone, or the whole wall time if that is more and was not measuring."""
    if record.measures and record.steps:
        return record.seconds_per_step
    wall = (parse_time(record.finished_at) - parse_time(record.started_at)).total_seconds()
    together = record.hardware.get("instances_trained_together")
    return max(record.seconds_per_step, wall / (together if isinstance(together, int) else 1) / max(1, record.steps))


def _steps_of_epochs(records: Iterable[Record]) -> dict[tuple[str, int], float]:
    found = {}
    for record in records:
        training = record.config["training"]
        if training.get("max_epochs") and not training.get("patience") and record.status == "finished":
            found[_epoch_key(record.config)] = record.steps / training["max_epochs"]
    return found


def _epoch_key(config: Config) -> tuple[str, int]:
    return config["task"]["class_path"], config["training"]["batch_size"]


def _epoch(config: Config) -> int | None:
    """Return the steps of an epoch of a task whose configuration says how many sequences there are."""
    size = config["task"]["init_args"].get("train_size")
    return -(-size // config["training"]["batch_size"]) if size else None
