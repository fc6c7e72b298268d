"""Measures of dynamics against what theory predicts for each instance."""

import math
import statistics
from collections.abc import Sequence
from typing import Literal

from rnnbench.leaderboard.claims.evidence import Sample, setting
from rnnbench.leaderboard.claims.labels import quantity
from rnnbench.leaderboard.claims.rules.base import Rule, matching, remark
from rnnbench.leaderboard.claims.verdict import Outcome, above, below


class NearLog(Rule):
    """In every instance, values lie within the coupling of log r (Dubinin & Effenberger 2024, eq. 13 and below).

    Attributes:
        values: each of them must (``Sample.values``), in nats per step.
        strength: dotted path of r.
        coupling: dotted path of γ.
        networks: patterns of rows.
    """

    kind: Literal["near_log"]
    values: tuple[str, ...]
    strength: str = "recurrence.init_args.r"
    coupling: str = "recurrence.init_args.gamma"
    networks: tuple[str, ...] = ("*",)

    def decide(self, samples: Sequence[Sample]) -> list[Outcome]:
        """Return one outcome for each row: its largest deviation."""
        outcomes = []
        for sample in matching(samples, self.networks):
            r, gamma = sample.axis(self.strength), sample.axis(self.coupling)
            found = [abs(value - math.log(abs(r))) for name in self.values for value in sample.values(name).values()]
            largest = max(found)
            verdict = below(largest, largest, largest, gamma, strict=False)
            what = f"{sample.network} on {sample.task}: largest deviation from log r"
            n = len(sample.records)
            outcomes.append(Outcome(what, verdict, largest, None, None, f"≤ γ = {gamma:g}", n, remark(sample)))
        return outcomes


class SameSign(Rule):
    """In every instance, pairs of values have the same sign.

    Attributes:
        pairs: two values each (``Sample.values``).
        networks: patterns of rows.
    """

    kind: Literal["same_sign"]
    pairs: tuple[tuple[str, str], ...]
    networks: tuple[str, ...] = ("*",)

    def decide(self, samples: Sequence[Sample]) -> list[Outcome]:
        """Return one outcome for each row and pair: how many instances change their sign."""
        outcomes = []
        for sample in matching(samples, self.networks):
            for first, second in self.pairs:
                before, after = sample.values(first), sample.values(second)
                changed = sum(before[i] * after[i] <= 0 for i in before)
                name = quantity(first, sample)
                what = f"{sample.network} on {sample.task}: instances in which the sign of the {name} changes"
                verdict = below(changed, changed, changed, 0, strict=False)
                outcomes.append(Outcome(what, verdict, changed, None, None, "0", len(before), remark(sample)))
        return outcomes


class Degree(Rule):
    """In every instance the degree at step t is C(t + L - 1, L) (Lizaire et al. 2026).

    Attributes:
        degree: the array of degrees, ``NAME/MOMENT/KEY``; the array ``steps`` beside it holds t.
        layers: dotted path of L; a network without it has one layer.
        tolerance: largest deviation.
        networks: patterns of rows.
    """

    kind: Literal["degree"]
    degree: str
    layers: str = "recurrence.init_args.num_layers"
    tolerance: float
    networks: tuple[str, ...] = ("*",)

    def decide(self, samples: Sequence[Sample]) -> list[Outcome]:
        """Return one outcome for each row: the largest deviation at any step."""
        measure, moment, key = self.degree.split("/")
        outcomes = []
        for sample in matching(samples, self.networks):
            found = setting(sample.records[0].config, self.layers)
            layers = found if isinstance(found, int) else 1
            largest = 0.0
            for record in sample.records:
                arrays = sample.side_files.arrays(record, measure, moment)
                if key not in arrays or "steps" not in arrays:
                    raise LookupError(f"instance {record.instance} of {sample.network} has no {self.degree}")
                for step, degree in zip(arrays["steps"].tolist(), arrays[key].tolist(), strict=True):
                    off = abs(degree - math.comb(int(step) + layers - 1, layers))
                    largest = math.inf if math.isnan(off) else max(largest, off)
            what = f"{sample.network} on {sample.task}: degree against C(t + {layers - 1}, {layers}), largest deviation"
            verdict = below(largest, largest, largest, self.tolerance, strict=False)
            n = len(sample.records)
            outcomes.append(Outcome(what, verdict, largest, None, None, f"≤ {self.tolerance:g}", n, remark(sample)))
        return outcomes


