"""``rnnbench check module.Class``: the contracts over a class of a user's own package, and what is said of it."""

import itertools
import sys
from pathlib import Path

import pytest

from rnnbench.benchmark.command.cli import main

CELLS = """
import torch
from rnnbench import Adding, Objective, Recurrence


class LabCell(Recurrence):
    def __init__(self, input_size: int, hidden_size: int, mixes: bool = False, layer: Recurrence = None):
        super().__init__(input_size, hidden_size)
        self.weight = torch.nn.Parameter(torch.randn(hidden_size, input_size))
        self.mixes = mixes

    def advance(self, projected, state):
        following = torch.tanh(0.5 * state + projected @ self.weight.t())
        return following - following.mean(0, keepdim=True) if self.mixes else following


class Whole(LabCell):
    def __init__(self, input_size: int, shape: list):
        super().__init__(input_size, *shape)


class Sums(Adding):
    @property
    def task(self):
        return super().task


class Share(Objective):
    pass
"""
_numbers = itertools.count()


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A package in the current folder, of a name of its own, since modules stay imported."""
    name = f"lab{next(_numbers)}"
    (tmp_path / name).mkdir()
    (tmp_path / name / "cells.py").write_text(CELLS, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    return name


@pytest.mark.parametrize(
    ("words", "code", "text"),
    [
        ("PACKAGE.cells.LabCell --init-args {mixes: false}", 0, "PACKAGE.cells.LabCell: good"),
        ("PACKAGE.cells.LabCell --init-args {mixes: no, layer: {class_path: GRU, init_args: {hidden_size: 2}}}", 0, ""),
        ("PACKAGE.cells.LabCell", 2, "LabCell with mixes=True: sequences of a batch act on each other"),
        ("PACKAGE.cells.Whole", 2, "no value is known for the required argument shape"),
        ("PACKAGE.cells.Whole --init-args {shape: [3]}", 0, "PACKAGE.cells.Whole: good"),
        ("PACKAGE.cells.Sums --init-args {length: 10}", 0, "PACKAGE.cells.Sums: good"),
        ("PACKAGE.cells.LabCel", 2, "has no attribute 'LabCel': did you mean LabCell? Known: LabCell, Whole, Sums"),
        ("PACKAGE.cell.LabCell", 2, "No module named 'PACKAGE.cell': did you mean cells?"),
        ("PACKAGE.cells", 2, "it is a module: write PACKAGE.cells.CLASS; known: LabCell, Whole, Sums"),
        ("no_package.Cell", 2, "install it, or call rnnbench from the folder that it lies in"),
        ("os.path.join", 2, "is neither a Recurrence subclass nor a SequenceDataModule subclass"),
        ("GRU LTSM", 2, "LTSM: neither a suite, a record (.json)"),
        ("quik", 2, "nor a recurrence or task (module.Class); did you mean quick?"),
        ("LTSM", 2, "(module.Class); did you mean LSTM?"),
        ("PACKAGE.cells.Share", 2, "Share: is an Objective, a loss or a metric: check the task that it belongs to"),
        ("GRU --init-args [8]", 2, "must be a mapping such as {hidden_size: 8}, got '[8]'"),
        ("GRU --init-args {a", 2, "not valid YAML"),
        ("GRU --init-args {hiden_size: 8}", 2, "GRU has no argument 'hiden_size': did you mean hidden_size?"),
        ("PACKAGE.cells.Sums --init-args {length:8}", 2, "no argument 'length:8': did you mean length?"),
    ],
)
@pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated:DeprecationWarning")
def test_verdict(package: str, words: str, code: int, text: str, capsys: pytest.CaptureFixture[str]) -> None:
    things, _, given = words.replace("PACKAGE", package).partition(" --init-args ")
    assert main(["check", *things.split(), *(["--init-args", given] if given else [])]) == code
    captured = capsys.readouterr()
    assert text.replace("PACKAGE", package) in (captured.err if code else captured.out)
    assert "Traceback" not in captured.err
