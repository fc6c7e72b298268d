"""Figures of dynamics as SVG: one for each measure, task and moment, and one that shows them beside the scores."""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from rnnbench.leaderboard.board import Board, Column, boards
from rnnbench.leaderboard.captions import protocol
from rnnbench.leaderboard.drawing.figure_style import MOST_LINES, as_svg, even_parts, new_name, plain_text
from rnnbench.leaderboard.dynamics import (
    Series,
    SideFiles,
    failures,
    has_measures,
    moment_text,
    moments,
    series,
    trained_cells,
)
from rnnbench.leaderboard.files import write_atomically
from rnnbench.leaderboard.plan import Plans
from rnnbench.leaderboard.statistics import select_cells
from rnnbench.leaderboard.store import Report, find_records

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


# The panels, by the functions of ``dynamics_panels`` that draw them: of what measure, and the arrays that they need.
_PANELS: dict[str, tuple[str, tuple[str, ...]]] = {
    "spectrum": ("lyapunov", ("exponents",)),
    "finite_time": ("lyapunov", ("curve", "curve_steps")),
    "hessian": ("hessian", ("eigenvalues",)),
    "gauss_newton": ("hessian", ("ggn_eigenvalues",)),
    "gradient_norms": ("gradient_flow", ("norm_inf",)),
    "truncation_error": ("truncation", ("ks", "state_error")),
    "truncation_metric": ("truncation", ("ks", "metric")),
    "memory_capacity": ("memory_capacity", ("delays", "capacity")),
    "polynomial_degree": ("polynomial_degree", ("steps", "degree")),
    "iterations": ("parallelisability", ("steps", "newton")),
    "diagonal_iterations": ("parallelisability", ("steps", "diagonal")),
    "processing_capacity": ("processing_capacity", ("degrees", "by_degree")),
    "singular_values": ("effective_state", ("singular_values",)),
    "last_distance": ("truncated_training", ("ks", "distance")),
    "distances": ("truncated_training", ("ks", "distance")),
}
# Name of a figure in file names, what it shows, and its panels; those that nothing was measured for are left out.
_FIGURES: dict[str, tuple[str, tuple[str, ...]]] = {
    "spectrum": ("Lyapunov spectrum", ("spectrum",)),
    "finite-time": ("Finite-time Lyapunov exponents", ("finite_time",)),
    "hessian": ("Hessian eigenvalues", ("hessian", "gauss_newton")),
    "gradient-norms": ("Gradient norms", ("gradient_norms",)),
    "truncation": ("Truncation", ("truncation_error", "truncation_metric")),
    "memory-capacity": ("Memory capacity", ("memory_capacity",)),
    "polynomial-degree": ("Polynomial degree", ("polynomial_degree",)),
    "parallelisability": ("Newton iterations over whole sequences", ("iterations", "diagonal_iterations")),
    "processing-capacity": ("Information processing capacity", ("processing_capacity",)),
    "effective-state": ("Reachable state", ("singular_values",)),
    "truncated-training": ("Truncated training", ("last_distance", "distances")),
}
# What is drawn before and after training side by side: Fig. B.1 and B.3 of Dubinin & Effenberger 2024.
_BEFORE_AND_AFTER = {"finite-time": "finite_time", "hessian": "hessian"}
# Fig. 2 of Dubinin & Effenberger 2024: what stands beside the scores, with the headings.
_BESIDE_SCORES = {
    "finite_time": "finite-time exponents",
    "hessian": "Hessian eigenvalues by rank",
    "gradient_norms": "gradient norms",
}


@dataclass(frozen=True)
class DynamicsFigure:
    """An SVG image with the name of its file; ``combined`` if it shows several measures or moments together."""

    name: str
    task: str
    caption: str
    combined: bool
    image: bytes


def dynamics_figures(board: Board, side_files: SideFiles, taken: set[str]) -> list[DynamicsFigure]:
    """Draw all figures of a board's dynamics; their names differ from those taken, and are noted as taken."""
    figures = []
    for column in board.columns:
        for drawing in (*_combined(column, side_files), *_training(column, side_files), *_single(column, side_files)):
            name = new_name(taken, board.suite, board.budget, column.task, drawing.suffix)
            parts = _parts(board, column, drawing)
            cells = [cell for part in parts for cell in part.cells.values()]
            title = f"{column.task} ({board.suite}), {drawing.caption}: {protocol(cells)}"
            image = _draw(board, parts, title, drawing.panels)
            figures.append(DynamicsFigure(name, column.task, drawing.caption, drawing.shown, image))
    return figures


def _parts(board: Board, column: Column, drawing: _Drawing) -> list[Column]:
    """Return the networks that have the data of a figure, cut to as many as one row of panels shows."""
    measured = set().union(*(data for _, data, _ in drawing.panels))
    networks = [network for network in board.networks if network in measured]
    return [
        Column(column.task, column.metric, {network: column.cells[network] for network in part})
        for part in even_parts(networks, MOST_LINES)
    ]


@dataclass(frozen=True)
class _Drawing:
    """A figure to draw: the end of its name, what it shows, and its panels, each with its data and its heading."""

    suffix: str
    caption: str
    panels: list[tuple[str, Series, str]]
    shown: bool = False


