"""Figures of scores over the length of sequences as SVG, with a mark where training ended."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rnnbench.leaderboard.board import Board, Column
from rnnbench.leaderboard.captions import protocol
from rnnbench.leaderboard.drawing.figure_style import REFERENCE, as_svg, look, new_name, plain_text
from rnnbench.leaderboard.drawing.learning_curves import draw_chance
from rnnbench.leaderboard.drawing.sweep_figures import SweepFigure
from rnnbench.leaderboard.length_curves import OverLength, longest_trained, over_length

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def length_figures(board: Board, taken: set[str]) -> list[SweepFigure]:
    """Draw the scores over length of each task that has them; their names are noted as taken."""
    figures = []
    for column in board.columns:
        found = {network: curve for network, cell in column.cells.items() if (curve := over_length(cell))}
        if found:
            title = f"{column.task} over the length of test sequences"
            name = new_name(taken, board.suite, board.budget, "over", "length", column.task)
            caption = f"{title}, the end of training's marked: {protocol(list(column.cells.values()))}."
            figures.append(SweepFigure(name, (), title, caption, _draw(board, column, found)))
    return figures


@as_svg
def _draw(board: Board, column: Column, found: dict[str, OverLength]) -> Figure:
    from matplotlib.figure import Figure

    figure = Figure(
        figsize=(5.2 + 0.08 * max(map(len, found)), max(3.6, 0.8 + 0.18 * len(found))), layout="constrained"
    )
    axes = figure.subplots()
    for index, network in enumerate(board.networks):
        if curve := found.get(network):
            drawn = look(index)
            axes.plot(curve.lengths, curve.mean, color=drawn.colour, linestyle=drawn.dashes, label=plain_text(network))
            axes.fill_between(curve.lengths, curve.low, curve.high, color=drawn.colour, alpha=0.12, linewidth=0)
    draw_chance(axes, column.metric, [value for curve in found.values() for value in curve.low])
    if (longest := longest_trained(column)) is not None:
        axes.axvline(
            longest, color=REFERENCE, linewidth=1.0, linestyle="dashed", label=f"longest in training, {longest}"
        )
    axes.set_xlabel("length (time steps)")
    axes.set_ylabel(f"test {column.metric.display.axis}")
    axes.legend(loc="center left", bbox_to_anchor=(1.01, 0.5), frameon=False, fontsize=8)
    axes.set_title(plain_text(f"{column.task} ({board.suite}, budget {board.budget})"), loc="left", fontsize=10)
    return figure
