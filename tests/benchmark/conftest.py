"""Speed reports of toys, written as modules that the contenders' processes import too."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from rnnbench.benchmark.speed import REPORTS

#: What every toy's source begins with.
HEAD = """
import os, pathlib, signal, subprocess, sys, time
from dataclasses import dataclass
import numpy as np
from rnnbench.benchmark.speed.contender import Contender, Report
"""


@pytest.fixture
def add_report(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., None]]:
    """A function that adds a report, from the source of its module; the working folder is a temporary one."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.syspath_prepend(str(tmp_path))
    added = []

    def add(source: str, name: str = "toy") -> None:
        added.append(f"{name}_report")
        Path(f"{added[-1]}.py").write_text(HEAD + source, encoding="utf-8")
        monkeypatch.setitem(REPORTS, name, f"{added[-1]}:REPORTS")

    yield add
    for module in added:
        sys.modules.pop(module, None)
