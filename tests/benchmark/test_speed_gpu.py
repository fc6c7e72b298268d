"""The report of the Triton kernels: what it compares, and where it cannot be taken."""

import pytest
import torch

pytest.importorskip("triton")

from rnnbench.benchmark.errors import UserError
from rnnbench.benchmark.speed import gpu
from rnnbench.benchmark.speed.driver import largest_difference
from rnnbench.lit_models.ensemble import Ensemble
from tests.benchmark.small_jobs import rnnbench


@pytest.mark.parametrize("report", gpu.REPORTS, ids=lambda report: report.case.cell)
def test_kernels_are_as_near_to_float64_as_the_float32_loop(report):
    kernels, reference = gpu.build_kernels(report.quick, 2)(), gpu.build_loop(report.quick)()
    assert 0 < largest_difference(kernels.result, reference.result) <= report.tolerance == 3.0
    assert kernels.wall_seconds == kernels.process_seconds > 0


def test_an_error_of_a_kernel_shows(monkeypatch):
    training = gpu.training

    def wrong(network, case, scan):
        work = training(network, case, scan)
        scale = 1 + 1e-5 if isinstance(network, Ensemble) else 1
        return lambda: {name: value * scale for name, value in work().items()}

    monkeypatch.setattr(gpu, "training", wrong)
    ratios = gpu.error_ratios(gpu.REPORTS[0].quick, 1)
    assert all(ratio > gpu.LARGEST_ERROR_RATIO for ratio in ratios.values())


@pytest.mark.slow
@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_quick_report_runs_through_the_interpreter(tmp_path, monkeypatch):
    monkeypatch.setenv("TRITON_INTERPRET", "0")
    done = rnnbench(tmp_path, "speed", "gpu", "--quick")
    assert done.returncode == 0, done.stderr
    for name in ("plain loop", "rnnbench, M = 1", "rnnbench, M = 16", "cuDNN nn.RNN (not residual)", "cuDNN nn.LSTM"):
        assert f"| {name} |" in done.stdout
    assert "Left out: CUDA graph of the loop: ended with exit code 1" in done.stdout


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("speed", "gpu"), "there is no CUDA device; --quick"),
        (("run", "quick", "--scan", "triton", "--runs-dir", "runs"), "--scan triton: there is no CUDA device"),
    ],
)
def test_what_needs_a_gpu_is_refused_before_it_starts(tmp_path, monkeypatch, words, message):
    monkeypatch.setenv("TRITON_INTERPRET", "0")
    done = rnnbench(tmp_path, *words)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.count("\n") == 1
    assert message in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_kernels_are_not_interpreted_beside_a_gpu(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setenv("TRITON_INTERPRET", "1")
    with pytest.raises(UserError, match="TRITON_INTERPRET is set"):
        gpu.check_device(quick=True)
