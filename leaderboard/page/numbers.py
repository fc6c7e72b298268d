"""Numbers and texts as the page's JSON holds them, and texts that many cells share."""

import math
from collections.abc import Hashable, Iterable
from typing import Generic, TypeVar

from rnnbench.leaderboard.drawing.figure_style import LARGEST_DRAWN
from rnnbench.leaderboard.text import printable

#: Characters of a text from a record that are shown at most.
MOST_CHARACTERS = 300

Item = TypeVar("Item", bound=Hashable)


def short_text(text: object) -> str:
    """Return a text in one printable line of bounded length."""
    # Cut first: cleaning ten megabytes to show three hundred characters takes seconds.
    return printable(str(text)[: 10 * MOST_CHARACTERS], MOST_CHARACTERS)


def drawn(value: float | None, digits: int = 5) -> float | None:
    """Round a value to what a drawing can show; None where there is none, or it is too large to be drawn.

    >>> drawn(0.123456789), drawn(float("nan")), drawn(1e300), drawn(12.0)
    (0.12346, None, None, 12)
    """
    if value is None or not math.isfinite(value) or abs(value) > LARGEST_DRAWN:
        return None
    rounded = float(f"{value:.{digits}g}")
    return int(rounded) if rounded.is_integer() and abs(rounded) < 1e15 else rounded


class Shared(Generic[Item]):
    """Items that many cells hold, each written once.

    >>> shared = Shared[str]()
    >>> shared.indices(["a", "b", "a"]), shared.items
    ([0, 1, 0], ['a', 'b'])
    """

    def __init__(self) -> None:
        self.items: list[Item] = []
        self._index: dict[Item, int] = {}

    def index(self, item: Item) -> int:
        """Return the number of an item, adding it if it is new."""
        if item not in self._index:
            self._index[item] = len(self.items)
            self.items.append(item)
        return self._index[item]

    def indices(self, items: Iterable[Item]) -> list[int]:
        """Return the numbers of several items."""
        return [self.index(item) for item in items]
