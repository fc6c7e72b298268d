"""The compiled walks: that they are there, what they refuse, and numbers that are not numbers."""

import shutil
import subprocess
import sys
import sysconfig
from unittest import mock

import pytest
import torch

from lit_models.recurrences.elman import ElmanRNN
from lit_models.recurrences.wcrnn import WCRNN
from lit_models.scan import native_choice, native_library
from lit_models.scan.choice import scanning
from lit_models.scan.fused_residual import ResidualWalk
from lit_models.scan.native_walk import NativeWalk


def walk_for(batch, dtype=torch.float32, name="auto", residual="diagonal"):
    """The walk that a WCRNN takes."""
    recurrence = WCRNN(1, 6, residual).to(dtype)
    with (
        scanning(name),
        mock.patch("lit_models.scan.instance_scan._Scan.apply", side_effect=StopIteration) as apply,
        pytest.raises(StopIteration),
    ):
        recurrence(torch.zeros(3, batch, 1, dtype=dtype))
    return apply.call_args.args[0]


@pytest.mark.skipif(shutil.which("cc") is None, reason="there is no C compiler")
def test_walks_are_compiled_where_there_is_a_compiler():
    assert native_library.native_library() is not None


@pytest.mark.skipif(native_library.native_library() is None, reason="nothing is compiled")
@pytest.mark.parametrize("capability", ["AVX512", "AVX2", "DEFAULT"])
def test_every_build_gives_the_same(capability):
    if not runs_on(capability):
        pytest.skip(f"the processor has no {capability}")
    torch.manual_seed(0)
    recurrence, inputs = WCRNN(3, 54, "rotation", phi=(0.1, 1.0), gamma=0.3), torch.randn(20, 33, 3)
    found = []
    for name in ("fused", "native"):
        with library_for(capability), scanning(name):
            outputs, state = recurrence(inputs)
        found.append([outputs, state, *torch.autograd.grad(outputs.square().sum(), list(recurrence.parameters()))])
    for value, expected in zip(*found, strict=True):
        assert (value - expected).abs().max() <= 1e-5 * expected.abs().max()


def runs_on(capability):
    order = ["DEFAULT", "AVX2", "AVX512"]
    here = torch.backends.cpu.get_cpu_capability()
    return capability in order[: order.index(here) + 1] if here in order else capability == "DEFAULT"


def library_for(capability):
    with mock.patch("torch.backends.cpu.get_cpu_capability", return_value=capability):
        library = native_library.native_library.__wrapped__()
    return mock.patch("lit_models.scan.native_walk.native_library", return_value=library)


def test_a_damaged_build_is_named_and_the_next_one_taken(tmp_path):
    damaged = tmp_path / "_avx512.so"
    damaged.touch()
    spec = mock.Mock(origin=str(damaged))
    with (
        mock.patch("torch.backends.cpu.get_cpu_capability", return_value="AVX512"),
        mock.patch("importlib.util.find_spec", side_effect=[spec, None, None]) as find,
        pytest.warns(UserWarning, match=r"_avx512\.so: file too short; install rnnbench again"),
    ):
        assert native_library.native_library.__wrapped__() is None
    assert find.call_count == 3


@pytest.mark.skipif(native_library.native_library() is None, reason="nothing is compiled")
def test_taken_for_what_it_can_do():
    assert isinstance(walk_for(batch=8), NativeWalk)
    assert isinstance(walk_for(batch=4, dtype=torch.float64), NativeWalk)
    assert isinstance(walk_for(batch=8, name="fused"), ResidualWalk)
    assert isinstance(walk_for(batch=8, residual="orthogonal"), ResidualWalk)
    # Of few sequences most of a vector would be padding.
    assert isinstance(walk_for(batch=7), ResidualWalk)


@pytest.mark.skipif(native_library.native_library() is None, reason="nothing is compiled")
@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_what_is_no_number_stays_none(value, dtype):
    for recurrence in (WCRNN(1, 6, form="A"), ElmanRNN(1, 6, time_activation="relu")):
        recurrence.to(dtype)
        inputs = torch.zeros(2, 9, 1, dtype=dtype)
        inputs[0, 4] = value
        found = []
        for name in ("native", "loop"):
            with scanning(name), torch.no_grad():
                found.append(recurrence(inputs)[0])
        torch.testing.assert_close(*found, equal_nan=True)


def test_without_a_build_walks_go_on_in_pytorch():
    with mock.patch.object(native_choice, "native_library", return_value=None):
        assert isinstance(walk_for(batch=8), ResidualWalk)
        with scanning("native"), pytest.raises(RuntimeError, match="were not compiled when rnnbench was installed"):
            WCRNN(1, 6)(torch.zeros(3, 8, 1))


def test_training_without_a_build_is_refused_before_it_starts(tmp_path):
    code = (
        "import sys; from unittest import mock; import lit_models.scan.native_choice as choice;"
        "choice.native_library = lambda: None; from benchmark.cli import main; sys.exit(main(sys.argv[1:]))"
    )
    words = ["run", "quick", "--scan", "native", "--runs-dir", str(tmp_path / "runs")]
    done = subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.count("\n") == 1
    assert "--scan native: its walks were not compiled" in done.stderr
    assert not (tmp_path / "runs").exists()


def test_builds_are_for_this_python():
    suffix = sysconfig.get_config_var("EXT_SUFFIX")
    library = native_library.native_library()
    assert library is None or library._name.endswith(suffix)
