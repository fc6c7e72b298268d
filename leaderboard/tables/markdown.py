"""Tables, text and numbers as GitHub's Markdown."""

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from rnnbench.leaderboard.metric import Display, short_exponent
from rnnbench.leaderboard.statistics import Statistic
from rnnbench.leaderboard.text import printable

NOTHING = "–"
LINE = "<br>"


@dataclass(frozen=True)
class Table:
    """A table whose cells are Markdown already, with its heading and a sentence on what it shows.

    The first ``text_columns`` are aligned left, the others right.
    """

    title: str
    caption: str
    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    text_columns: int = 1


def escape(text: str) -> str:
    r"""Keep a name from being read as Markdown.

    >>> print(escape("a|b*c<d"))
    a\|b\*c&lt;d
    """
    text = re.sub(r"([\\|*`\[\]])", r"\\\1", printable(text))
    return text.replace("&", "&amp;").replace("<", "&lt;")


def board_heading(suite: str, budget: str) -> str:
    """Return the heading of a board's section."""
    return f"{escape(suite)}, budget `{budget}`"


def link(text: str, heading: str) -> str:
    """Return a link to a heading of the same page.

    >>> link("quick", board_heading("quick", "cpu"))
    '[quick](#quick-budget-cpu)'
    """
    return f"[{escape(text)}](#{re.sub(r'[^-_ 0-9a-z]', '', heading.casefold()).replace(' ', '-')})"


def folded(summary: str, lines: Iterable[str]) -> list[str]:
    """Return lines that are hidden until their summary is clicked; nothing if all are empty."""
    inside = list(lines)
    # Markdown inside HTML needs the blank line.
    end = [] if not inside or not inside[-1] or inside[-1].endswith("\n") else [""]
    return [f"<details><summary>{summary}</summary>", "", *inside, *end, "</details>", ""] if any(inside) else []


def setting_name(path: str) -> str:
    """Write the name of a swept setting in words.

    >>> setting_name("training.optimizer"), setting_name("training.learning_rate"), setting_name("recurrence.rank")
    ('optimiser', 'learning rate', 'rank')
    """
    name = path.rpartition(".")[2].replace("_", " ")
    return "optimiser" if name == "optimizer" else escape(name)


def render_table(table: Table) -> str:
    """Return the table below its heading."""
    rule = [*["---"] * table.text_columns, *["---:"] * (len(table.header) - table.text_columns)]
    lines = [f"| {' | '.join(row)} |" for row in (table.header, rule, *table.rows)]
    return "\n".join([f"### {table.title}", "", table.caption, "", *lines, ""])


def mean_and_sd(summary: Statistic, shown: Display, bold: bool = False) -> str:
    """Write ``mean ± sd (n)``; without the deviation for one value."""
    text = shown.text(summary.mean)
    if summary.sd is not None:
        text += f" ± {shown.text(summary.sd, digits=1)}"
    return f"**{text}** ({summary.n})" if bold else f"{text} ({summary.n})"


def count(value: int) -> str:
    """Write a count of parameters.

    >>> count(47), count(9880), count(999_950), count(4_200_000)
    ('47', '9.9k', '1.0M', '4.2M')
    """
    if value < 1000:
        return str(value)
    # 999,950 would round to 1000.0k.
    return f"{value / 1e3:.1f}k" if value < 999_950 else f"{value / 1e6:.1f}M"


def span(texts: Iterable[tuple[float, str]]) -> str:
    """Write the least and the largest of some numbers, once if they read the same.

    >>> span([(11300, "11.3k"), (9880, "9.9k")]), span([(1, "1"), (1, "1")])
    ('9.9k–11.3k', '1')
    """
    ordered = sorted(texts)
    low, high = ordered[0][1], ordered[-1][1]
    return low if low == high else f"{low}–{high}"


def milliseconds(seconds: float) -> str:
    """Write a duration in milliseconds to three digits, never in scientific form.

    >>> milliseconds(0.012345), milliseconds(2.5), milliseconds(0)
    ('12.3', '2500', '0')
    """
    value = 1000 * seconds
    return f"{value:.{max(0, 2 - math.floor(math.log10(value)))}f}" if value else "0"


def measured(summary: Statistic) -> str:
    """Write ``mean ± sd (n)`` of any quantity: four digits, two of the deviation; none for one value.

    >>> measured(Statistic(-0.0512933, 0.000123, 5)), measured(Statistic(1.5e-21, None, 1))
    ('-0.05129 ± 0.00012 (5)', '1.5e-21 (1)')
    """
    deviation = "" if summary.sd is None else f" ± {short_exponent(f'{summary.sd:.2g}')}"
    return f"{short_exponent(f'{summary.mean:.4g}')}{deviation} ({summary.n})"
