"""The reports of the Triton kernels: compiled without a GPU, and timed where there is one."""

import json
import os
import subprocess
import sys

import pytest
import torch

pytest.importorskip("triton")

from rnnbench.benchmark.speed.contender import Target
from rnnbench.benchmark.speed.gpu import GpuTiming, _reach, compare_on_device, render_gpu
from rnnbench.benchmark.speed.gpu_contenders import CASES, GpuCase

BARE = """
import sys

class Missing:
    def find_spec(self, name, path=None, target=None):
        absent = ("datasets", "wandb", "jsonargparse", "pydantic", "matplotlib", "yaml", "tqdm")
        if name.partition(".")[0] in absent:
            raise ModuleNotFoundError(name)

sys.meta_path.insert(0, Missing())
sys.argv = ["gpu", *sys.argv[1:]]
import runpy
runpy.run_module("rnnbench.benchmark.speed.gpu", run_name="__main__")
"""


def run(*words, interpret="1"):
    environment = {**os.environ, "TRITON_INTERPRET": interpret}
    return subprocess.run([sys.executable, *words], capture_output=True, text=True, env=environment)


def test_gpu_report_runs_through_the_interpreter_where_little_is_installed(tmp_path):
    done = run("-c", BARE, "--quick", "--json", str(tmp_path / "gpu.json"))
    assert (done.returncode, done.stderr) == (0, "")
    wcrnn, lstm = json.loads((tmp_path / "gpu.json").read_text(encoding="utf-8"))
    for comparison, peer in ((wcrnn, "cuDNN nn.RNN (not residual)"), (lstm, "cuDNN nn.LSTM")):
        names = [timing["name"] for timing in comparison["timings"]]
        assert names[:4] == ["rnnbench, kernels", "rnnbench, kernels, M = 2", peer, "eager loop"]
        assert all(timing["failure"] is None and timing["median_seconds"] > 0 for timing in comparison["timings"])
        assert 0 < comparison["error"] <= 3 * comparison["loop_error"] + 5e-7
        assert comparison["case"]["precision"] == "float32"
        assert f"| {peer} | 1 |" in done.stdout


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_gpu_report_without_a_gpu_says_so():
    done = run("-m", "rnnbench", "speed", "gpu", interpret="0")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.count("\n") == 1
    assert "there is no CUDA device" in done.stderr
    assert "--quick" in done.stderr


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
@pytest.mark.parametrize("scan", ["triton", "graph"])
def test_training_that_needs_a_gpu_is_refused_before_it_starts(tmp_path, scan):
    words = ("-m", "rnnbench", "run", "quick", "--scan", scan, "--runs-dir", str(tmp_path / "runs"))
    done = run(*words, interpret="0")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.count("\n") == 1
    assert f"--scan {scan}: there is no CUDA device" in done.stderr
    assert not (tmp_path / "runs").exists()


def test_wrong_kernels_are_not_timed(monkeypatch):
    from rnnbench.benchmark.errors import UserError

    case = CASES[0][0].quick()
    monkeypatch.setattr(GpuCase, "errors", lambda self: {"loss": (1e-7, 1e-7), "weight": (1e-3, 1e-5)})
    with pytest.raises(UserError, match=r"by 0\.001 in weight, and the float32 loop only by 1e-05"):
        compare_on_device(case, (), 0.0)


def test_a_peer_that_fails_is_told_and_targets_without_it_are_left_out(monkeypatch):
    def contenders(self):
        yield "rnnbench, kernels", 1, lambda: lambda: None
        yield "peer", 1, lambda: 1 / 0

    monkeypatch.setattr(GpuCase, "contenders", contenders)
    monkeypatch.setattr(GpuCase, "errors", lambda self: {"loss": (1e-7, 1e-7)})
    targets = (Target(("rnnbench, kernels",), ("peer",), 1.0),)
    comparison = compare_on_device(CASES[0][0].quick(), targets, float("inf"))
    assert comparison.outcomes == []
    assert "| peer | 1 | not measured: ZeroDivisionError: division by zero |" in render_gpu(comparison)


def test_targets_are_ratios_for_one_instance():
    timings = [GpuTiming("ours", 16, median_seconds=3.2), GpuTiming("one", 1, median_seconds=2.0)]
    (outcome,) = _reach((Target(("ours",), ("one",), 0.1),), timings)
    assert outcome.value == pytest.approx(0.1)
    assert outcome.met


def test_options_of_other_reports_are_refused(tmp_path):
    from rnnbench.benchmark.errors import UserError
    from rnnbench.benchmark.speed.command import report_speed

    for name, repeats, output, full in (
        ("repeats", 3, None, False),
        ("output", None, tmp_path, False),
        ("full", None, None, True),
    ):
        with pytest.raises(UserError, match=f"^--{name}: not an option of gpu"):
            report_speed("gpu", repeats, False, None, output, full)
