"""Learning curves as SVG."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from rnnbench.leaderboard.board import Board, Column
from rnnbench.leaderboard.drawing.figure_style import (
    LARGEST_DRAWN,
    MOST_LINES,
    REFERENCE,
    as_svg,
    even_parts,
    look,
    plain_text,
)
from rnnbench.leaderboard.index.packed import curve_values
from rnnbench.leaderboard.metric import MetricInfo
from rnnbench.leaderboard.statistics import Cell, statistic

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

CHANCE = (0, (1, 3))


class Curve(NamedTuple):
    """Mean, least and largest value of the finished instances at each step that any of them evaluated."""

    steps: list[int]
    mean: list[float]
    low: list[float]
    high: list[float]


def curve(cell: Cell, split: Literal["val", "test"] = "val") -> Curve:
    """Summarise the learning curves of the ranked metric, in the unit in which it is shown."""
    name, scale = cell.metric.name, cell.metric.display.scale
    by_step: dict[int, list[float]] = {}
    for record in cell.finished:
        for step, value in curve_values(record.curve, split, name):
            if value is not None and abs(value) < LARGEST_DRAWN:
                by_step.setdefault(step, []).append(scale * value)
    steps = sorted(by_step)
    values = [by_step[step] for step in steps]
    means = [summary.mean for summary in map(statistic, values) if summary]
    return Curve(steps, means, [min(row) for row in values], [max(row) for row in values])


@as_svg
def learning_curves(board: Board, column: Column) -> Figure:
    """Draw the learning curves of one task: lines for the means, bands from the least to the largest.

    More networks than one panel holds are split into several, one below the other.
    """
    from matplotlib.figure import Figure

    # Numbered by row of the board, so that a network looks the same in all its figures.
    rows = [(index, network) for index, network in enumerate(board.networks) if network in column.cells]
    parts = even_parts(rows, MOST_LINES)
    # Room for the legend: its entries in height, the longest of them in width.
    width = 5.2 + 0.08 * max(len(network) + 15 for network in column.cells)
    height = max(3.6 if len(parts) == 1 else 2.6, 0.8 + 0.18 * len(parts[0]))
    figure = Figure(figsize=(width, height * len(parts)), layout="constrained")
    panels = figure.subplots(len(parts), 1, squeeze=False, sharex=True)[:, 0]
    for axes, part in zip(panels, parts, strict=True):
        values: list[float] = []
        for index, network in part:
            values += _draw_cell(axes, column.cells[network], network, index)
        draw_chance(axes, column.metric, values)
        axes.set_ylabel(f"validation {column.metric.display.axis}")
        axes.margins(x=0.02)
        axes.legend(loc="center left", bbox_to_anchor=(1.01, 0.5), frameon=False, fontsize=8)
    panels[-1].set_xlabel("optimiser steps")
    panels[0].set_title(plain_text(f"{column.task} ({board.suite}, budget {board.budget})"), loc="left", fontsize=10)
    return figure


def draw_chance(axes: Axes, metric: MetricInfo, values: list[float]) -> bool:
    """Draw chance beside some values, on a logarithmic axis if errors are all positive; return whether it is drawn."""
    chance = metric.display.scale * metric.chance
    if metric.direction == "min" and values and all(value > 0 for value in [*values, chance]):
        axes.set_yscale("log")
    if abs(chance) < LARGEST_DRAWN:
        axes.axhline(chance, color=REFERENCE, linewidth=1.0, linestyle=CHANCE, label="chance")
    return abs(chance) < LARGEST_DRAWN


def _draw_cell(axes: Axes, cell: Cell, network: str, index: int) -> list[float]:
    drawn = look(index)
    diverged = f" (diverged {cell.diverged}/{len(cell.records)})" if cell.diverged else ""
    shown = curve(cell)
    marker = "o" if len(shown.steps) == 1 else ""
    line: dict[str, Any] = {"color": drawn.colour, "linestyle": drawn.dashes, "linewidth": 1.6}
    axes.plot(shown.steps, shown.mean, **line, marker=marker, label=plain_text(network + diverged))
    if len(cell.finished) > 1:
        axes.fill_between(shown.steps, shown.low, shown.high, color=drawn.colour, alpha=0.12, linewidth=0)
    return shown.low
