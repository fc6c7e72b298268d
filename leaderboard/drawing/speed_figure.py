"""The figure of ``rnnbench speed``: ratios of times as horizontal bars with their targets, from the reports' JSON."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rnnbench.leaderboard.drawing.figure_style import REFERENCE, as_svg, look, plain_text
from rnnbench.leaderboard.files import read_file

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

#: Order of the panels; reports that are not named here come after these.
_ORDER = ("scan", "linear", "ensemble", "suite", "overhead", "lyapunov")
#: Words of titles that are true of nearly all and would crowd the labels.
_UNDERSTOOD = ("forward and backward of ", ", forward and backward", ", float32")
_LARGEST_REPORT = 16 * 2**20
_INCHES_PER_BAR, _INCHES_PER_PANEL = 0.21, 0.55


@dataclass(frozen=True)
class Bar:
    """The time of a contender over that of what it is compared with, and the most that this should be."""

    label: str
    ratio: float
    target: float

    @property
    def met(self) -> bool:
        """Whether the ratio is no larger than the target."""
        return self.ratio <= self.target


def bars(comparisons: Sequence[dict[str, Any]]) -> dict[str, list[Bar]]:
    """Return the ratios that have a target, by report; exponents of growth and memory are no ratios of times.

    Of what the JSON of ``rnnbench speed`` lists, quick comparisons have no targets, and so no bars.

    >>> timing = {"name": "fast", "ratio": 0.2, "largest_ratio": 0.25}
    >>> found = bars([{"report": "scan", "title": "a GRU", "timings": [timing], "outcomes": []}])
    >>> found["scan"][0].label, found["scan"][0].met
    ('a GRU: fast', True)
    """
    found: dict[str, list[Bar]] = {}
    for comparison in comparisons:
        title = comparison["title"]
        for words in _UNDERSTOOD:
            title = title.replace(words, "")
        drawn = [
            Bar(f"{title}: {timing['name']}", timing["ratio"], timing["largest_ratio"])
            for timing in comparison["timings"]
            if timing.get("largest_ratio") is not None
        ]
        for outcome in comparison.get("outcomes", []):
            target = outcome["target"]
            if target["factor"] is None:
                ours, theirs = (" or ".join(target[key]) for key in ("contenders", "references"))
                drawn.append(Bar(f"{title}: {ours} to {theirs}", outcome["value"], target["largest"]))
        if drawn:
            # The first reports of a GPU held neither their name nor targets of single contenders.
            found.setdefault(comparison.get("report", "gpu"), []).extend(drawn)
    order = [*_ORDER, *sorted(found.keys() - set(_ORDER))]
    return {report: found[report] for report in order if report in found}


def read_comparisons(folder: Path) -> list[dict[str, Any]]:
    """Return what the reports' files in a folder list, in the order of the files' names.

    Raises:
        ValueError: a file is not JSON of ``rnnbench speed``; the message names it.
    """
    found: list[dict[str, Any]] = []
    for path in sorted(folder.glob("*.json")):
        try:
            listed = json.loads(read_file(path, _LARGEST_REPORT))
            if not isinstance(listed, list):
                raise TypeError("not a list")
            bars(listed)
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise ValueError(f"{path}: not written by rnnbench speed ({type(error).__name__}: {error})") from error
        found += listed
    return found


@as_svg
def speed_figure(comparisons: Sequence[dict[str, Any]]) -> Figure:
    """Draw the ratios that have a target, a panel for each report; the same bytes for the same ratios."""
    from matplotlib.figure import Figure

    panels = bars(comparisons)
    counts = [len(drawn) for drawn in panels.values()]
    height = _INCHES_PER_BAR * sum(counts) + _INCHES_PER_PANEL * len(counts) + 0.4
    figure = Figure(figsize=(12.0, max(1.5, height)), layout="constrained")
    if not panels:
        figure.suptitle("No ratio with a target", fontsize=10)
        return figure
    largest = max(max(bar.ratio, bar.target) for drawn in panels.values() for bar in drawn)
    rows = figure.subplots(len(panels), 1, squeeze=False, sharex=True, height_ratios=[count + 1.0 for count in counts])
    for axes, (report, drawn) in zip(rows[:, 0], panels.items(), strict=True):
        _draw_panel(axes, report, drawn)
        axes.set_xlim(0.0, 1.12 * largest)
    what = (
        "ratio of times for one instance or run: below 1 is faster than what it is compared with; black marks: targets"
    )
    figure.supxlabel(what, fontsize=8)
    return figure


def _draw_panel(axes: Axes, report: str, drawn: list[Bar]) -> None:
    places = range(len(drawn))
    colours = [look(0).colour if bar.met else look(1).colour for bar in drawn]
    axes.barh(places, [bar.ratio for bar in drawn], height=0.62, color=colours)
    axes.vlines([bar.target for bar in drawn], [p - 0.42 for p in places], [p + 0.42 for p in places], color="black")
    for place, bar in zip(places, drawn, strict=True):
        missed = "" if bar.met else ", missed"
        text = f" {bar.ratio:.2f} (≤ {bar.target:.2f}{missed})"
        axes.text(max(bar.ratio, bar.target), place, text, va="center", fontsize=7)
    axes.axvline(1.0, color=REFERENCE, linewidth=0.8, linestyle="dotted")
    axes.set_yticks(places, [plain_text(bar.label) for bar in drawn], fontsize=7)
    axes.set_ylim(len(drawn) - 0.4, -0.6)
    axes.grid(visible=False, axis="y")
    axes.set_title(plain_text(report), loc="left", fontsize=9)
