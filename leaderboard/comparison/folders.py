"""Two folders of records compared cell by cell: does a result lie inside the interval of a reference?"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from scipy import stats

from rnnbench.leaderboard.claims.intervals import CONFIDENCE, Interval, mean_interval
from rnnbench.leaderboard.comparison.compare import CUT, notes_of, why_not
from rnnbench.leaderboard.comparison.outcomes import outcomes
from rnnbench.leaderboard.comparison.paired import holm
from rnnbench.leaderboard.metric import MetricInfo
from rnnbench.leaderboard.schema import Budget
from rnnbench.leaderboard.statistics import Cell, Statistic, statistic


@dataclass(frozen=True)
class Reproduction:
    """A cell of a folder beside the same cell (suite, budget, task, network) of a reference.

    Attributes:
        metric: the ranked one.
        mine: over all instances of the folder.
        reference: over all instances of the reference.
        expected: where the mean of as many instances as ours falls with 95 % if they are of the same kind as those of
            the reference (`prediction_interval`), cut at the metric's range; None where a single reference leaves no
            spread to say.
        p: of the same comparison as a test; None where there is no spread.
        adjusted: ``p`` by Holm's procedure over all cells.
        paired: mean difference over the instances that both folders have, with its 95 % t interval; None without any.
        pairs: their number.
        notes: what a reader must know besides.
    """

    suite: str
    budget: Budget
    task: str
    network: str
    metric: MetricInfo
    mine: Statistic
    reference: Statistic
    expected: Interval | None
    p: float | None
    paired: Interval | None
    pairs: int
    adjusted: float | None = None
    notes: tuple[str, ...] = ()

    @property
    def inside(self) -> bool | None:
        """Whether our mean lies in the interval; None where there is none."""
        if self.expected is None:
            return None
        slack = 1e-9 * abs(self.expected.value)
        return self.expected.low - slack <= self.mine.mean <= self.expected.high + slack


def compare_folders(mine: Iterable[Cell], reference: Iterable[Cell]) -> tuple[list[Reproduction], list[str]]:
    """Compare the cells of two folders; a diverged instance counts as the worst (`outcomes.outcomes`).

    Returns:
        The cells that both have, and why some of these could not be compared.
    """
    published = {cell.first.cell: cell for cell in reference}
    found: list[Reproduction] = []
    skipped: list[str] = []
    for cell in mine:
        other = published.get(cell.first.cell)
        if other is None:
            continue
        reason = why_not(cell, other)
        if reason:
            skipped.append(f"{', '.join(cell.first.cell)}: {reason}")
        else:
            found.append(_compare((cell, other)))
    tested = [i for i, one in enumerate(found) if one.p is not None]
    for i, adjusted in zip(tested, holm([found[i].p or 0.0 for i in tested]), strict=True):
        found[i] = replace(found[i], adjusted=adjusted)
    return found, skipped


def prediction_interval(values: Sequence[float], count: int) -> Interval:
    """Return the mean of values, and where the mean of further ones falls with 95 % if they are of the same kind.

    It is wider than the interval of the mean, which says where the true mean lies: a further mean has a spread too.

    Args:
        values: at least two.
        count: how many further ones there are.

    >>> [round(x, 3) for x in prediction_interval([1.0, 2.0, 3.0], 3)]
    [2.0, -1.513, 5.513]
    """
    mean = math.fsum(values) / len(values)
    half = float(stats.t.ppf((1 + CONFIDENCE) / 2, len(values) - 1)) * _error(values, count)
    return Interval(mean, mean - half, mean + half)


def _error(values: Sequence[float], count: int) -> float:
    """Return the standard error of the difference between the mean of further values and that of these."""
    summary = statistic(values)
    return summary.sd * math.sqrt(1 / summary.n + 1 / count) if summary and summary.sd else 0.0


def _compare(cells: tuple[Cell, Cell]) -> Reproduction:
    mine, theirs = outcomes(cells)
    ours, reference = list(mine.values()), list(theirs.values())
    our_mean, reference_mean = statistic(ours), statistic(reference)
    # `why_not` refuses cells without values.
    if our_mean is None or reference_mean is None:
        raise ValueError("cells must hold at least one value")
    error = _error(reference, len(ours))
    pairs = [mine[i] - theirs[i] for i in sorted(mine.keys() & theirs.keys())]
    first = cells[0].first
    notes = list(notes_of(cells))
    if first.experiment_id != cells[1].first.experiment_id:
        notes.append(f"settings differ (experiments {first.experiment_id} and {cells[1].first.experiment_id})")
    metric = cells[0].metric
    expected = prediction_interval(reference, len(ours)) if len(reference) > 1 else None
    paired = mean_interval(pairs) if pairs else None
    possible = expected and expected.within(metric.range), paired and paired.within(metric.difference_range)
    notes += [CUT] * (possible != (expected, paired))
    return Reproduction(
        first.suite,
        first.budget,
        first.task,
        first.network,
        metric,
        our_mean,
        reference_mean,
        possible[0],
        2 * float(stats.t.sf(abs(our_mean.mean - reference_mean.mean) / error, len(reference) - 1)) if error else None,
        possible[1],
        len(pairs),
        notes=tuple(notes),
    )
