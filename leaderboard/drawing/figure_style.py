"""The look of all figures: SVG with the same bytes for the same records. matplotlib is imported when one is drawn."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Dashes = Literal["solid", "dashed", "dashdot", "dotted"]
# Stands in every figure we write, so that stale ones are told from files of others.
CREATOR = "rnnbench leaderboard"
# Okabe and Ito's colours, which the colour-blind tell apart; without yellow, which paper swallows.
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
# Four, so that with seven colours 28 networks differ, and neighbours differ without colour.
_DASHES: tuple[Dashes, ...] = ("solid", "dashed", "dashdot", "dotted")
_MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<", ">")
REFERENCE = "#666666"
_STYLE: dict[Any, Any] = {
    "svg.hashsalt": "rnnbench",
    "svg.fonttype": "none",
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#dddddd",
    "grid.linewidth": 0.6,
}


@dataclass(frozen=True)
class Look:
    """How a network is drawn in all figures of a board."""

    colour: str
    dashes: Dashes
    marker: str


def look(index: int) -> Look:
    """Return the look of the network in a row of the board."""
    return Look(_COLOURS[index % len(_COLOURS)], _DASHES[index % len(_DASHES)], _MARKERS[index % len(_MARKERS)])


def as_svg(draw: Callable[[], Figure]) -> bytes:
    """Draw a figure in our style, whatever the reader's own, and return it as SVG."""
    import matplotlib

    with matplotlib.rc_context():
        # A reader's own matplotlibrc must not change the bytes.
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(_STYLE)
        buffer = io.BytesIO()
        draw().savefig(buffer, format="svg", metadata={"Date": None, "Creator": CREATOR})
    return b"\n".join(line.rstrip() for line in buffer.getvalue().splitlines()) + b"\n"


def plain_text(name: str) -> str:
    """Keep a name from being read as a formula, or from being left out of the legend."""
    name = name.replace("$", r"\$")
    return f" {name}" if name.startswith("_") else name
