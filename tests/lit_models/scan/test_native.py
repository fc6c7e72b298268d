"""The compiled kernels: that they are there, what they refuse, and numbers that are not numbers."""

import ctypes
import functools
import shutil
import sysconfig
from unittest import mock

import pytest
import torch
from torch.func import functional_call, stack_module_state, vmap

from rnnbench.benchmark.command.cli import main
from rnnbench.lit_models.recurrences.block_diagonal import BlockDiagonalRNN
from rnnbench.lit_models.recurrences.elman import ElmanRNN
from rnnbench.lit_models.recurrences.gated import LSTM
from rnnbench.lit_models.recurrences.minimal import MinGRU, MinLSTM
from rnnbench.lit_models.recurrences.rg_lru import RGLRU
from rnnbench.lit_models.recurrences.s6 import S6
from rnnbench.lit_models.recurrences.ur_lstm import URLSTM
from rnnbench.lit_models.recurrences.wcrnn import WCRNN
from rnnbench.lit_models.scan.contract import Operands
from rnnbench.lit_models.scan.eager.lstm import LSTMKernel
from rnnbench.lit_models.scan.eager.residual import ResidualKernel
from rnnbench.lit_models.scan.eager.ur_lstm import URLSTMKernel
from rnnbench.lit_models.scan.native import availability
from rnnbench.lit_models.scan.native.call import NativeCall
from rnnbench.lit_models.scan.native.library import Arguments, find_library
from rnnbench.lit_models.scan.native.lstm import NativeLSTMKernel
from rnnbench.lit_models.scan.native.residual import NativeResidualKernel
from rnnbench.lit_models.scan.policy import use_backend

compiled = pytest.mark.skipif(find_library()[0] is None, reason="nothing is compiled")


def kernel_for(batch, dtype=torch.float32, name="auto", residual="diagonal", recurrence=None):
    """The kernel that a recurrence takes, a WCRNN if none is given."""
    recurrence = (recurrence or WCRNN(1, 6, residual)).to(dtype)
    with (
        use_backend(name),
        mock.patch("rnnbench.lit_models.scan.autograd.function._Scan.apply", side_effect=StopIteration) as apply,
        pytest.raises(StopIteration),
    ):
        recurrence(torch.zeros(3, batch, 1, dtype=dtype))
    return apply.call_args.args[0]


@pytest.mark.skipif(shutil.which("cc") is None, reason="there is no C compiler")
def test_walks_are_compiled_where_there_is_a_compiler():
    assert find_library()[0] is not None


@compiled
@pytest.mark.parametrize("capability", ["AVX512", "AVX2", "DEFAULT"])
@pytest.mark.parametrize(
    "make",
    [
        lambda: WCRNN(3, 54, "rotation", phi=(0.1, 1.0), gamma=0.3),
        lambda: LSTM(3, 47),
        # Of up to three inputs the rows of linear recurrences are computed in C, of more they are given.
        *(
            functools.partial(cls, inputs, 12)
            for cls in (MinGRU, MinLSTM, RGLRU, BlockDiagonalRNN, S6)
            for inputs in (2, 5)
        ),
    ],
)
@pytest.mark.parametrize("batch", [33, 128])
def test_every_build_gives_the_same(capability, make, batch):
    if not runs_on(capability):
        pytest.skip(f"the processor has no {capability}")
    recurrence = make()
    inputs, found = torch.randn(20, batch, recurrence.input_size), []
    for name in ("eager", "native"):
        with library_for(capability), use_backend(name):
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
        found = find_library.__wrapped__()
    return mock.patch("rnnbench.lit_models.scan.native.library.find_library", return_value=found)


def test_a_damaged_build_is_named_and_the_next_one_taken(tmp_path):
    damaged = tmp_path / "_avx512.so"
    damaged.touch()
    spec = mock.Mock(origin=str(damaged))
    with (
        mock.patch("torch.backends.cpu.get_cpu_capability", return_value="AVX512"),
        mock.patch("importlib.util.find_spec", side_effect=[spec, None, None]) as find,
        pytest.warns(UserWarning, match=r"_avx512\.so: file too short: install rnnbench again"),
    ):
        library, reason = find_library.__wrapped__()
    assert library is None
    assert "file too short: install rnnbench again" in reason
    assert find.call_count == 3


