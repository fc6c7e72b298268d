"""Checks of constructor arguments, for tasks and models alike: a ValueError names argument, rule and value."""

import difflib
import math
import os
import sys
from collections.abc import Iterable
from numbers import Real

LARGEST = 2**63 - 1
"""What the size of a tensor can hold."""


def check_at_least(minimum: int, **arguments: int) -> None:
    """Check that every argument is an integer (not a bool) of at least ``minimum`` that 64 bits hold.

    >>> check_at_least(1, length=0)
    Traceback (most recent call last):
    ValueError: length must be at least 1, got 0
    """
    for name, value in arguments.items():
        if not isinstance(value, int) or isinstance(value, bool):
            raise ValueError(f"{name} must be an integer, got {value!r}")
        if value < minimum:
            raise ValueError(f"{name} must be at least {minimum}, got {value}")
        if value > LARGEST:
            raise ValueError(f"{name} must be at most {LARGEST}, got a number of {value.bit_length()} bits")


def check_number(
    name: str, value: float, *, above: float = -math.inf, low: float = -math.inf, high: float = math.inf
) -> None:
    """Check that a number is finite, larger than ``above``, and from ``low`` to ``high``.

    >>> check_number("beta", 1.5, low=0, high=1)
    Traceback (most recent call last):
    ValueError: beta must be at least 0 and at most 1, got 1.5
    """
    if not isinstance(value, Real) or isinstance(value, bool) or not abs(value) <= sys.float_info.max:
        raise ValueError(f"{name} must be a finite number, got {value!r:.50}")
    if not (value > above and low <= value <= high):
        bounds = {"above": above, "at least": low, "at most": high}
        words = " and ".join(f"{word} {bound:g}" for word, bound in bounds.items() if math.isfinite(bound))
        raise ValueError(f"{name} must be {words}, got {value}")


def check_memory(what: str, size: int) -> None:
    """Check that ``size`` bytes are not more than this machine's memory; of 1 TiB where that is not known.

    >>> check_memory("the embedding", 2**60)  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    ValueError: the embedding must fit in ... GB of memory, got 1.15e+09 GB: choose smaller sizes
    """
    known = hasattr(os, "sysconf")  # not on Windows
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") if known else 2**40
    if size > memory:
        limit, wanted = (f"{value / 1e9:.3g} GB" for value in (memory, size))
        raise ValueError(f"{what} must fit in {limit} of memory, got {wanted}: choose smaller sizes")


def check_flags(**arguments: bool) -> None:
    """Check that every argument is True or False: a text such as "no" would count as True."""
    for name, value in arguments.items():
        if not isinstance(value, bool):
            raise ValueError(f"{name} must be True or False, got {value!r}")


def check_choice(name: str, value: object, known: Iterable[object]) -> None:
    """Check that the argument ``name`` has one of the known values; else name the nearest and list all.

    >>> check_choice("kind", "partiy", ("parity", "sum"))
    Traceback (most recent call last):
    ValueError: unknown kind 'partiy': did you mean 'parity'? Known are 'parity', 'sum'
    """
    known = list(known)
    if value not in known:
        raise ValueError(f"unknown {name} {value!r:.80}: {nearest_of(value, known)}")


def nearest_of(value: object, known: Iterable[object]) -> str:
    """Return a hint that names the known text nearest to a value, and all known ones.

    >>> nearest_of("partiy", ["parity", "sum"]), nearest_of(3, [])
    ("did you mean 'parity'? Known are 'parity', 'sum'", 'known are none')
    """
    known = list(known)
    close = difflib.get_close_matches(str(value), [k for k in known if isinstance(k, str)], n=1, cutoff=0.4)
    listed = f"nown are {', '.join(map(repr, known)) or 'none'}"
    return f"did you mean {close[0]!r}? K{listed}" if close else f"k{listed}"
