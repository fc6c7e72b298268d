"""The look of all figures: SVG with the same bytes for the same records. matplotlib is imported when one is drawn."""

from __future__ import annotations

import functools
import io
import math
import re
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, ParamSpec

from rnnbench.leaderboard.store import safe_name
from rnnbench.leaderboard.text import printable

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_Of = ParamSpec("_Of")
Dashes = Literal["solid", "dashed", "dashdot", "dotted"]
# Stands in every figure we write, by which outdated ones differ from files of others.
CREATOR = "rnnbench leaderboard"
# Okabe and Ito's colours, which the colour-blind tell apart; without yellow, which paper swallows.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
# Four, so that with seven colours 28 networks differ, and neighbours differ without colour.
DASHES: tuple[Dashes, ...] = ("solid", "dashed", "dashdot", "dotted")
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<", ">")
REFERENCE = "#666666"
#: Lines of one panel at most; more are split.
MOST_LINES = 8
#: Largest size of a value that is drawn: matplotlib finds no ticks near the end of the range of floats.
LARGEST_DRAWN = 1e200
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
# A tag of SVG, what of it holds coordinates, and what is named by a hash of them.
_TAG = re.compile(r"<[^<>!]*>")
_COORDINATES = re.compile(r"\s(?:d|x|y|width|height|viewBox|transform)=\"[^\"]*\"")
_NUMBER = re.compile(r"-?[0-9]+\.[0-9]+")
_HASHED_NAME = re.compile(r"(\bid=\"|href=\"#|url\(#)([a-z][0-9a-f]{10})\b")


@dataclass(frozen=True)
class Look:
    """How a network is drawn in all figures of a board."""

    colour: str
    dashes: Dashes
    marker: str


def look(index: int) -> Look:
    """Return the look of the network in a row of the board."""
    return Look(COLOURS[index % len(COLOURS)], DASHES[index % len(DASHES)], MARKERS[index % len(MARKERS)])


def as_svg(draw: Callable[_Of, Figure]) -> Callable[_Of, bytes]:
    """Make what draws a figure return it as SVG, in our style whatever the reader's; the same on all processors."""

    @functools.wraps(draw)
    def drawn(*args: _Of.args, **kwargs: _Of.kwargs) -> bytes:
        import matplotlib

        with matplotlib.rc_context(), warnings.catch_warnings():
            # Whoever shows the figure has fonts of its own.
            warnings.filterwarnings("ignore", "Glyph .* missing from font")
            # A reader's own matplotlibrc must not change the bytes.
            matplotlib.rcdefaults()
            matplotlib.rcParams.update(_STYLE)
            buffer = io.StringIO()
            draw(*args, **kwargs).savefig(buffer, format="svg", metadata={"Date": None, "Creator": CREATOR})
        lines = round_coordinates(buffer.getvalue()).splitlines()
        return "".join(f"{line.rstrip()}\n" for line in lines).encode()

    return drawn


def round_coordinates(svg: str) -> str:
    """Round the coordinates of matplotlib's SVG to hundredths of a point, and number its definitions.

    Processors differ in the last bits of what numpy computes, which shows in the sixth decimal now and then, and in the
    names of markers and clipping paths: hashes of coordinates.

    >>> round_coordinates('<use xlink:href="#m31773fd5d1" x="70.772083" y="-0.001"/><text>0.12345</text>')
    '<use xlink:href="#m1" x="70.77" y="0"/><text>0.12345</text>'
    """
    names: dict[str, str] = {}

    def rename(match: re.Match[str]) -> str:
        kind = match[2][0]
        return match[1] + names.setdefault(match[2], f"{kind}{len(names) + 1}")

    def round_tag(tag: re.Match[str]) -> str:
        rounded = _COORDINATES.sub(lambda attribute: _NUMBER.sub(_rounded, attribute[0]), tag[0])
        return _HASHED_NAME.sub(rename, rounded)

    return _TAG.sub(round_tag, svg)


def _rounded(number: re.Match[str]) -> str:
    # Layouts give simple fractions half way between two hundredths, such as 3.125: the offset moves that point away.
    hundredths = math.floor(100 * float(number[0]) + 0.5 + 0.0137)
    return f"{hundredths / 100:.2f}".rstrip("0").rstrip(".")


def new_name(taken: set[str], *parts: str) -> str:
    """Return the name of a figure's file, made of parts, and note it as taken; all differ in more than capitals.

    >>> taken: set[str] = set()
    >>> [new_name(taken, "quick", "cpu", task) for task in ("Digits", "digits", "Digits")]
    ['quick-cpu-Digits.svg', 'quick-cpu-digits_.svg', 'quick-cpu-Digits__.svg']
    """
    stem = "-".join(safe_name(part) for part in parts)
    while stem.casefold() in taken:
        stem += "_"
    taken.add(stem.casefold())
    return f"{stem}.svg"


def even_parts(items: Sequence[Any], most: int) -> list[list[Any]]:
    """Cut a sequence into parts of nearly equal length, of at most so many.

    >>> even_parts([1, 2, 3, 4, 5], 4)
    [[1, 2, 3], [4, 5]]
    """
    count = -(-len(items) // most)
    size = -(-len(items) // count) if count else 1
    return [list(items[start : start + size]) for start in range(0, len(items), size)]


def plain_text(name: str) -> str:
    """Keep a name from being read as a formula, from breaking the file, or from being left out of the legend."""
    name = printable(name).replace("$", r"\$")
    return f" {name}" if name.startswith("_") else name