class Longer(ctypes.Structure):
    _fields_ = (*Arguments._fields_, ("further", ctypes.c_int64))


@compiled
@pytest.mark.parametrize(
    ("what", "new", "refusal"),
    [
        ("sources_hash", lambda: "0" * 64, "was compiled from other sources than those beside it"),
        ("Arguments", Longer, r"takes arguments of \d+ bytes, and library.py gives \d+"),
    ],
)
def test_a_stale_build_is_refused_with_the_way_to_rebuild(what, new, refusal, monkeypatch):
    monkeypatch.setattr(f"rnnbench.lit_models.scan.native.library.{what}", new)
    with pytest.warns(UserWarning, match=f"{refusal}: install rnnbench again.*pip install -e"):
        found = find_library.__wrapped__()
    assert found[0] is None
    monkeypatch.setattr("rnnbench.lit_models.scan.native.availability.find_library", lambda: found)
    with use_backend("native"), pytest.raises(RuntimeError, match=f"'native' was asked for, but .*{refusal}"):
        WCRNN(1, 6)(torch.zeros(3, 8, 1))


@compiled
def test_taken_for_what_it_can_do():
    assert isinstance(kernel_for(batch=8), NativeResidualKernel)
    assert isinstance(kernel_for(batch=4, dtype=torch.float64), NativeResidualKernel)
    assert isinstance(kernel_for(batch=8, name="eager"), ResidualKernel)
    assert isinstance(kernel_for(batch=8, residual="orthogonal"), ResidualKernel)
    assert isinstance(kernel_for(batch=8, recurrence=LSTM(1, 6)), NativeLSTMKernel)
    assert isinstance(kernel_for(batch=8, recurrence=LSTM(1, 6), name="eager"), LSTMKernel)
    assert isinstance(kernel_for(batch=8, recurrence=URLSTM(1, 6)), URLSTMKernel)
    # Of few sequences most of a vector would be padding.
    assert isinstance(kernel_for(batch=7), ResidualKernel)


@compiled
@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_what_is_no_number_stays_none(value, dtype):
    for recurrence in (WCRNN(1, 6), WCRNN(1, 6, form="A"), ElmanRNN(1, 6, time_activation="relu"), LSTM(1, 6)):
        recurrence.to(dtype)
        inputs = torch.zeros(3, 9, 1, dtype=dtype)
        inputs[0, 4] = value
        found = []
        for name in ("loop", "native", "eager"):
            with use_backend(name), torch.no_grad():
                found.append(recurrence(inputs)[0])
        torch.testing.assert_close(found[1], found[0], equal_nan=True)
        torch.testing.assert_close(found[2], found[0], equal_nan=True)


@compiled
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_gradients_pass_a_relu_of_what_is_no_number(dtype):
    recurrence, inputs = ElmanRNN(1, 6, time_activation="relu").to(dtype), torch.ones(20, 9, 1, dtype=dtype)
    inputs[3, 4] = float("nan")
    inputs.requires_grad_()
    found = []
    for name in ("loop", "native", "eager"):
        with use_backend(name):
            outputs, _ = recurrence(inputs)
        weights = torch.linspace(-1, 1.5, outputs.numel(), dtype=dtype).reshape(outputs.shape)
        found.append(torch.autograd.grad((outputs * weights).sum(), [inputs, *recurrence.parameters()]))
    assert found[0][0][:, 4].abs().min() > 0
    torch.testing.assert_close(found[1], found[0], equal_nan=True)
    torch.testing.assert_close(found[2], found[0], equal_nan=True)


@compiled
@pytest.mark.parametrize("capability", ["AVX512", "AVX2", "DEFAULT"])
@pytest.mark.parametrize("size", [1e-5, 1e-4, 1e-3, 1e-2, 0.1, 1.0, 10.0])
@pytest.mark.parametrize("sign", [-1, 1])
def test_the_error_of_tanh_in_single_precision_does_not_keep_its_sign(capability, size, sign):
    if not runs_on(capability):
        pytest.skip(f"the processor has no {capability}")
    recurrence = ElmanRNN(1, 1, initialisation="xavier")
    recurrence.weight_ih.detach().fill_(1)
    values = sign * size * torch.linspace(0.1, 1, 100_000).reshape(1, -1, 1)
    with library_for(capability), use_backend("native"), torch.no_grad():
        found = recurrence(values)[0]
    error = found / values.double().tanh() - 1
    assert error.abs().max() < 4e-7
    assert error.mean().abs() < 1e-8


