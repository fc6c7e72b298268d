"""Iterations of Newton's method over whole sequences, against exponents and truncation horizons."""

import dataclasses
import math
from collections.abc import Sequence
from typing import Literal

from rnnbench.leaderboard.claims.evidence import Sample
from rnnbench.leaderboard.claims.intervals import paired_kendall_interval
from rnnbench.leaderboard.claims.rules.base import Rule, by_task, matching, remark
from rnnbench.leaderboard.claims.verdict import Outcome, above, below
from rnnbench.leaderboard.schema import Measure, Record

Moments = tuple[str, ...]


class IterationGrowth(Rule):
    """The power of T that iterations grow with is small where a map contracts, and not where it expands.

    Each instance counts at each moment by the sign of its largest exponent, which must be at least ``margin`` from 0.

    Attributes:
        margin: nats per step; within it a map neither contracts nor expands over the shortest measured length.
        contracting_at_most: largest power where λ₁ is negative.
        expanding_at_least: smallest power where λ₁ is positive.
        expanding: patterns of rows that are asked for this, those whose maps are not linear in the state.
        networks: patterns of rows that are looked at.
        moments: when both were measured.
    """

    kind: Literal["iteration_growth"]
    margin: float
    contracting_at_most: float
    expanding_at_least: float
    expanding: tuple[str, ...]
    networks: tuple[str, ...] = ("*",)
    moments: Moments = ("start", "end")

    def decide(self, samples: Sequence[Sample]) -> list[Outcome]:
        """Return one outcome for each row and sign of the exponent: of the instance that is worst.

        Raises:
            LookupError: no instance of any row expands, or none contracts.
        """
        outcomes: list[Outcome] = []
        signs = set()
        silent: list[str] = []
        spared: list[str] = []
        asked = {sample.network for sample in matching(samples, self.expanding)}
        for sample in matching(samples, self.networks):
            found = [pair for record in sample.records for moment in self.moments for pair in _pair(record, moment)]
            left_out = len(self.moments) * len(sample.records) - len(found)
            near = sum(abs(exponent) < self.margin for exponent, _ in found)
            text = f"{near} near 0 and {left_out} not measured are left out" if near + left_out else ""
            calm = [growth for exponent, growth in found if exponent <= -self.margin]
            wild = [growth for exponent, growth in found if exponent >= self.margin and sample.network in asked]
            if not calm and not wild:
                beyond = sample.network not in asked and any(exponent >= self.margin for exponent, _ in found)
                (spared if beyond else silent).append(sample.network)
            for sign, values in (("λ₁ < 0", calm), ("λ₁ > 0", wild)):
                if values:
                    signs.add(sign)
                    small = sign == "λ₁ < 0"
                    worst = max(values) if small else min(values)
                    threshold = self.contracting_at_most if small else self.expanding_at_least
                    verdict = (below if small else above)(worst, worst, worst, threshold, strict=False)
                    end = f"{'largest' if small else 'smallest'} power of T, {' and '.join(self.moments)}"
                    what = f"{sample.network} on {sample.task}, {sign}: {end}"
                    wanted = f"{'≤' if small else '≥'} {threshold:g}"
                    outcomes.append(Outcome(what, verdict, worst, None, None, wanted, len(values), text))
        if len(signs) < 2:
            raise LookupError("instances with λ₁ < 0 and with λ₁ > 0 are both needed")
        # Nothing is said of these rows, which a reader of the others must know.
        left = [
            f"no instance of {', '.join(silent)} has an exponent far enough from 0 and a power of T" if silent else "",
            f"not asked to grow where they expand: {', '.join(spared)}" if spared else "",
        ]
        outcomes[0] = dataclasses.replace(outcomes[0], remark="; ".join(filter(None, (outcomes[0].remark, *left))))
        return outcomes


class HorizonOrder(Rule):
    """Iterations rank networks as their truncation horizons do: the interval of Kendall's τ lies above 0.

    It is about networks, so that the interval is one over rows, and over instances within them.

    A network that no truncation to less than T inputs stands for has the horizon T.

    Attributes:
        networks: patterns of rows.
        value: key of the iterations in the summary of ``parallelisability``.
        moments: when both were measured.
    """

    kind: Literal["horizon_order"]
    networks: tuple[str, ...] = ("*",)
    value: str = "newton"
    moments: Moments = ("start", "end")

    def decide(self, samples: Sequence[Sample]) -> list[Outcome]:
        """Return one outcome for each task and moment; rows without a measured instance are left out.

        Raises:
            LookupError: fewer than three rows have both measures.
        """
        outcomes = []
        for (_, task), group in by_task(matching(samples, self.networks)).items():
            for moment in self.moments:
                rows = [_horizons(sample, moment, self.value) for sample in group]
                known = [row for row in rows if row]
                if len(known) < 3:
                    raise LookupError(f"{task}: three rows with iterations and horizon at {moment} are needed")
                first, second = ([[pair[place] for pair in row] for row in known] for place in (0, 1))
                tau, low, high = paired_kendall_interval(first, second, of_points=True)
                what = f"{task}, {moment}: Kendall's τ of iterations and truncation horizon over {len(known)} rows"
                n = min(len(row) for row in known)
                outcomes.append(Outcome(what, above(tau, low, high, 0.0), tau, low, high, "> 0", n, remark(*group)))
        return outcomes


def _measured(record: Record, measure: str, moment: str) -> Measure | None:
    found = record.measures.get(measure, {}).get(moment)
    return found if found is not None and found.status == "finished" else None


def _number(measure: Measure | None, key: str) -> float | None:
    value = None if measure is None else measure.summary.get(key)
    return float(value) if isinstance(value, int | float) else None


def _pair(record: Record, moment: str) -> list[tuple[float, float]]:
    """Return the largest exponent and the power of T of one instance, in a list; an empty one without them."""
    spectrum = _measured(record, "lyapunov", moment)
    exponent, growth = (
        _number(spectrum, "largest"),
        _number(_measured(record, "parallelisability", moment), "newton_growth"),
    )
    if exponent is None and _number(spectrum, "minus_infinite"):
        exponent = -math.inf
    return [] if exponent is None or growth is None else [(exponent, growth)]


def _horizons(sample: Sample, moment: str, value: str) -> list[tuple[float, float]]:
    """Return iterations and horizon of each instance that has both."""
    found = []
    for record in sample.records:
        iterations = _number(_measured(record, "parallelisability", moment), value)
        truncation = _measured(record, "truncation", moment)
        ks = sample.side_files.arrays(record, "truncation", moment).get("ks")
        if iterations is not None and truncation is not None and ks is not None:
            horizon = _number(truncation, "memory")
            found.append((iterations, float(ks[-1]) if horizon is None else horizon))
    return found
