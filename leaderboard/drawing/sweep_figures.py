"""Figures of sweeps as SVG: score, and iterations to minimal performance, along the number in which rows differ."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rnnbench.leaderboard.board import Board
from rnnbench.leaderboard.captions import protocol, task_names
from rnnbench.leaderboard.drawing.figure_style import (
    LARGEST_DRAWN,
    MOST_LINES,
    REFERENCE,
    Look,
    as_svg,
    even_parts,
    look,
    new_name,
    plain_text,
)
from rnnbench.leaderboard.drawing.learning_curves import draw_chance
from rnnbench.leaderboard.literature import PublishedNumber, find_published
from rnnbench.leaderboard.metric import display
from rnnbench.leaderboard.schema import MinimalPerformance
from rnnbench.leaderboard.statistics import Cell
from rnnbench.leaderboard.sweeps import NUMBER, WIDTH, Line, Sweep, find_sweeps, settings

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_MARK = (0, (5, 3))
#: From this ratio on the iterations are drawn on a logarithmic axis.
_LARGE_RATIO = 5
# About as long as the names of rows beside an axis.
_BESIDE = 16 * "m"
HOW_DRAWN = (
    "Lines are means over instances, bands their range; open markers: some instances diverged, or did not reach the "
    "threshold (counted with all steps); arrows: none reached it in the steps that it had; crosses at chance: all "
    "diverged."
)
# Pixels of an image row, by task: one turn a row is the frequency of the data.
_ROWS = {"SequentialDigits": 8, "SequentialMNIST": 28, "SequentialCIFAR10": 32}


@dataclass(frozen=True)
class SweepFigure:
    """An SVG image with the name of its file, the tasks that it covers, and what it shows."""

    name: str
    tasks: tuple[str, ...]
    title: str
    caption: str
    image: bytes


@dataclass(frozen=True)
class Mean:
    """The instances of a cell at one point of an axis: mean, least and largest value, and whether all are in it.

    Attributes:
        whole: False if some instances diverged (scores), or never reached the threshold (iterations).
        bound: True if none of them reached it, so that the mean only says how long they were trained.
    """

    mean: float
    low: float
    high: float
    whole: bool
    bound: bool = False


def sweep_figures(board: Board, taken: set[str]) -> list[SweepFigure]:
    """Draw the sweeps of a board; their names differ from those taken, and are noted as taken."""
    figures = []
    for sweep in find_sweeps(board):
        setting = sweep.setting.replace(WIDTH, "-range").removesuffix(NUMBER)
        name = new_name(taken, board.suite, board.budget, "over", setting, sweep.metric.name)
        tasks = tuple(sweep.tasks)
        title = f"{task_names(tasks)} over {sweep.label}"
        cells = [cell for line in sweep.lines for _, cell in line.points]
        short = protocol(cells) + _unreached(cells)
        figures.append(SweepFigure(name, tasks, title, f"{title}: {short}.", _draw(board, sweep, short)))
    return figures


def score(cell: Cell) -> Mean | None:
    """Return the scores as they are shown; None if no instance has one."""
    metric = cell.metric
    values = [record.scores.test.get(metric.name) for record in cell.finished]
    return _mean([metric.display.scale * v for v in values if v is not None], whole=not cell.diverged)


def iterations(cell: Cell) -> Mean | None:
    """Return the iterations to minimal performance on validation: all steps where it was never reached."""
    found = [(record, record.minimal_performance) for record in cell.records if record.minimal_performance]
    lost = [mp.val_censored or record.status == "diverged" for record, mp in found]
    values = [float(record.steps if record.status == "diverged" else mp.val_iterations) for record, mp in found]
    mean = _mean(values, whole=not any(lost))
    return mean and dataclasses.replace(mean, bound=all(lost))


def marks(sweep: Sweep) -> dict[float, str]:
    """Return the values of an axis that theory singles out, with what they are."""
    if sweep.setting == "r":
        return {1.0: "r = 1, log r = 0"}
    firsts = [cell.first for line in sweep.lines for _, cell in line.points]
    if sweep.setting == "phi":
        kinds = [str(settings(first, "task").get("task.class_path")) for first in firsts]
        rows = {_ROWS[kind.rpartition(".")[2]] for kind in kinds if kind.rpartition(".")[2] in _ROWS}
        return {2 * math.pi / pixels: f"φ of the data, 2π/{pixels}: a turn an image row" for pixels in sorted(rows)}
    if sweep.setting == f"r{WIDTH}":
        centres = {settings(first, "recurrence").get("recurrence.init_args.r") for first in firsts}
        return {2 * (1 - r): f"largest r = 1 (r₀ = {r:g})" for r in sorted(c for c in centres if c and c < 1)}
    return {}


def numbers_published(cell: Cell) -> list[tuple[PublishedNumber, float]]:
    """Return the published scores by the ranked metric of a cell that are numbers, not ``fail``."""
    return [
        (number, float(number.value))
        for number in find_published(cell.first.published)
        if number.metric_name == cell.metric.name and number.value.replace(".", "").replace("e-", "").isdigit()
    ]


def _mean(values: Sequence[float], whole: bool) -> Mean | None:
    values = [value for value in values if abs(value) < LARGEST_DRAWN]
    return Mean(math.fsum(values) / len(values), min(values), max(values), whole) if values else None


def facets(sweep: Sweep) -> list[tuple[str, list[Line]]]:
    """Return the lines of each row of panels with its heading.

    All in one if they are few; else by task or by name, whichever gives fewer rows, cut where they are still many.
    """
    if len(sweep.lines) <= MOST_LINES:
        return [("", list(sweep.lines))]
    ways = []
    keys: tuple[Callable[[Line], str], ...] = (lambda line: line.task, lambda line: line.name)
    for key in keys:
        groups: dict[str, list[Line]] = {}
        for line in sweep.lines:
            groups.setdefault(key(line), []).append(line)
        if max(map(len, groups.values())) == 1:
            groups = {"": list(sweep.lines)}
        ways.append([(head, part) for head, lines in groups.items() for part in even_parts(lines, MOST_LINES)])
    return min(ways, key=len)


@as_svg
def _draw(board: Board, sweep: Sweep, caption: str) -> Figure:
    """Draw a row of panels for each facet: the score, and iterations to minimal performance where that was reached."""
    from matplotlib.figure import Figure

    shown = facets(sweep)
    cells = [cell for line in sweep.lines for _, cell in line.points]
    timed = all(record.minimal_performance for cell in cells for record in cell.records) and not _unreached(cells)
    columns = 2 if timed else 1
    labels = [_label(sweep, line) for line in sweep.lines] + list(marks(sweep).values()) + [_BESIDE]
    figure = Figure(figsize=(3.9 * columns + 1.2 + 0.075 * max(map(len, labels)), 3.2 * len(shown) + 0.6))
    figure.set_layout_engine("constrained")
    panels = figure.subplots(len(shown), columns, squeeze=False)
    for (heading, lines), row in zip(shown, panels, strict=True):
        _score_panel(row[0], sweep, lines, heading)
        if timed:
            _iterations_panel(row[1], sweep, lines, heading)
        for axes in row:
            _finish(axes, sweep)
        row[0].set_title(plain_text(heading), loc="left", fontsize=9, fontweight="bold")
        handles, names = row[0].get_legend_handles_labels()
        row[-1].legend(handles, names, loc="center left", bbox_to_anchor=(1.02, 0.5), frameon=False, fontsize=8)
    title = plain_text(f"{task_names(sweep.tasks)} over {sweep.label} ({board.suite}): {caption}")
    figure.suptitle(title, x=0.01, ha="left", fontsize=9, wrap=True)
    return figure


def _label(sweep: Sweep, line: Line, heading: str = "") -> str:
    several = len({other.task for other in sweep.lines}) > 1 and line.task != heading
    name = line.name if line.name != heading else ""
    return ", ".join(part for part in (line.task if several or not line.name else "", name) if part)


def _panel(
    axes: Axes, sweep: Sweep, lines: Sequence[Line], heading: str, what: Callable[[Cell], Mean | None]
) -> list[Mean]:
    """Draw one value of all cells along the axis, and of the rows beside it; return the means that are drawn."""
    means = []
    for line in lines:
        there = [(x, mean) for x, cell in line.points if (mean := what(cell))]
        draw_line(axes, look(line.index), _label(sweep, line, heading), there)
        means += [mean for _, mean in there]
    tasks = list(dict.fromkeys(line.task for line in lines))
    for index, (task, network, cell) in enumerate(sweep.beside):
        mean = what(cell)
        if mean and not mean.bound:
            label = f"{network}, {task}" if len(tasks) > 1 else network
            style: dict[str, Any] = {"color": ("black", REFERENCE)[index], "linestyle": ("dashdot", "dashed")[index]}
            axes.axhline(mean.mean, linewidth=1.2, label=plain_text(label), **style)
            axes.axhspan(mean.low, mean.high, color="black", alpha=0.06, linewidth=0)
    return means


def _score_panel(axes: Axes, sweep: Sweep, lines: Sequence[Line], heading: str) -> None:
    means = _panel(axes, sweep, lines, heading, score)
    _draw_published(axes, sweep, lines)
    draw_chance(axes, sweep.metric, [mean.low for mean in means])
    lost = [(x, line) for line in lines for x, cell in line.points if not score(cell)]
    for x, line in lost:
        chance = sweep.metric.display.scale * sweep.metric.chance
        axes.plot([x], [chance], marker="x", color=look(line.index).colour, linestyle="none", clip_on=False)
    axes.set_ylabel(f"test {sweep.metric.display.axis}")


def _draw_published(axes: Axes, sweep: Sweep, lines: Sequence[Line]) -> None:
    label = "published"
    for line in lines:
        for x, cell in line.points:
            for _, value in numbers_published(cell):
                style: dict[str, Any] = {"color": look(line.index).colour, "markersize": 9, "linestyle": "none"}
                axes.plot([x], [value], marker="*", label=label, **style)
                label = "_published"


def _iterations_panel(axes: Axes, sweep: Sweep, lines: Sequence[Line], heading: str) -> None:
    means = _panel(axes, sweep, lines, heading, iterations)
    if threshold := lines[0].points[0][1].first.minimal_performance:
        axes.set_ylabel(f"iterations to {_threshold_text(threshold)}")
    if means and max(mean.high for mean in means) > _LARGE_RATIO * min(mean.low for mean in means) > 0:
        axes.set_yscale("log")


def _unreached(cells: Sequence[Cell]) -> str:
    """Write that no instance came to minimal performance, for behind a caption; empty if any did, or has no such."""
    found = [record.minimal_performance for cell in cells for record in cell.records if record.minimal_performance]
    lost = found and all(one.val_censored for one in found)
    return f"; no instance reached {_threshold_text(found[0])}" if lost else ""


def _threshold_text(minimal: MinimalPerformance) -> str:
    shown = display(minimal.metric)
    return f"{shown.label} {shown.scale * minimal.threshold:g}{' %' if shown.unit == '%' else ''}"


def draw_line(axes: Axes, drawn: Look, label: str, points: Sequence[tuple[float, Mean]]) -> None:
    """Draw means with a band from least to largest; markers are open where instances diverged or fell short.

    Bounds are arrows that no line joins: rows may have been trained for different numbers of steps.
    """
    places = [x for x, _ in points]
    known = [(mean.low, mean.mean, mean.high) if not mean.bound else (math.nan,) * 3 for _, mean in points]
    style: dict[str, Any] = {"color": drawn.colour, "marker": drawn.marker, "markersize": 4}
    axes.plot(places, [mean for _, mean, _ in known], linestyle=drawn.dashes, label=plain_text(label), **style)
    band: dict[str, Any] = {"color": drawn.colour, "alpha": 0.12, "linewidth": 0}
    axes.fill_between(places, [low for low, _, _ in known], [high for _, _, high in known], **band)
    short = [(x, mean.mean) for x, mean in points if not mean.whole and not mean.bound]
    axes.plot([x for x, _ in short], [y for _, y in short], linestyle="none", markerfacecolor="white", **style)
    bounds = [(x, mean.mean) for x, mean in points if mean.bound]
    arrow = {**style, "marker": r"$\uparrow$", "markersize": 7}
    axes.plot([x for x, _ in bounds], [y for _, y in bounds], linestyle="none", **arrow)


def _finish(axes: Axes, sweep: Sweep) -> None:
    import numpy as np
    from matplotlib.ticker import FixedLocator, NullLocator

    if sweep.logarithmic:
        axes.set_xscale("log")
    if len(sweep.values) <= MOST_LINES and (sweep.logarithmic or all(x.is_integer() for x in sweep.values)):
        axes.xaxis.set_major_locator(FixedLocator(sweep.values))
        axes.xaxis.set_minor_locator(NullLocator())
        axes.xaxis.set_major_formatter("{x:g}")
    axes.margins(x=0.03)
    axes.set_xlabel(sweep.label)
    for place, name in marks(sweep).items():
        axes.axvline(place, color="black", linewidth=1.0, linestyle=_MARK, label=name)
    if sweep.setting == "r" and sweep.values[0] > 0:
        top = axes.secondary_xaxis("top", functions=(lambda x: np.log(np.maximum(x, 1e-9)), np.exp))
        top.set_xlabel("Lyapunov exponent at γ → 0, log r (nats per step)", fontsize=8)
        top.tick_params(labelsize=7)