@compiled
def test_what_an_lstm_keeps_is_five_numbers_a_unit_and_step():
    inputs, weight = torch.randn(20, 1, 9, 2), torch.randn(3, 4 * 5, 5 + 2 + 1)
    _, _, stores = NativeLSTMKernel().forward(Operands(inputs, torch.zeros(3, 9, 10), [weight]), True, False)
    # Of nine sequences, sixteen columns.
    assert sum(stored.numel() for stored in stores) == 20 * 3 * 5 * 5 * 16
    assert NativeLSTMKernel().forward(Operands(inputs, torch.zeros(3, 9, 10), [weight]), False, False)[2] == []


@compiled
@pytest.mark.parametrize("batch", [8, 17, 32, 50])
@pytest.mark.parametrize("own_inputs", [True, False], ids=["own inputs", "shared inputs"])
@pytest.mark.parametrize(
    "make",
    [
        lambda: WCRNN(2, 5, "diagonal", r=(0.8, 0.9), gamma=0.3),
        lambda: WCRNN(2, 6, "rotation", phi=(0.1, 1.0), gamma=0.3, form="A"),
        lambda: ElmanRNN(2, 5),
        lambda: LSTM(2, 5),
    ],
    ids=["WCRNN", "WCRNN A", "ElmanRNN", "LSTM"],
)
def test_a_large_batch_is_walked_block_by_block(make, own_inputs, batch, monkeypatch):
    monkeypatch.setattr("rnnbench.lit_models.scan.native.call._BLOCK_BYTES", 0)
    monkeypatch.setattr("rnnbench.lit_models.scan.native.call._NARROWEST", 8)
    networks = [make().double() for _ in range(3)]
    tensors = stack_module_state(networks)
    inputs = torch.randn(*([3] if own_inputs else []), 20, batch, 2, dtype=torch.float64, requires_grad=True)
    states = torch.randn(3, batch, networks[0].state_size, dtype=torch.float64, requires_grad=True)

    def call(tensors, x, state):
        return functional_call(networks[0], tensors, (x, state))

    found = []
    for name in ("loop", "native"):
        with use_backend(name), mock.patch.object(NativeCall, "run", autospec=True, side_effect=NativeCall.run) as run:
            outputs, final = vmap(call, (0, 0 if own_inputs else None, 0))(tensors, inputs, states)
            loss = (outputs.sin().cumsum(1) * torch.linspace(-1, 1, batch).unsqueeze(-1)).sum() + final.square().sum()
            gradients = torch.autograd.grad(loss, [inputs, states, *tensors[0].values()])
        assert run.called == (name == "native")
        found.append([outputs, final, *gradients])
    assert run.call_args.args[0].blocks == -(-batch // 8)
    torch.testing.assert_close(*found, atol=1e-10, rtol=1e-10)


def test_without_a_build_walks_go_on_in_pytorch():
    with mock.patch.object(availability, "find_library", return_value=(None, "its kernels were not compiled")):
        assert isinstance(kernel_for(batch=8), ResidualKernel)
        with use_backend("native"), pytest.raises(RuntimeError, match="its kernels were not compiled"):
            WCRNN(1, 6)(torch.zeros(3, 8, 1))


def test_training_without_a_build_is_refused_before_it_starts(tmp_path, capsys):
    with mock.patch.object(availability, "find_library", return_value=(None, "its kernels were not compiled")):
        assert main(["run", "quick", "--scan", "native", "--runs-dir", str(tmp_path / "runs")]) == 2
    output, errors = capsys.readouterr()
    assert output == ""
    assert errors.count("\n") == 1
    assert "--scan native: its kernels were not compiled" in errors
    assert not (tmp_path / "runs").exists()


def test_builds_are_for_this_python():
    suffix = sysconfig.get_config_var("EXT_SUFFIX")
    library = find_library()[0]
    assert library is None or library._name.endswith(suffix)
