"""What stands below a figure: tasks, budget, instances and length of training, and what they stand for."""

from collections.abc import Iterable, Sequence

from rnnbench.leaderboard.schema import Record
from rnnbench.leaderboard.statistics import Cell

# Adding problems of the papers have at least this length.
_SHORTEST_ADDING = 100
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
    epochs = _span(round(first.curve[-1].epoch) if first.curve else 0 for first in firsts)
    return f"budget {firsts[0].budget}, n = {n}, {steps} steps ({epochs} epoch{'' if epochs == '1' else 's'})"


def stands_for(cells: Sequence[Cell]) -> str:
    """Return a sentence on what smaller tasks and shorter training stand for; empty under ``paper``."""
    firsts = {cell.first.task: cell.first for cell in cells}
    if all(first.budget == "paper" for first in firsts.values()):
        return ""
    replaced = [text for text in (_replaced(task, first) for task, first in firsts.items()) if text]
    text = "; ".join([*replaced, "trained for a share of the published epochs only"])
    return f"{text[0].upper()}{text[1:]}."


def _replaced(task: str, record: Record) -> str:
    spec = record.config.get("task")
    spec = spec if isinstance(spec, dict) else {}
    name, given = str(spec.get("class_path")).rpartition(".")[2], spec.get("init_args")
    length = given.get("length") if isinstance(given, dict) else None
    if name == "SequentialDigits":
        return f"{task}, 64 pixels, stands for sMNIST"
    if name == "Adding" and isinstance(length, int) and length < _SHORTEST_ADDING:
        return f"{task} stands for the longer adding problems"
    return ""


def _span(numbers: Iterable[int]) -> str:
    """Write the least and the largest number, once if they are the same.

    >>> _span([3, 5, 5]), _span([2000])
    ('3 to 5', '2,000')
    """
    found = list(numbers)
    low, high = min(found), max(found)
    return f"{low:,}" if low == high else f"{low:,} to {high:,}"
