"""Rank intervals: where a row stands among the rows of a board, as far as tasks and seeds can tell."""

import math
from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple

import numpy as np
from scipy import stats

from rnnbench.leaderboard.board import Board
from rnnbench.leaderboard.claims.intervals import CONFIDENCE, RESAMPLES
from rnnbench.leaderboard.comparison.outcomes import outcomes
from rnnbench.leaderboard.tables.training import set_apart


class RankInterval(NamedTuple):
    """Where a row stands; 1 is best.

    Attributes:
        rank: the best that the intervals allow: 1 + the number of rows whose intervals lie wholly before this one's.
        last: the worst that they allow: all rows but those whose intervals lie wholly behind this one's.
        mean: mean over tasks of the row's rank on a task; ties on a task share the mean of their ranks.
        low: lower end of the 95 % interval of ``mean``.
        high: upper end.
    """

    rank: int
    last: int
    mean: float
    low: float
    high: float

    @property
    def text(self) -> str:
        """The ranks that the row may have, for example ``1–3``."""
        return str(self.rank) if self.rank == self.last else f"{self.rank}–{self.last}"


def board_ranks(board: Board) -> dict[str, RankInterval]:
    """Return the rank intervals of a board's rows, best first (`rank_intervals`).

    Scores are the test values at the best validation value; a diverged instance counts as the worst
    (`outcomes.outcomes`). Cells of other steps than the usual ones of their column count as missing, and columns in
    which nothing was trained do not count.
    """
    scores: dict[str, dict[str, list[float]]] = {}
    directions: dict[str, Literal["min", "max"]] = {}
    for column in board.columns:
        apart = set_apart(column)
        cells = {network: cell for network, cell in column.cells.items() if network not in apart}
        values = dict(zip(cells, outcomes(list(cells.values())), strict=True))
        if any(values.values()):
            key = f"{column.task} {column.metric.heading}"
            directions[key] = column.metric.direction
            scores[key] = {network: [row[i] for i in sorted(row)] for network, row in values.items()}
    return rank_intervals(scores, directions)


def rank_intervals(
    scores: Mapping[str, Mapping[str, Sequence[float]]], directions: Mapping[str, Literal["min", "max"]]
) -> dict[str, RankInterval]:
    """Return where rows stand over all tasks, by a bootstrap of two levels: tasks, then seeds within a task.

    Rows are ranked on each task by their means, and the ranks are averaged over tasks, each with the same weight
    however many seeds it has. A bootstrap sample draws as many tasks as there are, and for each of them the seeds of
    every row, with replacement; rows with the same number of seeds share the draw, so that pairs stay together. The
    deviation of a drawn mean from the row's mean is scaled so that a percentile interval of the mean is as wide as its
    t interval: unscaled, rows of three seeds that do not differ would be set apart in a quarter of cases. The generator
    has a fixed seed and tasks are taken by name: the same scores give the same intervals, whatever their order.

    Args:
        scores: the values of each row on each task. A row that lacks a task, or has fewer than two values on one, has
            no spread to judge by and no rank: it is left out.
        directions: of each task, whether smaller (``min``) or larger values (``max``) are better.

    Returns:
        The rows that have a rank, best first.

    >>> accuracy = {"LSTM": [0.90, 0.91, 0.92], "GRU": [0.93, 0.90, 0.91], "RNN": [0.40, 0.41, 0.39]}
    >>> for row, interval in rank_intervals({"Digits": accuracy}, {"Digits": "max"}).items():
    ...     print(row, *interval)
    GRU 1 2 1.0 1.0 2.0
    LSTM 1 2 2.0 1.0 2.0
    RNN 3 3 3.0 3.0 3.0
    """
    tasks = sorted(scores)
    names = {name for task in tasks for name in scores[task]}
    rows = sorted(name for name in names if all(len(scores[task].get(name, ())) > 1 for task in tasks))
    if not rows:
        return {}
    generator = np.random.default_rng(0)
    drawn_tasks = generator.integers(0, len(tasks), (RESAMPLES, len(tasks)))
    means, ranks = [], []
    for task in tasks:
        values = [np.asarray(scores[task][row], dtype=float) for row in rows]
        # Ranks do not change with the scale; sums of the largest floats would overflow.
        largest = max(np.abs(row).max() for row in values) or 1.0
        sign = -1.0 if directions[task] == "max" else 1.0
        uniform = generator.random((RESAMPLES, max(map(len, values))))
        samples = [_means(sign * row / largest, uniform) for row in values]
        means.append(stats.rankdata([sample[0] for sample in samples]))
        ranks.append(stats.rankdata([sample[1:] for sample in samples], axis=0))
    mean = np.mean(means, axis=0)
    drawn = np.array(ranks)[drawn_tasks, :, np.arange(RESAMPLES)[:, None]].mean(1)
    tail = 100 * (1 - CONFIDENCE) / 2
    low, high = np.percentile(drawn, [tail, 100 - tail], axis=0, method="inverted_cdf")
    first = 1 + (high[:, None] < low).sum(0)
    last = len(rows) - (low[:, None] > high).sum(0)
    found = zip(first.tolist(), last.tolist(), mean.tolist(), low.tolist(), high.tolist(), strict=True)
    ranked = [(row, RankInterval(*interval)) for row, interval in zip(rows, found, strict=True)]
    return dict(sorted(ranked, key=lambda item: (item[1].mean, item[1], item[0])))


def _means(values: np.ndarray, uniform: np.ndarray) -> np.ndarray:
    """Return the mean of values, then the means of bootstrap samples, their deviations scaled to the t interval."""
    n = len(values)
    mean = values.mean()
    tail = (1 + CONFIDENCE) / 2
    scale = stats.t.ppf(tail, n - 1) / stats.norm.ppf(tail) * math.sqrt(n / (n - 1))
    drawn = values[(n * uniform[:, :n]).astype(int)].mean(1)
    return np.concatenate([[mean], mean + scale * (drawn - mean)])
