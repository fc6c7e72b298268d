"""Which rows of a column stand in bold: those that cannot be distinguished from the best."""

from itertools import takewhile

from rnnbench.leaderboard.board import Column
from rnnbench.leaderboard.claims.intervals import mean_interval
from rnnbench.leaderboard.tables.cells import at_best
from rnnbench.leaderboard.tables.training import set_apart


def best_networks(column: Column) -> set[str]:
    """Return the best network that beats chance, and those below it down to the first that differs from it.

    Two differ if the 95 % interval of their paired differences, uncorrected for the number of rows, excludes
    zero. One with diverged instances or of other steps does not count; one without a pair of instances differs by
    its mean.
    """
    means = {}
    apart = set_apart(column)
    for network, cell in column.cells.items():
        summary = cell.over_finished(at_best(column.metric))
        if (
            summary
            and network not in apart
            and not cell.diverged
            and cell.metric.better(summary.mean, cell.metric.chance)
        ):
            means[network] = summary.mean
    if not means:
        return set()
    ordered = sorted(means, key=lambda network: means[network], reverse=column.metric.direction == "max")
    best = ordered[0]
    # A row whose spread hides its difference is not set above one that is better.
    return set(takewhile(lambda name: means[name] == means[best] or _tied(column, name, best), ordered))


def _tied(column: Column, network: str, best: str) -> bool:
    """Return whether at least two paired instances leave the difference of two rows undecided."""
    values = [
        {record.instance: record.scores.test.get(column.metric.name) for record in column.cells[name].finished}
        for name in (network, best)
    ]
    pairs = [(values[0][i], values[1][i]) for i in sorted(values[0].keys() & values[1].keys())]
    differences = [one - other for one, other in pairs if one is not None and other is not None]
    if len(differences) < 2:
        return False
    _, low, high = mean_interval(differences)
    return low <= 0 <= high
