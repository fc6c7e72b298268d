"""Published numbers: only those that were verified against their source are ever shown."""

import csv
import functools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rnnbench.leaderboard.metric import metric_of_published
from rnnbench.leaderboard.schema import Published

RESULTS = Path(__file__).parent / "published" / "results.csv"
ITERATIONS = "iterations_to_MP"


@dataclass(frozen=True)
class PublishedNumber:
    """One published value, as printed there (a number, or ``fail``).

    Attributes:
        task: the task as the source calls it, for example ``psMNIST``.
        remark: what the file says about the task in brackets, for example ``bit-reversal in released code``.
        metric: the file's name of the metric, for example ``test_acc_pct``.
        trained: how long, in the source's unit, for example ``200 epochs``; empty where it does not say.
    """

    model: str
    task: str
    remark: str
    metric: str
    value: str
    parameters: str
    source: str
    trained: str

    @property
    def metric_name(self) -> str:
        """Our name of the metric; the file's own where we have none."""
        return metric_of_published(self.metric)


def split_task(task: str) -> tuple[str, str]:
    """Split a task's name from the remark in brackets behind it.

    >>> split_task("psMNIST(bit-reversal)"), split_task("sMNIST")
    (('psMNIST', 'bit-reversal'), ('sMNIST', ''))
    """
    name, _, remark = task.partition("(")
    return name.strip(), remark.removesuffix(")")


@functools.cache
def _by_source() -> dict[str, list[PublishedNumber]]:
    """Return the rows of the file with ``verified`` = ``yes`` that hold a value."""
    found: dict[str, list[PublishedNumber]] = {}
    with RESULTS.open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            if row["verified"] == "yes" and not row["value"].startswith("NA"):
                task = split_task(row["task"])
                rest = (row[name] for name in ("metric", "value", "params", "source", "trained"))
                number = PublishedNumber(row["model"], *task, *rest)
                found.setdefault(number.source, []).append(number)
    return found


def find_published(published: Published | None) -> list[PublishedNumber]:
    """Return the verified numbers that a record names, scores and iterations; none if it names none."""
    if published is None:
        return []
    named = published.model, split_task(published.task)[0]
    return [number for number in _by_source().get(published.source, []) if (number.model, number.task) == named]


def every_number() -> list[PublishedNumber]:
    """Return every verified number, scores and iterations, in the order of the file."""
    return [number for numbers in _by_source().values() for number in numbers]


def scores_of(sources: Sequence[str]) -> list[PublishedNumber]:
    """Return every verified score (not iterations) of some sources, in the order of the file."""
    return [number for source in sources for number in _by_source().get(source, []) if number.metric != ITERATIONS]
