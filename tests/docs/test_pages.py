"""How-tos and tutorial do what they say: as written, by this process, and as a reader's shell would (slow)."""

import doctest
import glob
import os
import runpy
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch

from rnnbench.benchmark.command.cli import main
from rnnbench.benchmark.launchers import local
from rnnbench.benchmark.launchers.worker import Outcome
from rnnbench.benchmark.run.train import train
from tests.docs.pages import DOCS, Command, File, steps

PAGES = [DOCS / "tutorial.md", DOCS / "compare.md", *sorted((DOCS / "howto").glob("*.md"))]
ROOT = DOCS.parent
IGNORED = ("No seed found", "Starting from v1.9.0", ".*exists and is not empty", "The dirpath has changed")
pytestmark = [
    *(pytest.mark.filterwarnings(f"ignore:{text}") for text in IGNORED),
    pytest.mark.filterwarnings("ignore::jsonargparse._deprecated.JsonargparseDeprecationWarning"),
]
each_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
Run = Callable[[str], tuple[int, str]]


def follow(page: Path, run: Run) -> None:
    """Write the files of a page into the current folder, and run its commands."""
    for step in steps(page):
        if isinstance(step, File):
            Path(step.path).parent.mkdir(parents=True, exist_ok=True)
            Path(step.path).write_text(step.text, encoding="utf-8")
        else:
            code, printed = run(step.line)
            assert code == step.code, f"{step.line}\n{printed}"
            check(step, printed)


def check(step: Command, printed: str) -> None:
    flags = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
    # There may be no more lines.
    example = doctest.Example(step.line, step.printed.replace("\n...\n", "..."))
    found = doctest.OutputChecker()
    if step.printed and not found.check_output(example.want, printed, flags):
        raise AssertionError(f"{step.line}\n{found.output_difference(example, printed, flags)}")


def in_this_process(tasks, call, groups, tick, deadline=0.0) -> Iterator[tuple[object, Outcome]]:
    """As ``run_in_processes``, without other processes."""
    while tasks:
        task = tasks.popleft()
        _, arguments = call(task, 0)
        train(*arguments)
        yield task, Outcome("trained")


@pytest.fixture
def run(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Iterator[Run]:
    """What runs ``rnnbench`` and ``python`` in this process."""
    monkeypatch.setattr(local, "run_in_processes", in_this_process)
    monkeypatch.setattr(sys, "path", [*sys.path])

    def call(line: str) -> tuple[int, str]:
        program, *words = (name for word in shlex.split(line) for name in sorted(glob.glob(word)) or [word])
        monkeypatch.setattr(sys, "argv", [program, *words])
        code = {"rnnbench": main, "python": lambda: runpy.run_path(words[0]) and 0}[program]()
        return code, "".join(capfd.readouterr())

    yield call
    # Scoring again sets it as a process that trains does.
    torch.set_flush_denormal(False)
    # Another page has other modules of the same names.
    for name in [name for name in sys.modules if name.split(".")[0] == "mylab"]:
        del sys.modules[name]


@each_page
def test_page_as_written(page: Path, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    follow(page, run)


@pytest.mark.slow
@each_page
def test_page_as_a_reader_runs_it(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "rnnbench").write_text(f'#!/bin/sh\nexec {sys.executable} -m rnnbench "$@"\n')
    (tmp_path / "rnnbench").chmod(0o755)
    folders = os.pathsep.join((str(tmp_path), str(Path(sys.executable).parent), os.environ["PATH"]))

    def call(line: str) -> tuple[int, str]:
        done = subprocess.run(line, shell=True, env={**os.environ, "PATH": folders}, capture_output=True, text=True)  # noqa: S602
        return done.returncode, done.stdout + done.stderr

    follow(page, call)
