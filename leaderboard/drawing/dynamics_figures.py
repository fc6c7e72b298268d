"""Figures of dynamics as SVG: one for each measure, task and moment, and one that shows them beside the scores."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from rnnbench.leaderboard.board import Board, Column, boards
from rnnbench.leaderboard.drawing.figure_style import as_svg, new_name, plain_text
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
from rnnbench.leaderboard.statistics import select_cells
from rnnbench.leaderboard.store import Report, find_records

if TYPE_CHECKING:
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
    "truncated-training": ("Truncated training", ("last_distance", "distances")),
}
# Fig. 2 of Dubinin & Effenberger 2024: what stands beside the scores, with the headings.
_BESIDE_SCORES = {
    "finite_time": "finite-time exponents",
    "hessian": "Hessian eigenvalues by rank",
    "gradient_norms": "gradient norms",
}


@dataclass(frozen=True)
class DynamicsFigure:
    """An SVG image with the name of its file; ``combined`` if it shows dynamics beside the scores of the task."""

    name: str
    task: str
    caption: str
    combined: bool
    image: bytes


def dynamics_figures(board: Board, side_files: SideFiles, taken: set[str]) -> list[DynamicsFigure]:
    """Draw all figures of a board's dynamics; their names differ from those taken, and are noted as taken."""
    figures = []
    for column in board.columns:
        for suffix, what, moment, panels, headings in (*_combined(column, side_files), *_single(column, side_files)):
            name = new_name(taken, board.suite, board.budget, column.task, suffix)
            when = moment_text(moment)
            title = f"{column.task} ({board.suite}, budget {board.budget}), {'dynamics ' if headings else ''}{when}"
            image = _draw(board, column, title, panels, headings)
            figures.append(DynamicsFigure(name, column.task, f"{what} {when}", bool(headings), image))
    return figures


# Suffix of the name, what is shown, when it was measured, the panels, and their headings beside the scores.
_Drawing = tuple[str, str, str, dict[str, Series], list[str]]


def _single(column: Column, side_files: SideFiles) -> Iterator[_Drawing]:
    for moment in moments(column):
        for kind, (what, panels) in _FIGURES.items():
            data = {panel: series(column, side_files, moment, *_PANELS[panel]) for panel in panels}
            data = {panel: found for panel, found in data.items() if found}
            if data:
                yield f"{moment}-{kind}", what, moment, data, []


def _combined(column: Column, side_files: SideFiles) -> Iterator[_Drawing]:
    """Yield dynamics beside the scores, at the first moment at which all three measures were taken."""
    for moment in moments(column):
        data = {panel: series(column, side_files, moment, *_PANELS[panel]) for panel in _BESIDE_SCORES}
        if all(data.values()):
            headings = list(_BESIDE_SCORES.values())
            if trained_cells(column).cells:
                data, headings = {"learning": {}, **data}, ["scores over training", *headings]
            letters = [f"{letter}  {heading}" for letter, heading in zip("ABCD", headings, strict=False)]
            yield "dynamics", "Dynamics", moment, data, letters
            return


@as_svg
def _draw(board: Board, column: Column, title: str, panels: Mapping[str, Series], headings: Sequence[str]) -> Figure:
    """Draw panels under one legend: in a row, four of them in a square."""
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    from rnnbench.leaderboard.drawing import dynamics_panels
    from rnnbench.leaderboard.drawing.panel_parts import Legend, Sheet

    rows = 2 if len(panels) == 4 else 1
    columns = len(panels) // rows
    legend = Legend()
    figure = Figure(layout=ConstrainedLayoutEngine(wspace=0.06))
    for index, (panel, found) in enumerate(panels.items()):
        axes = figure.add_subplot(rows, columns, index + 1)
        getattr(dynamics_panels, panel)(axes, Sheet(board, column, legend), found)
        axes.margins(x=0.02)
        if headings:
            axes.set_title(headings[index], loc="left", fontsize=9, fontweight="bold")
    # Room for the legend: its lines in height, the longest of them in width, in inches.
    lines = [line for name, remarks in legend.remarks.items() for line in (name, *remarks)] + list(legend.references)
    width, height = 0.6 + 0.075 * max(map(len, lines)), 0.8 + 0.18 * len(lines)
    panel_width = 5.0 if columns == 1 else 4.0
    figure.set_size_inches(panel_width * columns + width, max(3.6, 3.1 * rows + 0.3, height))
    figure.suptitle(plain_text(title), x=0.01, ha="left", fontsize=10)
    figure.legend(handles=legend.handles(board), loc="outside right center", frameon=False, fontsize=8)
    return figure


@dataclass
class FiguresReport(Report):
    """The files that ``write_figures`` wrote, whether any record holds measures, and a line for each that failed."""

    written: tuple[Path, ...]
    measured: bool
    failed: list[str]


def write_figures(records_root: Path, output: Path, suites: Collection[str] = ()) -> FiguresReport:
    """Write the figures of dynamics of a folder's records, of all suites or only of some, beside what a folder holds.

    Raises:
        OSError: the disk is full or the folder unwritable; each file is either the old one or the new one.
    """
    records, unreadable = find_records(records_root)
    cells, unplaced = select_cells([record for record in records if not suites or record.suite in suites])
    side_files = SideFiles(records_root)
    shown, taken = boards(cells), set[str]()
    figures = [figure for board in shown for figure in dynamics_figures(board, side_files, taken)]
    for figure in figures:
        write_atomically(output / figure.name, figure.image)
    return FiguresReport(
        tuple(output / figure.name for figure in figures),
        any(has_measures(board) for board in shown),
        [line for board in shown for line in failures(board)],
        problems=[*unplaced, *unreadable, *side_files.problems],
    )
