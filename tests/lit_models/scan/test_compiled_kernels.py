"""The Triton kernels, compiled without a GPU, keep everything in registers."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("triton")

from tests.lit_models.scan import compile_kernels

SCRIPT = Path(compile_kernels.__file__)


def directions(*words):
    """Return the directions of the compiled kernels, none of which spills."""
    # In a process of its own: triton reads the variable when it decorates a kernel.
    environment = {**os.environ, "TRITON_INTERPRET": "0"}
    done = subprocess.run([sys.executable, SCRIPT, *words], capture_output=True, text=True, env=environment)
    assert (done.returncode, done.stderr) == (0, "")
    rows = re.findall(r"^\| .* \| (\w+) \| \d+ \| \d+ \| (\d+) \| (\d+) \| \d+ \|$", done.stdout, flags=re.MULTILINE)
    assert all(0 < int(registers) <= 255 and spilled == "0" for _, registers, spilled in rows)
    assert f"{len(rows)} kernels, " in done.stdout
    return [direction for direction, *_ in rows]


def test_main_kernels_compile_without_spills():
    assert directions("--quick") == [*["forward", "backward"] * 2, "gradients"]


@pytest.mark.slow
def test_all_kernels_compile_without_spills():
    assert len(directions()) > 100


def test_interpreted_kernels_cannot_be_compiled(monkeypatch, capsys):
    monkeypatch.setenv("TRITON_INTERPRET", "1")
    assert compile_kernels.main(quick=True) == 2
    assert "TRITON_INTERPRET is set" in capsys.readouterr().err
