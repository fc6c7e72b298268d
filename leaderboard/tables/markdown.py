"""Tables and text as GitHub's Markdown."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from rnnbench.leaderboard.text import printable

NOTHING = "–"
LINE = "<br>"


@dataclass(frozen=True)
class Table:
    """A table whose cells are Markdown already, with its heading and a sentence on what it shows."""

    title: str
    caption: str
    header: Sequence[str]
    rows: Sequence[Sequence[str]]


def escape(text: str) -> str:
    r"""Keep a name from being read as Markdown.

    >>> print(escape("a|b*c<d"))
    a\|b\*c&lt;d
    """
    text = re.sub(r"([\\|*`\[\]])", r"\\\1", printable(text))
    return text.replace("&", "&amp;").replace("<", "&lt;")


def render_table(table: Table) -> str:
    """Return the table below its heading; the first column is aligned left, the others right."""
    rule = ["---", *["---:"] * (len(table.header) - 1)]
    lines = [f"| {' | '.join(row)} |" for row in (table.header, rule, *table.rows)]
    return "\n".join([f"### {table.title}", "", table.caption, "", *lines, ""])
