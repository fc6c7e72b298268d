"""One row against another, instance by instance."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import Field, model_validator

from rnnbench.leaderboard.claims.evidence import Sample
from rnnbench.leaderboard.claims.intervals import mean_interval
from rnnbench.leaderboard.claims.labels import label
from rnnbench.leaderboard.claims.rules.base import Rule, Strict, by_task, matching, remark
from rnnbench.leaderboard.claims.verdict import Outcome, above


class Pair(Strict):
    """Two rows, compared on every task that matches, and the threshold that the gain must clear.

    Attributes:
        network: the row.
        over: the rows that it is compared with: the best of them, by mean validation value of the ranked metric.
        tasks: patterns of columns.
        gain_above: the gain must be larger; exactly one of this and ``loss_at_most``.
        loss_at_most: the loss (the gain's negative) must not be larger.
    """

    network: str
    over: tuple[str, ...]
    tasks: tuple[str, ...] = ("*",)
    gain_above: float | None = None
    loss_at_most: float | None = None

    @model_validator(mode="after")
    def _one_threshold(self) -> Pair:
        if (self.gain_above is None) == (self.loss_at_most is None):
            raise ValueError("exactly one of gain_above and loss_at_most is needed")
        return self

    @property
    def threshold(self) -> float:
        """The gain that is asked for at least."""
        return self.gain_above if self.gain_above is not None else -float(self.loss_at_most or 0)


class Difference(Rule):
    """The 95 % interval of the mean paired difference clears a threshold.

    The difference is the gain of ``network`` over the other: positive where it is better. Instances with the same
    number share their data, and so are paired.

    Attributes:
        pairs: the rows.
        value: what is compared (``Sample.values``).
        better: whether larger or smaller values are better; by the ranked metric without it.
    """

    kind: Literal["difference"]
    pairs: Annotated[tuple[Pair, ...], Field(min_length=1)]
    value: str = "score"
    better: Literal["larger", "smaller"] | None = None

    def decide(self, samples: Sequence[Sample]) -> list[Outcome]:
        """Return one outcome for each pair and task."""
        return [
            self._outcome(pair, sample, _best(matching(group, pair.over)))
            for pair in self.pairs
            for group in by_task(matching(samples, (pair.network, *pair.over), pair.tasks)).values()
            for sample in matching(group, (pair.network,))
        ]

    def _outcome(self, pair: Pair, sample: Sample, other: Sample) -> Outcome:
        first, second = sample.values(self.value), other.values(self.value)
        shared = sorted(first.keys() & second.keys())
        larger = self.better == "larger" if self.better else sample.direction == "max"
        gains = [(first[i] - second[i]) * (1 if larger else -1) for i in shared]
        strict = pair.gain_above is not None
        change = "gain in" if larger else "reduction of"
        what = f"{sample.network} over {other.network} on {sample.task}: {change} {label(self.value, sample)}"
        wanted = f"{'>' if strict else '≥'} {pair.threshold:g}"
        if not gains:
            return Outcome(what, "undecided", None, None, None, wanted, 0, "no instance is in both rows")
        value, low, high = mean_interval(gains)
        verdict = above(value, low, high, pair.threshold, strict)
        return Outcome(what, verdict, value, low, high, wanted, len(gains), remark(sample, other))


def _best(samples: Sequence[Sample]) -> Sample:
    def rank(sample: Sample) -> float:
        metric = sample.records[0].ranked
        values = [record.scores.val.get(metric.name) for record in sample.records if record.status == "finished"]
        present = [value for value in values if value is not None]
        mean = math.fsum(present) / len(present) if present else math.inf
        return -mean if present and metric.direction == "max" else mean

    return min(samples, key=rank)
