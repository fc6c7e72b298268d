"""What stands below a figure: tasks, budget, instances and length of training."""

from collections.abc import Iterable, Sequence

from rnnbench.leaderboard.statistics import Cell

_MOST_NAMED = 6


def task_names(tasks: Sequence[str]) -> str:
    """Return the names of tasks, of many only the first and the last.

    >>> task_names(["ADD50", "ADD100"]), task_names([f"Copy{delay}" for delay in range(3, 13)])
    ('ADD50, ADD100', 'Copy3 to Copy12 (10 tasks)')
    """
    return ", ".join(tasks) if len(tasks) <= _MOST_NAMED else f"{tasks[0]} to {tasks[-1]} ({len(tasks)} tasks)"


def protocol(cells: Sequence[Cell]) -> str:
    """Return budget, number of instances, steps and epochs of some cells, one line.

    Instances are those that finished or diverged.
    """
    firsts = [cell.first for cell in cells]
    n = _span(len(cell.records) for cell in cells)
    steps = _span(first.steps for first in firsts)
    epochs = _span(first.curve[-1].epoch if first.curve else 0 for first in firsts)
    return f"budget {firsts[0].budget}, n = {n}, {steps} steps ({epochs} epoch{'' if epochs == '1' else 's'})"


def _span(numbers: Iterable[float]) -> str:
    """Write the least and the largest number, once if they read the same.

    >>> _span([3, 5, 5]), _span([2000]), _span([0.2325, 1.094])
    ('3 to 5', '2,000', '0.233 to 1.09')
    """
    found = list(numbers)
    low, high = (f"{each:,.0f}" if each >= 100 else f"{each:.3g}" for each in (min(found), max(found)))
    return low if low == high else f"{low} to {high}"
