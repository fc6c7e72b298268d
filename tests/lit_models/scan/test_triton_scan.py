"""The scan ``triton`` as recurrences and ensembles use it; the kernels themselves are held in test_triton_kernels."""

import subprocess
import sys
from unittest import mock

import pytest
import torch

pytest.importorskip("triton")

from rnnbench.lit_models.ensemble import Ensemble
from rnnbench.lit_models.network import Network
from rnnbench.lit_models.recurrences.antisymmetric import AntisymmetricRNN
from rnnbench.lit_models.recurrences.elman import ElmanRNN
from rnnbench.lit_models.recurrences.gated import GRU, LSTM
from rnnbench.lit_models.recurrences.lipschitz import LipschitzRNN
from rnnbench.lit_models.recurrences.orthogonal import OrthogonalRNN
from rnnbench.lit_models.recurrences.ur_lstm import URLSTM
from rnnbench.lit_models.recurrences.wcrnn import WCRNN
from rnnbench.lit_models.scan.dispatch import choose_kernel
from rnnbench.lit_models.scan.eager.elman import ElmanKernel
from rnnbench.lit_models.scan.policy import use_backend
from rnnbench.lit_models.scan.triton import availability
from tests.lit_models.scan.test_triton_kernels import DEVICE

BUILDERS = {
    "elman": lambda: ElmanRNN(2, 6, time_activation="relu"),
    "diagonal": lambda: WCRNN(2, 6, "diagonal", r=(0.5, 0.9), gamma=0.3),
    "rotation": lambda: WCRNN(2, 6, "rotation", phi=(0.1, 2.0), gamma=0.3, form="A"),
    "orthogonal": lambda: WCRNN(2, 6, "orthogonal", gamma=0.3),
    "type B": lambda: WCRNN(2, 6, "diagonal", r=(0.5, 0.9), gamma=0.3, form="B"),
    "antisymmetric": lambda: AntisymmetricRNN(2, 6),
    "lipschitz": lambda: LipschitzRNN(2, 6),
    "orthogonal Elman": lambda: OrthogonalRNN(2, 6, time_activation="tanh"),
    "lstm": lambda: LSTM(2, 5),
}
for_all = pytest.mark.parametrize("build", BUILDERS.values(), ids=BUILDERS)


def both(compute):
    """Results of the loop and of the kernels, which must have run."""
    with use_backend("loop"):
        expected = compute()
    called = []

    def watched(*arguments):
        called.append(choose_kernel(*arguments))
        return called[-1]

    with mock.patch("rnnbench.lit_models.scan.dispatch.choose_kernel", watched), use_backend("triton"):
        found = compute()
    assert called
    assert all(type(each).__module__.startswith("rnnbench.lit_models.scan.triton.") for each in called)
    return expected, found


def gradients(value, tensors):
    weights = torch.arange(1.0, value.numel() + 1, device=value.device).reshape(value.shape) / value.numel()
    return value, *torch.autograd.grad((weights * value**2).sum(), tensors, materialize_grads=True)


def assert_equal(compute):
    expected, found = both(compute)
    for one, other in zip(found, expected, strict=True):
        largest = float(other.detach().abs().max())
        torch.testing.assert_close(one, other, rtol=1e-5, atol=3e-6 * largest + 1e-7)


@for_all
@pytest.mark.parametrize("last", [True, False], ids=["last", "every"])
def test_a_recurrence_alone_equals_the_loop_from_any_state(build, last):
    recurrence = build().to(DEVICE)
    # Batch-major at the door: what the recurrence sees is not contiguous.
    inputs = torch.randn(3, 4, 2, device=DEVICE, requires_grad=True)
    state = torch.randn(3, recurrence.state_size, device=DEVICE, requires_grad=True)

    def compute():
        scan = recurrence.forward_last if last else recurrence
        values = scan(inputs.transpose(0, 1), state)
        return gradients(torch.cat([each.flatten() for each in values]), [inputs, state, *recurrence.parameters()])

    assert_equal(compute)


@for_all
@pytest.mark.parametrize("readout", ["last", "every"])
def test_an_ensemble_equals_the_loop(build, readout):
    ensemble = Ensemble([Network(build(), 3, readout) for _ in range(2)]).to(DEVICE)
    inputs = torch.randn(3, 4, 2, device=DEVICE, requires_grad=True)
    assert_equal(lambda: gradients(ensemble(inputs), [inputs, *ensemble.parameters()]))


@pytest.mark.parametrize("name", ["diagonal", "lstm"])
def test_segments_are_walked_again(name):
    recurrence = BUILDERS[name]().to(DEVICE)
    inputs = torch.randn(7, 2, 2, device=DEVICE, requires_grad=True)

    def compute():
        return gradients(recurrence(inputs)[0], [inputs, *recurrence.parameters()])

    with use_backend("loop"):
        expected = compute()
    with use_backend("triton", checkpoint_every=3):
        found = compute()
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


def test_backward_may_be_repeated_and_a_second_derivative_raises():
    recurrence = BUILDERS["diagonal"]().to(DEVICE)
    parameters = list(recurrence.parameters())
    with use_backend("triton"):
        first, second = (recurrence(torch.randn(4, 2, 2, device=DEVICE))[0].pow(2).sum() for _ in range(2))
    expected = torch.autograd.grad(first, parameters, retain_graph=True)
    torch.autograd.grad(second, parameters)
    slopes = torch.autograd.grad(first, parameters, create_graph=True)
    torch.testing.assert_close(slopes, expected, rtol=0, atol=0)
    with pytest.raises(RuntimeError, match="no second derivative"):
        sum(slope.pow(2).sum() for slope in slopes).backward()


def test_what_has_no_kernels_walks_as_it_did():
    inputs = torch.randn(4, 3, 2)
    cases = (
        (GRU(2, 5), inputs),
        (URLSTM(2, 5), inputs),
        (LSTM(2, 5).double(), inputs.double()),
        (LSTM(2, 300), inputs),
    )
    for recurrence, given in cases:
        recurrence, given = recurrence.to(DEVICE), given.to(DEVICE)
        with use_backend("eager"):
            expected = recurrence(given)
        with use_backend("triton"):
            torch.testing.assert_close(recurrence(given), expected, rtol=0, atol=0)


@pytest.mark.parametrize("name", ["auto", "eager"])
def test_on_a_cpu_kernels_are_not_chosen_by_themselves(name):
    kernel = ElmanKernel("tanh")
    assert choose_kernel(kernel, torch.ones(4, 3, 2), torch.ones(3, 5), [], name) is kernel


def test_where_no_kernel_can_run_the_scan_says_so(monkeypatch):
    monkeypatch.delenv("TRITON_INTERPRET", raising=False)
    with use_backend("triton"), pytest.raises(RuntimeError, match="there is no CUDA device"):
        ElmanRNN(2, 3)(torch.ones(4, 3, 2))
    monkeypatch.setattr(availability.importlib.util, "find_spec", lambda _: None)
    with use_backend("triton"), pytest.raises(RuntimeError, match=r"pip install 'rnnbench\[gpu\]'"):
        ElmanRNN(2, 3)(torch.ones(4, 3, 2))


def test_choosing_without_kernels_imports_no_triton():
    code = (
        "import sys, torch\n"
        "from rnnbench.lit_models.recurrences.gated import LSTM\n"
        "LSTM(2, 3)(torch.ones(4, 3, 2))\n"
        "assert 'triton' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
