"""Values of single rows against thresholds."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from typing import Literal

from pydantic import model_validator

from rnnbench.leaderboard.claims.evidence import Sample
from rnnbench.leaderboard.claims.intervals import mean_interval
from rnnbench.leaderboard.claims.labels import label
from rnnbench.leaderboard.claims.rules.base import Rule, Strict, matching, remark
from rnnbench.leaderboard.claims.verdict import Outcome, Verdict, above, below


class Condition(Strict):
    """One threshold for some rows.

    Attributes:
        networks: patterns of rows.
        tasks: patterns of columns.
        value: what is compared (``Sample.values``).
        statistic: ``each`` (every instance), ``median``, ``smallest`` or ``largest`` instance, or ``mean``, whose 95 %
            interval must clear the threshold.
        above: the value must be larger than this; exactly one of ``above``, ``below``, ``at_least``, ``at_most``.
        below: it must be smaller.
        at_least: it must not be smaller.
        at_most: it must not be larger.
        times_chance: whether the threshold is a multiple of the ranked metric's chance level.
    """

    networks: tuple[str, ...]
    tasks: tuple[str, ...] = ("*",)
    value: str = "score"
    statistic: Literal["each", "mean", "median", "smallest", "largest"] = "each"
    above: float | None = None
    below: float | None = None
    at_least: float | None = None
    at_most: float | None = None
    times_chance: bool = False

    @model_validator(mode="after")
    def _one_threshold(self) -> Condition:
        if sum(bound is not None for bound in (self.above, self.below, self.at_least, self.at_most)) != 1:
            raise ValueError("exactly one of above, below, at_least and at_most is needed")
        return self

    def outcome(self, sample: Sample) -> Outcome:
        """Return what one sample shows."""
        values = list(sample.values(self.value).values())
        threshold = next(b for b in (self.above, self.at_least, self.below, self.at_most) if b is not None)
        if self.times_chance:
            threshold *= sample.records[0].ranked.chance
        upward = self.above is not None or self.at_least is not None
        strict = self.above is not None or self.below is not None
        low = high = None
        if self.statistic == "mean":
            value, low, high = mean_interval(values)
            verdict: Verdict = (above if upward else below)(value, low, high, threshold, strict)
        else:
            choose: dict[str, Callable[[list[float]], float]] = {
                "each": min if upward else max,
                "median": statistics.median,
                "smallest": min,
                "largest": max,
            }
            value = choose[self.statistic](values)
            verdict = (above if upward else below)(value, value, value, threshold, strict)
        sign = {(True, True): ">", (True, False): "≥", (False, True): "<", (False, False): "≤"}[upward, strict]
        named = {"each": "smallest" if upward else "largest"}.get(self.statistic, self.statistic)
        what = f"{sample.network} on {sample.task}: {named} {label(self.value, sample)}"
        return Outcome(what, verdict, value, low, high, f"{sign} {threshold:g}", len(values), remark(sample))


class Bounds(Rule):
    """All conditions hold for all rows that they name."""

    kind: Literal["bounds"]
    conditions: tuple[Condition, ...]

    def decide(self, samples: Sequence[Sample]) -> list[Outcome]:
        """Return one outcome for each condition and row."""
        return [
            condition.outcome(sample)
            for condition in self.conditions
            for sample in matching(samples, condition.networks, condition.tasks)
        ]
