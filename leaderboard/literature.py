"""Published numbers: only those that were verified against their source are ever shown."""

from __future__ import annotations

import csv
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
    """

    model: str
    task: str
    remark: str
    metric: str
    value: str
    parameters: str
    source: str

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


class Literature:
    """The verified published numbers, by source."""

    def __init__(self, path: Path = RESULTS) -> None:
        """Read the file, keeping rows with ``verified`` = ``yes`` that hold a value."""
        self._by_source: dict[str, list[PublishedNumber]] = {}
        with path.open(newline="", encoding="utf-8") as file:
            for row in csv.DictReader(file):
                if row["verified"] == "yes" and not row["value"].startswith("NA"):
                    task, remark = split_task(row["task"])
                    number = PublishedNumber(
                        row["model"], task, remark, row["metric"], row["value"], row["params"], row["source"]
                    )
                    self._by_source.setdefault(number.source, []).append(number)

    def find(self, published: Published | None) -> list[PublishedNumber]:
        """Return the numbers that a record names, scores and iterations; none if it names none."""
        if published is None:
            return []
        task = split_task(published.task)[0]
        numbers = self._by_source.get(published.source, [])
        return [number for number in numbers if (number.model, number.task) == (published.model, task)]

    def scores_of(self, sources: Sequence[str]) -> list[PublishedNumber]:
        """Return every score (not iterations) of some sources, in the order of the file."""
        return [
            number for source in sources for number in self._by_source.get(source, []) if number.metric != ITERATIONS
        ]
