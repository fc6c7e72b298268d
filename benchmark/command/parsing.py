"""Parsing the command line: the parser that all commands share, and what their values may be."""

import argparse
import re
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, NoReturn

import yaml

from rnnbench.benchmark.config.experiment import MOST_INSTANCES
from rnnbench.benchmark.errors import UserError, nearest

_LARGEST = 1_000_000


class Parser(argparse.ArgumentParser):
    """A parser that remembers its options and turns its errors into ours."""

    def __init__(self, **kwargs: Any) -> None:
        self.options: list[str] = []
        super().__init__(**kwargs, allow_abbrev=False)

    def add_argument(self, *args: Any, **kwargs: Any) -> argparse.Action:
        """Add an argument, and remember its names."""
        action = super().add_argument(*args, **kwargs)
        self.options += action.option_strings
        return action

    def _print_message(self, message: str, file: Any = None) -> None:
        # argparse passes over what cannot be written.
        (file or sys.stderr).write(message)

    def error(self, message: str) -> NoReturn:
        """Raise a ``UserError`` with the usage below the message."""
        raise UserError(f"{message}\n{self.format_usage().strip()}")


def one_of(what: str, known: Iterable[str]) -> Callable[[str], str]:
    """Return a converter to one of some words."""

    def convert(text: str) -> str:
        if text not in known:
            raise argparse.ArgumentTypeError(f"unknown {what} '{text}': {nearest(text, known)}")
        return text

    return convert


def named_path(text: str) -> Path:
    """Return a path; nothing at all, such as an unset variable of a shell, would mean the current folder."""
    if not text:
        raise argparse.ArgumentTypeError("must name a file or folder, got ''; the current folder is '.'")
    return Path(text)


def positive(text: str) -> int:
    """Return a whole number of at least 1."""
    if not text.isdecimal() or len(text) > len(str(_LARGEST)) or not 1 <= int(text) <= _LARGEST:
        raise argparse.ArgumentTypeError(f"must be a whole number from 1 to {_LARGEST}, got '{text}'")
    return int(text)


def share(text: str) -> float:
    """Return a number from 0 to 1."""
    if not re.fullmatch(r"0|1|0?\.\d{1,4}|[01]\.0+", text):
        raise argparse.ArgumentTypeError(f"must be a number from 0 to 1 with four decimals at most, got '{text}'")
    return float(text)


def duration(text: str) -> float:
    """Return the seconds of ``90s``, ``30m``, ``2h`` or ``1h30m``."""
    found = re.fullmatch(r"(?:(\d{1,4})h)?(?:(\d{1,6})m)?(?:(\d{1,8})s)?", text)
    seconds = sum(int(n or 0) * unit for n, unit in zip(found.groups(), (3600, 60, 1), strict=True)) if found else 0
    if not seconds:
        raise argparse.ArgumentTypeError(f"must be a time such as 90s, 30m, 2h or 1h30m, got '{text}'")
    return float(seconds)


def yaml_value(text: str) -> Any:
    """Return what is written in YAML."""
    try:
        return yaml.safe_load(text)
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        raise argparse.ArgumentTypeError(f"not valid YAML: {' '.join(str(error).split())}") from error


def mapping(text: str) -> dict[str, Any]:
    """Return a mapping written in YAML."""
    value = yaml_value(text)
    if not isinstance(value, dict):
        raise argparse.ArgumentTypeError(f"must be a mapping such as {{hidden_size: 8}}, got '{text}'")
    return value


def segment(text: str) -> int | str:
    """Return a number of steps, or ``auto``."""
    if text == "auto":
        return text
    try:
        return positive(text)
    except argparse.ArgumentTypeError as error:
        raise argparse.ArgumentTypeError(f"{error}, or auto") from None


def instances(text: str) -> tuple[int, ...]:
    """Return the instances of ``0-4``, ``0,2`` or ``0-2,5``, in increasing order."""
    chosen: set[int] = set()
    for part in text.split(","):
        first, dash, last = part.strip().partition("-")
        if not first.isdecimal() or (dash and not last.isdecimal()) or (dash and int(last) < int(first)):
            raise argparse.ArgumentTypeError(f"must be instances such as 3, 0-4 or 0,2, got '{text}'")
        if len(last or first) > 9 or int(last or first) >= MOST_INSTANCES:
            raise argparse.ArgumentTypeError(f"must be instances from 0 to {MOST_INSTANCES - 1}, got '{text}'")
        chosen.update(range(int(first), int(last or first) + 1))
    return tuple(sorted(chosen))
