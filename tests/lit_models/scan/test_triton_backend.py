"""The backend ``triton`` as recurrences use it: what it takes, and what it says where it cannot run."""

import pytest
import torch

pytest.importorskip("triton")

from rnnbench.lit_models.recurrences.elman import ElmanRNN
from rnnbench.lit_models.recurrences.gated import GRU, LSTM
from rnnbench.lit_models.recurrences.ur_lstm import URLSTM
from rnnbench.lit_models.scan.dispatch import choose_kernel
from rnnbench.lit_models.scan.eager.elman import ElmanKernel
from rnnbench.lit_models.scan.policy import use_backend
from rnnbench.lit_models.scan.triton import availability
from tests.lit_models.scan.scanned import GPU as DEVICE


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
