"""The Triton kernels, compiled without a GPU, keep everything in registers."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("triton")

SCRIPT = Path(__file__).with_name("compile_kernels.py")


def compile_kernels(*words, interpret="0"):
    """Run the script in a process of its own: triton reads the variable when it decorates a kernel."""
    environment = {**os.environ, "TRITON_INTERPRET": interpret}
    return subprocess.run([sys.executable, SCRIPT, *words], capture_output=True, text=True, env=environment)


def directions(*words):
    """Return the directions of the compiled kernels, none of which spills."""
    done = compile_kernels(*words)
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


def test_interpreted_kernels_cannot_be_compiled():
    done = compile_kernels("--quick", interpret="1")
    assert done.returncode == 2
    assert "TRITON_INTERPRET is set" in done.stderr