def _single(column: Column, side_files: SideFiles) -> Iterator[_Drawing]:
    for moment in moments(column):
        for kind, (what, panels) in _FIGURES.items():
            data = [(panel, series(column, side_files, moment, *_PANELS[panel]), "") for panel in panels]
            data = [panel for panel in data if panel[1]]
            if data:
                yield _Drawing(f"{moment}-{kind}", f"{what} {moment_text(moment)}", data)


def _training(column: Column, side_files: SideFiles) -> Iterator[_Drawing]:
    """Yield what training changes: a panel before and one after it, and the curvature in between."""
    for kind, panel in _BEFORE_AND_AFTER.items():
        found = {moment: series(column, side_files, moment, *_PANELS[panel]) for moment in moments(column)}
        there = [moment for moment, data in found.items() if data]
        if len(there) > 1:
            panels = [(panel, found[moment], moment_text(moment)) for moment in (there[0], there[-1])]
            if panel == "hessian" and len(there) > 2:
                panels.insert(0, ("curvature", {}, "during training"))
            yield _Drawing(f"training-{kind}", f"{_FIGURES[kind][0]} over training", panels, shown=True)


def _combined(column: Column, side_files: SideFiles) -> Iterator[_Drawing]:
    """Yield dynamics beside the scores, at the first moment at which all three measures were taken."""
    for moment in moments(column):
        panels = [
            (panel, series(column, side_files, moment, *_PANELS[panel]), heading)
            for panel, heading in _BESIDE_SCORES.items()
        ]
        if all(data for _, data, _ in panels):
            if trained_cells(column).cells:
                panels.insert(0, ("learning", {}, "scores over training"))
            lettered = [
                (panel, data, f"{letter}  {heading}")
                for letter, (panel, data, heading) in zip("ABCD", panels, strict=False)
            ]
            yield _Drawing("dynamics", f"Dynamics {moment_text(moment)}", lettered, shown=True)
            return


@as_svg
def _draw(board: Board, parts: Sequence[Column], title: str, panels: Sequence[tuple[str, Series, str]]) -> Figure:
    """Draw panels under one legend: a row for each part of the networks, four panels of one part in a square."""
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    from rnnbench.leaderboard.drawing import dynamics_panels
    from rnnbench.leaderboard.drawing.panel_parts import Legend, Sheet

    rows = 2 if len(panels) == 4 and len(parts) == 1 else len(parts)
    columns = len(panels) * len(parts) // rows
    legend = Legend()
    figure = Figure(layout=ConstrainedLayoutEngine(wspace=0.06))
    alike: dict[str, list[Axes]] = defaultdict(list)
    for index, (part, (panel, found, heading)) in enumerate(itertools.product(parts, panels)):
        axes = figure.add_subplot(rows, columns, index + 1)
        of_part = {network: arrays for network, arrays in found.items() if network in part.cells}
        getattr(dynamics_panels, panel)(axes, Sheet(board, part, legend), of_part)
        axes.margins(x=0.02)
        alike[panel].append(axes)
        if heading and index < len(panels):
            axes.set_title(heading, loc="left", fontsize=9, fontweight="bold")
    for group in alike.values():
        if len(group) > 1:
            lows, highs = zip(*(axes.get_ylim() for axes in group), strict=True)
            for axes in group:
                axes.set_ylim(min(lows), max(highs))
    # Room for the legend: its lines in height, the longest of them in width, in inches.
    lines = [line for name, remarks in legend.remarks.items() for line in (name, *remarks)] + list(legend.references)
    width, height = 0.6 + 0.075 * max(map(len, lines)), 0.8 + 0.18 * len(lines)
    panel_width = 5.0 if columns == 1 else 4.0
    figure.set_size_inches(panel_width * columns + width, max(3.6, 3.1 * rows + 0.3, height))
    figure.suptitle(plain_text(title), x=0.01, ha="left", fontsize=9, wrap=True)
    figure.legend(handles=legend.handles(board), loc="outside right center", frameon=False, fontsize=8)
    return figure


@dataclass
class FiguresReport(Report):
    """The files that ``write_figures`` wrote, whether any record holds measures, and a line for each that failed."""

    written: tuple[Path, ...]
    measured: bool
    failed: list[str]


def write_figures(
    records_root: Path, output: Path, suites: Collection[str] = (), plans: Plans | None = None
) -> FiguresReport:
    """Write the figures of dynamics of a folder's records, of all suites or only of some, beside what a folder holds.

    What suites ask for gives the order of lines, and so their colours.

    Raises:
        OSError: the disk is full or the folder unwritable; each file is either the old one or the new one.
    """
    records, unreadable = find_records(records_root)
    cells, unplaced = select_cells([record for record in records if not suites or record.suite in suites])
    side_files = SideFiles(records_root)
    shown, taken = boards(cells, plans), set[str]()
    figures = [figure for board in shown for figure in dynamics_figures(board, side_files, taken)]
    for figure in figures:
        write_atomically(output / figure.name, figure.image)
    return FiguresReport(
        tuple(output / figure.name for figure in figures),
        any(has_measures(board) for board in shown),
        [line for board in shown for line in failures(board)],
        problems=[*unplaced, *unreadable, *side_files.problems],
    )
