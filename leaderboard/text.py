"""Text of others, such as names in records and files, made fit for a page, a figure or a terminal."""


def printable(text: str, most: int | None = None) -> str:
    r"""Return text in one line, with what cannot be printed or changes its surroundings written as an escape.

    These are control characters, escape sequences, marks of direction, and halves of characters beyond UTF-16.

    >>> print(printable("a\x00b\x1b[31m\n\u202ec"), printable("γ × 0.95"), printable("abcdef", most=4))
    a\x00b\x1b[31m \u202ec γ × 0.95 abc…
    """
    line = " ".join(text.split())
    shown = "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in line)
    return shown if most is None or len(shown) <= most else f"{shown[: most - 1]}…"
