"""Rows along an axis: trends, orders, and where the optimum lies."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Literal

from pydantic import model_validator

from rnnbench.leaderboard.claims.evidence import Sample
from rnnbench.leaderboard.claims.intervals import kendall_interval, mean_interval
from rnnbench.leaderboard.claims.labels import label
from rnnbench.leaderboard.claims.rules.base import Rule, by_task, matching, remark
from rnnbench.leaderboard.claims.verdict import Outcome, Verdict, above, below


class Trend(Rule):
    """Kendall's τ between an axis and the mean value clears a threshold; its interval is bootstrapped over instances.

    Attributes:
        axis: dotted path of the configuration.
        networks: patterns of rows.
        value: what is ranked (``Sample.values``).
        above: τ must be larger; exactly one of this and ``below``.
        below: τ must be smaller.
    """

    kind: Literal["trend"]
    axis: str
    networks: tuple[str, ...] = ("*",)
    value: str = "score"
    above: float | None = None
    below: float | None = None

    @model_validator(mode="after")
    def _one_threshold(self) -> Trend:
        if (self.above is None) == (self.below is None):
            raise ValueError("exactly one of above and below is needed")
        return self

    def decide(self, samples: Sequence[Sample]) -> list[Outcome]:
        """Return one outcome for each task."""
        outcomes = []
        for (_, task), group in by_task(matching(samples, self.networks)).items():
            axis = [sample.axis(self.axis) for sample in group]
            values = [list(sample.values(self.value).values()) for sample in group]
            tau, low, high = kendall_interval(axis, values)
            n = min(len(each) for each in values)
            what = f"{task}: Kendall's τ of {label(self.value, group[0])} with {self.axis.rpartition('.')[2]}"
            if self.above is not None:
                verdict, wanted = above(tau, low, high, self.above), f"> {self.above:g}"
            else:
                threshold = float(self.below or 0)
                verdict, wanted = below(tau, low, high, threshold), f"< {threshold:g}"
            outcomes.append(Outcome(what, verdict, tau, low, high, wanted, n, remark(*group)))
        return outcomes


class Increasing(Rule):
    """In every instance, the value grows along the axis.

    Attributes:
        axis: dotted path of the configuration.
        value: what must grow (``Sample.values``).
        networks: patterns of rows.
    """

    kind: Literal["increasing"]
    axis: str
    value: str
    networks: tuple[str, ...] = ("*",)

    def decide(self, samples: Sequence[Sample]) -> list[Outcome]:
        """Return one outcome for each task: the smallest step up of any instance."""
        outcomes = []
        for (_, task), group in by_task(matching(samples, self.networks)).items():
            ordered = sorted(group, key=lambda sample: sample.axis(self.axis))
            values = [sample.values(self.value) for sample in ordered]
            shared = sorted(set.intersection(*(set(each) for each in values)))
            steps = [high[i] - low[i] for i in shared for low, high in itertools.pairwise(values)]
            if not steps:
                raise LookupError(f"{task}: two rows with a common instance are needed")
            smallest = min(steps)
            what = f"{task}: smallest growth from row to row of {label(self.value, ordered[0])}"
            verdict = above(smallest, smallest, smallest, 0.0)
            outcomes.append(Outcome(what, verdict, smallest, None, None, "> 0", len(shared), remark(*group)))
        return outcomes


class Optimum(Rule):
    """The point of an axis with the best mean value lies within an interval; and moves towards a point with the task.

    Attributes:
        axis: dotted path of the configuration.
        inside: the interval, ends included; None asks nothing of it.
        near: with ``grid_steps``: the optimum is at most that many points of the grid away from the point nearest this.
        grid_steps: how many.
        networks: patterns of rows.
        tasks: patterns of columns that the interval is asked of.
        value: what is best (``Sample.values``).
        better: whether larger or smaller values are better; by the ranked metric without it.
        towards: the point that the optimum comes nearer to along ``longer`` (never farther away again).
        longer: columns from the shortest to the longest.
    """

    kind: Literal["optimum"]
    axis: str
    inside: tuple[float, float] | None = None
    near: float | None = None
    grid_steps: int = 1
    networks: tuple[str, ...] = ("*",)
    tasks: tuple[str, ...] = ("*",)
    value: str = "score"
    better: Literal["larger", "smaller"] | None = None
    towards: float | None = None
    longer: tuple[str, ...] = ()

    def decide(self, samples: Sequence[Sample]) -> list[Outcome]:
        """Return one outcome for each task, and one for the order of tasks."""
        rows = matching(samples, self.networks)
        outcomes = [
            self._place(task, group) for (_, task), group in by_task(matching(rows, ("*",), self.tasks)).items()
        ]
        if self.towards is not None:
            outcomes.append(self._order(rows, self.towards))
        return outcomes

    def _best(self, group: Sequence[Sample]) -> list[float]:
        """Return the points of the axis with the best mean: several where they are equal."""
        larger = self.better == "larger" if self.better else group[0].direction == "max"
        means = {s.axis(self.axis): mean_interval(list(s.values(self.value).values())).value for s in group}
        best = (max if larger else min)(means.values())
        return sorted(point for point, mean in means.items() if mean == best)

    def _place(self, task: str, group: Sequence[Sample]) -> Outcome:
        points, best = sorted(sample.axis(self.axis) for sample in group), self._best(group)
        low, high = self.inside or (-math.inf, math.inf)
        if self.near is not None:
            centre = min(range(len(points)), key=lambda index: abs(points[index] - float(self.near or 0)))
            low = points[max(0, centre - self.grid_steps)]
            high = points[min(len(points) - 1, centre + self.grid_steps)]
        within = [low <= point <= high for point in best]
        verdict: Verdict = "holds" if all(within) else "fails" if not any(within) else "undecided"
        what = f"{task}: best {self.axis.rpartition('.')[2]} by mean {label(self.value, group[0])}"
        notes = [remark(*group)] if remark(*group) else []
        if len(best) > 1:
            notes.append(f"{len(best)} points are equally good: {', '.join(f'{point:g}' for point in best)}")
        n = min(len(sample.records) for sample in group)
        return Outcome(what, verdict, best[0], None, None, f"in [{low:g}, {high:g}]", n, "; ".join(notes))

    def _order(self, rows: Sequence[Sample], towards: float) -> Outcome:
        away = [min(abs(p - towards) for p in self._best(matching(rows, ("*",), (task,)))) for task in self.longer]
        steps = [after - before for before, after in itertools.pairwise(away)]
        largest = max(steps)
        what = f"distance of the best point from {towards:g} along {', '.join(self.longer)}: largest step away"
        n = min(len(sample.records) for sample in rows)
        text = ", ".join(f"{each:.4g}" for each in away)
        verdict = below(largest, largest, largest, 0.0, strict=False)
        return Outcome(what, verdict, largest, None, None, "≤ 0", n, f"distances {text}")
