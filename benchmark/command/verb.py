"""A verb of the command line is a file in ``command/verbs/``, found there: nothing else has to name it."""

import argparse
import functools
import importlib
import pkgutil
from collections.abc import Callable
from dataclasses import dataclass

from rnnbench.benchmark.command import verbs
from rnnbench.benchmark.command.parsing import Parser


@dataclass(frozen=True)
class Verb:
    """One verb, as ``VERB`` of its file.

    Attributes:
        name: the word.
        help: what it does, in a line of ``--help``.
        add_arguments: adds its arguments to a parser.
        run: does it, and returns the exit code; what it needs of torch and other heavy packages is imported in there.
        writes_files: whether it does its work where standard output is closed too.
    """

    name: str
    help: str
    add_arguments: Callable[[Parser], None]
    run: Callable[[argparse.Namespace], int]
    writes_files: bool = False


@functools.cache
def all_verbs() -> dict[str, Verb]:
    """Return the verbs by name."""
    modules = (
        importlib.import_module(f"{verbs.__name__}.{found.name}") for found in pkgutil.iter_modules(verbs.__path__)
    )
    return {module.VERB.name: module.VERB for module in modules}
