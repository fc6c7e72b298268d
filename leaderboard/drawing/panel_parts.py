"""What panels of dynamics share: the legend, lines with bands, logarithmic axes. Needs numpy and matplotlib."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from rnnbench.leaderboard.board import Board, Column
from rnnbench.leaderboard.drawing.figure_style import LARGEST_DRAWN, Look, look, plain_text
from rnnbench.leaderboard.dynamics import Series
from rnnbench.leaderboard.files import Arrays

Floats = NDArray[np.float64]


@dataclass
class Legend:
    """What the panels of a figure have drawn: networks, with remarks on what a panel cannot show, and references."""

    remarks: dict[str, list[str]] = field(default_factory=dict)
    references: dict[str, Line2D] = field(default_factory=dict)

    def add(self, network: str, remark: str = "") -> None:
        """Name a network, with a line for a remark that is not empty."""
        known = self.remarks.setdefault(network, [])
        if remark and remark not in known:
            known.append(remark)

    def count(self, network: str, some: int, total: int, what: str) -> None:
        """Name a network, with a line on how many of all cannot be shown, if any."""
        self.add(network, f"{some} of {total} {what}" if some else "")

    def refer(self, name: str, colour: str, dashes: Any, **look: Any) -> None:
        """Name a line or marker that does not belong to a network."""
        self.references[name] = Line2D([], [], color=colour, linestyle=dashes, **{"linewidth": 1.0, **look}, label=name)

    def say(self, remark: str) -> None:
        """Add a line of text that belongs to no network."""
        self.references[remark] = Line2D([], [], linestyle="none", label=remark)

    def handles(self, board: Board) -> list[Line2D]:
        """Return the entries, networks in the order of the board."""
        handles = []
        for index, network in enumerate(board.networks):
            if network in self.remarks:
                label = "\n".join(plain_text(line) for line in (network, *self.remarks[network]))
                line: dict[str, Any] = {"linestyle": look(index).dashes, "marker": look(index).marker, "label": label}
                handles.append(Line2D([], [], color=look(index).colour, linewidth=1.4, markersize=4, **line))
        return [*handles, *(self.references[name] for name in sorted(self.references))]


@dataclass(frozen=True)
class Sheet:
    """What a panel is drawn from."""

    board: Board
    column: Column
    legend: Legend

    def each(self, series: Series) -> Iterator[tuple[str, Look, list[Arrays]]]:
        """Go through the networks in the order of the board, whose row gives the look."""
        for index, network in enumerate(self.board.networks):
            if network in series:
                yield network, look(index), series[network]


def log_lines(
    axes: Axes,
    legend: Legend,
    network: str,
    x: NDArray[Any],
    rows: Floats,
    drawn: Look,
    what: str = "values",
    *,
    every: bool = False,
    marker: str | None = None,
) -> None:
    """Draw mean and range of rows [n, P] for a logarithmic axis; say in the legend what it cannot show."""
    mean = rows.mean(axis=0)
    if not every:
        legend.count(network, int((mean == 0).sum()), len(mean), f"{what} are 0")
    elif (mean == 0).any():
        # As long as the sequence, every truncation is exact: no remark on a network.
        legend.say("0 is not drawn")
    legend.count(network, int((~np.isfinite(mean)).sum()), len(mean), f"{what} not finite")
    positive = np.where(np.isfinite(rows) & (rows > 0), rows, np.nan)
    shown = np.where(np.isfinite(mean) & (mean > 0), mean, np.nan)
    if np.isfinite(shown).any():
        draw_line(axes, x, shown, drawn, every=every, marker=marker)
        if len(rows) > 1:
            low = np.where(np.isnan(positive), np.inf, positive).min(axis=0)
            high = np.where(np.isnan(positive), -np.inf, positive).max(axis=0)
            draw_band(axes, x, np.where(np.isnan(shown), np.nan, [low, shown, high]), drawn)


def mean_line(axes: Axes, x: NDArray[Any], rows: Floats, drawn: Look, *, every: bool = False) -> None:
    """Draw mean and range of rows [n, P]; the range only of several."""
    draw_line(axes, x, rows.mean(axis=0), drawn, every=every)
    if len(rows) > 1:
        draw_band(axes, x, np.array([rows.min(axis=0), rows.max(axis=0)]), drawn)


def draw_line(
    axes: Axes,
    x: NDArray[Any],
    y: NDArray[Any],
    drawn: Look,
    *,
    every: bool = False,
    marker: str | None = None,
    linewidth: float = 1.4,
    linestyle: str | None = None,
) -> None:
    """Draw a line in the look of its network, with a marker now and then or, with ``every``, at each point."""
    # About six markers a line tell networks apart without colour; few points have one each.
    spacing = 1 if every else max(1, len(x) // 6)
    line: dict[str, Any] = {"color": drawn.colour, "linestyle": linestyle or drawn.dashes, "linewidth": linewidth}
    shape = drawn.marker if marker is None else marker
    axes.plot(x, y, **line, marker=shape, markersize=4, markevery=slice(spacing // 2, None, spacing))


def draw_band(axes: Axes, x: NDArray[Any], rows: Floats, drawn: Look) -> None:
    """Fill between the first and the last row."""
    axes.fill_between(x, rows[0], rows[-1], color=drawn.colour, alpha=0.12, linewidth=0)


def log_axis(axes: Axes) -> None:
    """Make the vertical axis logarithmic if anything is to be seen on it."""
    heights = [np.asarray(line.get_ydata(), dtype=float) for line in axes.get_lines()]
    # A logarithmic axis without anything on it is a warning of matplotlib's.
    if any((values[np.isfinite(values)] > 0).any() for values in heights):
        axes.set_yscale("log")


def spread(length: int, most: int = 100) -> NDArray[np.int64]:
    """Return at most so many indices, evenly spread over a length: lines of more points only make files larger.

    >>> spread(784, 5).tolist(), spread(3, 5).tolist()
    ([0, 196, 392, 587, 783], [0, 1, 2])
    """
    return np.unique(np.linspace(0, length - 1, min(most, length)).round().astype(np.int64))


def rank_axis(axes: Axes, label: str) -> None:
    """Make the horizontal axis one of ranks, whole numbers, and label the vertical one."""
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set(xlabel="rank", ylabel=label)


def floats(array: NDArray[Any]) -> Floats:
    """Return an array in double precision, with infinities for what is too large to be drawn."""
    values = array.astype(np.float64)
    return np.where(np.abs(values) > LARGEST_DRAWN, np.copysign(np.inf, values), values)


def stack(instances: Sequence[Arrays], name: str) -> Floats:
    """Return one array an instance, each cut to the smallest of them."""
    arrays = [floats(one[name]) for one in instances]
    shape = [slice(min(lengths)) for lengths in zip(*(array.shape for array in arrays), strict=True)]
    return np.stack([array[tuple(shape)] for array in arrays])
