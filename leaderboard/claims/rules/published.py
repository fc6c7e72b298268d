"""The order of rows against the order that a paper prints."""

import math
from collections.abc import Sequence
from typing import Literal

from rnnbench.leaderboard.claims.evidence import Sample
from rnnbench.leaderboard.claims.intervals import kendall_interval
from rnnbench.leaderboard.claims.rules.base import Rule, by_task, matching, remark
from rnnbench.leaderboard.claims.verdict import Outcome, above
from rnnbench.leaderboard.literature import find_published


class PublishedOrder(Rule):
    """In every column, rows rank as they do in the paper: the interval of Kendall's τ lies above 0.

    Attributes:
        networks: patterns of rows.
    """

    kind: Literal["published_order"]
    networks: tuple[str, ...] = ("*",)

    def decide(self, samples: Sequence[Sample]) -> list[Outcome]:
        """Return one outcome for each column with at least three published rows."""
        outcomes = []
        for (_, task), group in by_task(matching(samples, self.networks)).items():
            published = [(sample, _published(sample)) for sample in group]
            known = [(sample, value) for sample, value in published if value is not None]
            what = f"{task}: Kendall's τ of {len(known)} rows with the published values"
            if len(known) < 3:
                text = "fewer than three rows have a published value"
                outcomes.append(Outcome(what, "undecided", None, None, None, "> 0", 0, text))
                continue
            values = [list(sample.values("score").values()) for sample, _ in known]
            tau, low, high = kendall_interval([value for _, value in known], values)
            n = min(len(each) for each in values)
            text = remark(*(sample for sample, _ in known))
            outcomes.append(Outcome(what, above(tau, low, high, 0.0), tau, low, high, "> 0", n, text))
        return outcomes


def _published(sample: Sample) -> float | None:
    """Return the published value; one that is printed as failed is the worst there is, none at all is None."""
    record = sample.records[0]
    for number in find_published(record.published):
        if number.metric_name == record.ranked.name:
            try:
                return float(number.value)
            except ValueError:
                return math.inf if record.ranked.direction == "min" else -math.inf
    return None
