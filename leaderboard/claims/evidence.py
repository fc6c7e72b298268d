"""What claims look at: the chosen instances of cells, and the values that rules read from them."""

import itertools
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rnnbench.leaderboard.dynamics import SideFiles
from rnnbench.leaderboard.plan import Plans
from rnnbench.leaderboard.schema import Budget, Record
from rnnbench.leaderboard.statistics import Cell

_REDUCTIONS: dict[str, Callable[[Any], float]] = {
    "max": max,
    "min": min,
    "first": lambda values: values[0],
    "last": lambda values: values[-1],
}


@dataclass(frozen=True)
class Sample:
    """The instances of one network on one task, at the point of its grid that validation chose.

    Attributes:
        suite: the suite.
        task: the column.
        network: the row.
        records: by instance, those that finished or diverged.
    """

    suite: str
    task: str
    network: str
    records: tuple[Record, ...]
    side_files: SideFiles

    @property
    def diverged(self) -> int:
        """How many instances diverged: where trained scores are asked for, they count as chance."""
        return sum(record.status == "diverged" for record in self.records)

    @property
    def direction(self) -> str:
        """``min`` or ``max``, of the ranked metric."""
        return self.records[0].ranked.direction

    def values(self, value: str) -> dict[int, float]:
        """Return a value of every instance, by number.

        Args:
            value: ``score`` (test value of the ranked metric at ``Record.best_step``), ``score:METRIC``,
                ``last:METRIC`` (test value of the last evaluation), ``explained_variance`` (1 - ``normalized_mse``),
                ``iterations`` (to minimal performance on validation; all steps where it was never reached),
                ``measure:NAME/MOMENT/KEY`` of a measure's summary, or ``array:NAME/MOMENT/KEY:max`` (``min``,
                ``first``, ``last``) of its arrays.

        Raises:
            LookupError: a record has no such value; the message names both.
        """
        return {record.instance: self._value(record, value) for record in self.records}

    def axis(self, path: str) -> float:
        """Return the number at a dotted path of the configuration, for example ``recurrence.init_args.r``.

        Raises:
            LookupError: there is no number.
        """
        found = setting(self.records[0].config, path)
        if isinstance(found, bool) or not isinstance(found, int | float):
            raise LookupError(f"{self.network} on {self.task}: {path} is {found!r}, which is not a number")
        return float(found)

    def _value(self, record: Record, value: str) -> float:
        kind, _, rest = value.partition(":")
        found: float | int | str | None = None
        if kind in ("score", "explained_variance", "last"):
            name = "normalized_mse" if kind == "explained_variance" else rest or record.ranked.name
            found = self._score(record, name, last=kind == "last")
            if kind == "explained_variance" and found is not None:
                found = 1 - found
        elif kind == "iterations" and record.minimal_performance is not None:
            found = record.steps if record.status == "diverged" else record.minimal_performance.val_iterations
        elif kind == "measure":
            measure, moment, key = rest.split("/")
            one = record.measures.get(measure, {}).get(moment)
            found = one.summary.get(key) if one is not None else None
        elif kind == "array":
            place, _, reduction = rest.partition(":")
            measure, moment, key = place.split("/")
            array = self.side_files.arrays(record, measure, moment).get(key)
            found = float(_REDUCTIONS[reduction](array.ravel())) if array is not None else None
        if found is None or isinstance(found, str) or math.isnan(found):
            name = f"instance {record.instance} of {self.network} on {self.task}"
            raise LookupError(f"{name} has no {value}")
        return float(found)

    def _score(self, record: Record, name: str, last: bool) -> float | None:
        metric = next((metric for metric in record.metrics if metric.name == name), None)
        if metric is None:
            return None
        if record.status == "diverged":
            return metric.chance
        scores = record.curve[-1].test if last and record.curve else record.scores.test
        return scores.get(name)


@dataclass(frozen=True)
class Wanted:
    """The cells that a claim needs.

    Attributes:
        suite: name of the suite.
        budget: its budget.
        tasks: columns.
        networks: rows; each of them on each task.
        instances: how many instances each cell needs at least.
    """

    suite: str
    budget: Budget
    tasks: tuple[str, ...]
    networks: tuple[str, ...]
    instances: int

    @property
    def cells(self) -> Iterator[tuple[str, str, str, str]]:
        """Each of them: suite, budget, task and network."""
        return itertools.product((self.suite,), (self.budget,), self.tasks, self.networks)


@dataclass(frozen=True)
class Gap:
    """A cell that a claim needs and that lacks instances.

    Attributes:
        wanted: what the claim asks for.
        task: column of the cell.
        network: its row.
        there: how many instances it has.
        planned: how many the suite trains of itself; None where the suite is not known.
    """

    wanted: Wanted
    task: str
    network: str
    there: int
    planned: int | None = None


class Evidence:
    """The cells of boards, as claims read them."""

    def __init__(self, cells: Iterable[Cell], side_files: SideFiles, plans: Plans | None = None) -> None:
        """Keep the cells that ``select_cells`` chose, the arrays beside their records, and the suites as they are."""
        self._planned = {suite: plan.instances for suite, plan in (plans or {}).items()}
        self._samples = {
            cell.first.cell: Sample(cell.first.suite, cell.first.task, cell.first.network, cell.records, side_files)
            for cell in cells
        }

    def find(self, needs: Sequence[Wanted]) -> tuple[list[Sample], list[Gap]]:
        """Return the samples of all wanted cells that are whole, in the order they are named, and the gaps."""
        samples: list[Sample] = []
        gaps: list[Gap] = []
        for wanted in needs:
            planned = self._planned.get((wanted.suite, wanted.budget))
            for task in wanted.tasks:
                for network in wanted.networks:
                    sample = self._samples.get((wanted.suite, wanted.budget, task, network))
                    there = len(sample.records) if sample else 0
                    if sample is None or there < wanted.instances:
                        gaps.append(Gap(wanted, task, network, there, planned))
                    else:
                        samples.append(sample)
        return samples, gaps


def setting(config: Mapping[str, Any], path: str) -> Any:
    """Return the value at a dotted path; None where there is nothing.

    >>> setting({"recurrence": {"init_args": {"r": 0.96}}}, "recurrence.init_args.r")
    0.96
    """
    value: Any = config
    for key in path.split("."):
        value = value.get(key) if isinstance(value, Mapping) else None
    return value
