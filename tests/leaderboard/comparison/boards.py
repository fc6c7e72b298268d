"""Boards of instances with given test values, without the records' files."""

from rnnbench.leaderboard.board import boards
from rnnbench.leaderboard.schema import Scores
from rnnbench.leaderboard.statistics import Cell
from tests.leaderboard.factory import ACCURACY, RMSE, make_record

TEMPLATES = {"min": make_record(metrics=(RMSE,)), "max": make_record(metrics=(ACCURACY,))}


def make_cell(task, network, values, direction="min", first=0, **changes):
    """A cell whose instances, numbered from ``first``, have these values; None for a diverged one."""
    template = TEMPLATES[direction].model_copy(update={"task": task, "network": network, **changes})
    name = template.ranked.name
    return Cell(
        tuple(
            template.model_copy(
                update={"instance": i, "scores": Scores.model_construct(val={name: value}, test={name: value})}
                | ({"status": "diverged", "diverged_at": 1} if value is None else {})
            )
            for i, value in enumerate(values, first)
        ),
        points=1,
    )


def make_boards(values, direction="min"):
    """The boards of a suite: values of the instances by task and network."""
    return boards([make_cell(t, n, row, direction) for t, rows in values.items() for n, row in rows.items()])
