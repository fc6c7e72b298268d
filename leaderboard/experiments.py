"""Experiments of the papers that suites repeat: what stands for them here, and what each budget costs."""

import csv
import functools
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

EXPERIMENTS = Path(__file__).parent / "published" / "experiments.csv"


@dataclass(frozen=True)
class Experiment:
    """A row of ``published/experiments.csv``.

    Attributes:
        suite: name of the suite.
        place: figure or table that the suite repeats; empty for suites that repeat none.
        stands_for: what its smaller tasks and shorter training stand for, or that its settings are ours, in a sentence;
            empty where there is nothing to say, or no figure that would say it.
        cpu: core-hours of the budget ``cpu`` without measures of dynamics, roughly.
        paper: the same of the budget ``paper``; empty where the suite repeats nothing.
    """

    suite: str
    place: str
    stands_for: str
    cpu: str
    paper: str

    def hours(self, budget: str) -> str:
        """Return the core-hours of a budget, empty where they are not known."""
        return {"cpu": self.cpu, "paper": self.paper}.get(budget, "")


@functools.cache
def experiments() -> Mapping[str, Experiment]:
    """Return the experiments by their suite.

    >>> experiments()["rotation"].place
    'Dubinin & Effenberger 2024, Fig. 4 and B.4'
    """
    with EXPERIMENTS.open(newline="", encoding="utf-8") as file:
        return MappingProxyType({row["suite"]: Experiment(**row) for row in csv.DictReader(file)})