class Truncates(Rule):
    """Trained networks truncate to the last k inputs (Miller & Hardt 2019).

    With ``contractive``: the measured error of the state is below its bound at every k, and at the first measured k
    with λ^k ≤ ε the metric is within ``tolerance`` of the whole network's. Without: it is at some k ≤ T / 4.

    Attributes:
        contractive: which of the two.
        epsilon: ε.
        tolerance: largest relative difference of the metric.
        moment: when it was measured.
        networks: patterns of rows.
    """

    kind: Literal["truncates"]
    contractive: bool
    epsilon: float = 0.01
    tolerance: float = 0.01
    moment: str = "end"
    networks: tuple[str, ...] = ("*",)

    def decide(self, samples: Sequence[Sample]) -> list[Outcome]:
        """Return one outcome for each row and comparison: of the instance that is worst."""
        outcomes = []
        for sample in matching(samples, self.networks):
            where, n = f"{sample.network} on {sample.task}", len(sample.records)
            found = [self._instance(sample, index) for index in range(n)]
            if self.contractive:
                excess = max(each[0] for each in found)
                verdict = below(excess, excess, excess, 1.0, strict=False)
                outcomes.append(
                    Outcome(f"{where}: largest error over its bound", verdict, excess, None, None, "≤ 1", n)
                )
            loss = max(each[1] for each in found)
            if math.isinf(loss):
                text = "no measured k below T is large enough for the bound: it says nothing at this length"
                outcomes.append(Outcome(f"{where}: truncation at k", "undecided", None, None, None, "", n, text))
                continue
            ks = ", ".join(str(each[2]) for each in found)
            verdict = below(loss, loss, loss, self.tolerance, strict=False)
            what = f"{where}, given the last k inputs only: largest relative difference of the metric"
            outcomes.append(Outcome(what, verdict, loss, None, None, f"≤ {self.tolerance:g}", n, f"k = {ks}"))
        return outcomes

    def _instance(self, sample: Sample, index: int) -> tuple[float, float, int]:
        """Return the largest error over its bound, the relative difference of the metric at k, and k."""
        record = sample.records[index]
        arrays = sample.side_files.arrays(record, "truncation", self.moment)
        one = record.measures.get("truncation", {}).get(self.moment)
        if one is None or "metric" not in arrays or one.summary.get("metric_full") is None:
            raise LookupError(f"instance {record.instance} of {sample.network} has no truncation at {self.moment}")
        full = float(one.summary["metric_full"] or 0)
        ks = [int(k) for k in arrays["ks"]]
        scale = abs(full) or 1.0
        losses = {k: abs(float(metric) - full) / scale for k, metric in zip(ks, arrays["metric"], strict=True)}
        if not self.contractive:
            short = {k: loss for k, loss in losses.items() if k <= ks[-1] / 4}
            k = min(short, key=lambda k: (short[k], k))
            return 0.0, short[k], k
        contraction = float(one.summary.get("contraction") or math.nan)
        if not 0 < contraction < 1:
            raise LookupError(f"instance {record.instance} of {sample.network} has no contraction below 1")
        excess = max(float(e) / float(b) for e, b in zip(arrays["state_error_max"], arrays["bound"], strict=True) if b)
        enough = [k for k in ks[:-1] if contraction**k <= self.epsilon]
        return excess, losses[enough[0]] if enough else math.inf, enough[0] if enough else ks[-1]


class Reach(Rule):
    """The longest delay that a row solves is longer than another row's, for every pair.

    A row that solves the longest that was tried may reach farther, and one that does not solve the shortest counts with
    the whole number below it and may reach less: what then depends on it is undecided.

    Attributes:
        pairs: two rows each: the one that reaches farther, and the other.
        axis: dotted path of the delay.
        solved_below: a delay is solved if the median is below this.
    """

    kind: Literal["reach"]
    pairs: tuple[tuple[str, str], ...]
    axis: str = "task.init_args.delay"
    solved_below: float

    def decide(self, samples: Sequence[Sample]) -> list[Outcome]:
        """Return one outcome for each pair: by how much the first reaches farther."""
        outcomes = []
        for first, second in self.pairs:
            rows = [matching(samples, (name,)) for name in (first, second)]
            (reached, missed), (other, other_missed) = map(self._longest, rows)
            tried = [[sample.axis(self.axis) for sample in row] for row in rows]
            shown = [
                f"{name} reaches {delay:g}" if delay >= min(delays) else f"{name} does not reach {min(delays):g}"
                for name, delay, delays in zip((first, second), (reached, other), tried, strict=True)
            ]
            gain = reached - other
            what = f"{', '.join(shown)}: difference"
            group = [*rows[0], *rows[1]]
            n = min(len(sample.records) for sample in group)
            notes = [remark(*group)] if remark(*group) else []
            notes += [
                f"{name} does not reach {', '.join(f'{delay:g}' for delay in delays)}"
                for name, delays in ((first, missed), (second, other_missed))
                if delays
            ]
            may_be_less = reached < min(tried[0]) or other == max(tried[1])
            may_be_more = other < min(tried[1]) or reached == max(tried[0])
            verdict = above(gain, -math.inf if may_be_less else gain, math.inf if may_be_more else gain, 0.0)
            if [reached, other] == [max(delays) for delays in tried]:
                notes.append("both solve the longest delay that was tried")
            outcomes.append(Outcome(what, verdict, gain, None, None, "> 0", n, "; ".join(notes)))
        return outcomes

    def _longest(self, samples: Sequence[Sample]) -> tuple[float, list[float]]:
        """Return the longest delay that is solved, and the shorter ones that are not."""
        solved: dict[float, bool] = {
            sample.axis(self.axis): statistics.median(sample.values("score").values()) < self.solved_below
            for sample in samples
        }
        longest = max((delay for delay in solved if solved[delay]), default=min(solved) - 1)
        return longest, sorted(delay for delay in solved if delay < longest and not solved[delay])
