"""What a user can get wrong: one exception with one clear message, and the nearest known word for a misspelt one."""

import difflib
from collections.abc import Iterable

#: Characters of a message at most; what is longer lists what nobody reads.
MOST_CHARACTERS = 2_000
#: Known words that a message lists at most.
_MOST_LISTED = 40
#: What torch says of tensors beyond the memory, or beyond any.
_TOO_LARGE = ("can't allocate memory", "out of memory", "Overflow when unpacking long", "size calculation overflowed")


class UserError(Exception):
    r"""A mistake in what the user gave. Its message is all that the command line prints, with exit code 2.

    What would control a terminal, or cannot be written, is shown as Python escapes it.

    >>> raise UserError("unknown name '\x1b[31m\ud800'")
    Traceback (most recent call last):
    rnnbench.benchmark.errors.UserError: unknown name '\x1b[31m\ud800'
    """

    def __init__(self, message: str) -> None:
        text = "".join(c if c.isprintable() or c == "\n" else repr(c)[1:-1] for c in message[:MOST_CHARACTERS])
        super().__init__(f"{text[: MOST_CHARACTERS - 1]}…" if len(message) > MOST_CHARACTERS else text)


class UnknownNameError(UserError):
    """A class, preset or argument that there is not: other names of the same file may be misspelt too."""


def nearest(word: object, known: Iterable[str]) -> str:
    """Return a hint that names the known word nearest to an unknown one, and all known words, or the first of many.

    >>> nearest("LTSM", ["GRU", "LSTM"])
    'did you mean LSTM? Known: GRU, LSTM'
    >>> nearest("zebra", ["GRU", "LSTM"])
    'known: GRU, LSTM'
    >>> nearest("zebra", map(str, range(200)))[-15:]
    '39 and 160 more'
    """
    names = list(dict.fromkeys(known))
    more = f" and {len(names) - _MOST_LISTED} more" if len(names) > _MOST_LISTED else ""
    hint, listed = did_you_mean(word, names), f"nown: {', '.join(names[:_MOST_LISTED]) or 'nothing'}{more}"
    return f"{hint} K{listed}" if hint else f"k{listed}"


def did_you_mean(word: object, known: Iterable[str]) -> str:
    """Return a hint that names the known word nearest to an unknown one; empty if none is near.

    >>> did_you_mean("quik", ["GRU", "quick"]), did_you_mean("zebra", ["GRU"])
    ('did you mean quick?', '')
    """
    lowered = {name.lower(): name for name in reversed(list(known))}
    close = difflib.get_close_matches(str(word)[:100].lower(), lowered, n=1, cutoff=0.5)
    return f"did you mean {lowered[close[0]]}?" if close else ""


def shown(value: object, most: int = 80) -> str:
    r"""Return a value as a message shows it: as Python writes it, in one line of at most ``most`` characters.

    >>> shown("a\x1b[31m"), shown("é"), shown([1] * 100, most=12)
    ("'a\\x1b[31m'", "'é'", '[1, 1, 1, 1…')
    """
    try:
        text = repr(value)
    except ValueError:  # Python prints no integer of more than some thousand digits
        text = f"a {type(value).__name__} too long to print"
    return text if len(text) <= most else f"{text[: most - 1]}…"


def message_of(error: Exception) -> str:
    """Return what to print of an error; of the system's own, its reason and the file, without the number."""
    if isinstance(error, OSError):
        return f"{error.strerror or error}{f': {error.filename}' if error.filename else ''}"
    return str(error)


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether Python or torch found no memory for what was asked.

    >>> is_out_of_memory(RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB")), is_out_of_memory(KeyError(1))
    (True, False)
    """
    return isinstance(error, MemoryError) or any(part in str(error) for part in _TOO_LARGE)
