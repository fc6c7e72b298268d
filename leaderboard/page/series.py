"""Measures along time, rank, or the number of inputs seen, as lines of the page."""

from typing import Any, NamedTuple

import numpy as np

from rnnbench.leaderboard.board import Board, Column
from rnnbench.leaderboard.dynamics import SideFiles, moment_text, moments, series
from rnnbench.leaderboard.length_curves import longest_trained, over_length
from rnnbench.leaderboard.page.numbers import drawn, short_text

_MOST_POINTS = 50


class _Kind(NamedTuple):
    """A measure's array along an axis.

    ``along`` names the array of the axis; without it, places count from one. ``y`` is empty for the ranked metric.
    """

    title: str
    measure: str
    values: str
    along: str
    x: str
    y: str
    log_x: bool = False
    log_y: bool = False


_KINDS = (
    _Kind("Lyapunov spectrum", "lyapunov", "exponents", "", "rank", "exponent (nats per step)"),
    _Kind("Gradient norms", "gradient_flow", "norm_inf", "", "time step", "‖∂L/∂hₜ‖∞", log_y=True),
    _Kind("Truncation error", "truncation", "state_error", "ks", "inputs seen, k", "‖hₜ − hₜᵏ‖", True, True),
    _Kind("Truncated score", "truncation", "metric", "ks", "inputs seen, k", "", log_x=True),
    _Kind("Length generalisation", "length_generalisation", "metric", "lengths", "length T (time steps)", "", True),
    _Kind("Memory capacity", "memory_capacity", "capacity", "delays", "delay (time steps)", "explained variance"),
    _Kind("Polynomial degree", "polynomial_degree", "degree", "steps", "time step", "degree of the output"),
    _Kind("Processing capacity", "processing_capacity", "by_degree", "degrees", "degree", "capacity"),
    _Kind("Reachable state", "effective_state", "singular_values", "", "rank", "singular value of ∂hₜ/∂x", log_y=True),
    _Kind("Newton iterations", "parallelisability", "newton", "steps", "length T (time steps)", "iterations", True),
    _Kind("Diagonal Newton", "parallelisability", "diagonal", "steps", "length T (time steps)", "iterations", True),
)  # fmt: skip


def series_data(board: Board, column: Column, side_files: SideFiles, numbers: dict[str, int]) -> list[dict[str, Any]]:
    """Return what was measured of a column along an axis, a line for each network.

    Args:
        board: the board.
        column: the column.
        side_files: the arrays beside the records.
        numbers: the number of each network's cell on the page.
    """
    found = []
    for moment in moments(column):
        for kind in _KINDS if not moment.startswith("epoch-") else ():
            needed = [kind.values, *([kind.along] if kind.along else [])]
            by_network = series(column, side_files, moment, kind.measure, needed)
            scale = 1.0 if kind.y else column.metric.display.scale
            lines = [_line(kind, numbers[network], arrays, scale) for network, arrays in by_network.items()]
            if lines:
                title = f"{kind.title} {moment_text(moment)}"
                place = {
                    "suite": board.suite,
                    "budget": board.budget,
                    "task": column.task,
                    "kind": f"{kind.title} {moment}",
                }
                y = kind.y or f"test {column.metric.display.axis}"
                axes = {"x": kind.x, "y": short_text(y), "log_x": kind.log_x, "log_y": kind.log_y}
                found.append({**place, "title": title, **axes, "lines": lines})
    return [*found, *_over_length(board, column, numbers)]


def _over_length(board: Board, column: Column, numbers: dict[str, int]) -> list[dict[str, Any]]:
    """Return the scores over the length of test sequences, if there are any, and where training ended."""
    curves = {numbers[network]: curve for network, cell in column.cells.items() if (curve := over_length(cell))}
    lines = [
        {
            "cell": cell,
            "x": [drawn(length) for length in curve.lengths],
            **{name: [drawn(value, 4) for value in getattr(curve, name)] for name in ("mean", "low", "high")},
        }
        for cell, curve in curves.items()
    ]
    longest, title = longest_trained(column), "Score over length"
    return [
        {
            **{"suite": board.suite, "budget": board.budget, "task": column.task, "kind": title, "title": title},
            **{"x": "length (time steps)", "y": short_text(f"test {column.metric.display.axis}")},
            **{"log_x": False, "log_y": False, "lines": lines},
            "marks": [] if longest is None else [[longest, "longest in training"]],
        }
    ][: len(lines)]


def _line(kind: _Kind, cell: int, instances: list[dict[str, Any]], scale: float) -> dict[str, Any]:
    # Of exponents, every sequence counts.
    rows = [np.atleast_2d(np.asarray(arrays[kind.values], dtype=float)) for arrays in instances]
    width = min(row.shape[1] for row in rows)
    values = scale * np.concatenate([row[:, :width] for row in rows])
    kept = np.unique(np.linspace(0, width - 1, min(width, _MOST_POINTS)).round().astype(int))
    along = instances[0][kind.along] if kind.along else np.arange(1, width + 1)
    with np.errstate(all="ignore"):
        reduced = {"mean": values.mean(axis=0), "low": values.min(axis=0), "high": values.max(axis=0)}
    return {
        "cell": cell,
        "x": [drawn(along[i]) for i in kept],
        **{name: [drawn(row[i], 4) for i in kept] for name, row in reduced.items()},
    }
