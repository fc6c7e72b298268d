"""How the site is built: ``make docs``. Reference pages list what is registered, from docstrings."""

import importlib
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from sphinx.application import Sphinx

import rnnbench
from rnnbench.benchmark.config.suite_keys import keys_page
from rnnbench.benchmark.measures import MEASURES, measure_class
from rnnbench.datamodules import registered_tasks
from rnnbench.lit_models.recurrences import registered_recurrences

project = "rnnbench"
author = copyright = "the rnnbench contributors"
release = rnnbench.__version__
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
html_theme = "furo"
html_title = f"rnnbench {release}"
html_show_sphinx = False
# Primes of a formula stay primes.
smartquotes = False
exclude_patterns = ["README.md"]
myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3
autodoc_typehints = "none"
autodoc_member_order = "bysource"
napoleon_use_ivar = True
# Checked by `make docs-links` alone; all other links are checked whenever the site is built.
linkcheck_timeout = 20


def _objects(names: dict[str, str], *options: str) -> Iterator[str]:
    """Yield a heading and the docstring of each object, by what is shown and its import path."""
    for shown, path in names.items():
        module, _, name = path.rpartition(".")
        kind = "class" if isinstance(getattr(importlib.import_module(module), name), type) else "function"
        lines = [f".. auto{kind}:: {path}", *(f"   {option}" for option in options if kind == "class")]
        yield "\n".join([f"## {shown}", "", "```{eval-rst}", *lines, "```", ""])


def _listed(what: str) -> str:
    tasks, recurrences = registered_tasks(), registered_recurrences()
    if what in ("tasks", "recurrences"):
        found = tasks if what == "tasks" else recurrences
        return "\n".join(_objects({name: f"rnnbench.{name}" for name in found}))
    if what == "measures":
        classes = {name: measure_class(name) for name in MEASURES}
        return "\n".join(
            _objects({k: f"{cls.__module__}.{cls.__name__}" for k, cls in classes.items()}, ":members: take")
        )
    if what == "keys":
        return keys_page()
    names = [name for name in rnnbench.__all__ if name not in {*tasks, *recurrences}]
    return "\n".join(_objects({name: f"rnnbench.{name}" for name in names}, ":members:"))


def _fill(app: Sphinx, page: str, source: list[str]) -> None:
    for what in ("tasks", "recurrences", "measures", "api", "keys"):
        marker = f"<!-- {what} -->"
        if page.startswith("reference/") and marker in source[0]:
            source[0] = source[0].replace(marker, _listed(what))


def _escape(app: Sphinx, what: str, name: str, one: object, options: object, lines: list[str]) -> None:
    """Let |x| be an absolute value, where reStructuredText would substitute something."""
    for number, line in enumerate(lines):
        if not line.lstrip().startswith((">>>", "...")):
            lines[number] = re.sub(r"``.*?``|\|", lambda found: found[0] if found[0] != "|" else r"\|", line)


def _run_example(app: Sphinx) -> None:
    """Run the example, whose page shows what it draws and prints."""
    script = Path(app.srcdir) / "examples" / "two_architectures.py"
    folder = Path(app.srcdir).parent / "build" / "example"
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "printed.txt").open("w", encoding="utf-8") as printed:
        subprocess.run([sys.executable, script], cwd=folder, stdout=printed, check=True)  # noqa: S603


def setup(app: Sphinx) -> None:
    """Connect what fills in the pages."""
    app.connect("builder-inited", _run_example)
    app.connect("source-read", _fill)
    app.connect("autodoc-process-docstring", _escape)
