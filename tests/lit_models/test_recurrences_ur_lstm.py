"""URLSTM: its effective gate, its initialisation, and the parameters of an LSTM."""

import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from rnnbench.lit_models.recurrences.ur_lstm import URLSTM, effective_gate

gates = st.floats(0, 1)


@given(gates, gates)
def test_gate_lies_between_its_bounds(f: float, r: float) -> None:
    g = effective_gate(torch.tensor(f, dtype=torch.float64), torch.tensor(r, dtype=torch.float64)).item()
    assert f**2 - 1e-12 <= g <= 1 - (1 - f) ** 2 + 1e-12


@given(gates)
def test_half_open_refine_gate_leaves_the_forget_gate(f: float) -> None:
    forget = torch.tensor(f, dtype=torch.float64)
    torch.testing.assert_close(effective_gate(forget, torch.tensor(0.5, dtype=torch.float64)), forget)


def test_forget_gate_is_uniform_at_first() -> None:
    torch.manual_seed(0)
    units, networks = 20, 200
    drawn = torch.cat([torch.sigmoid(URLSTM(1, units).gate_biases()[:units].detach()) for _ in range(networks)])
    low = 1 / units
    assert low <= drawn.min() < drawn.max() <= 1 - low
    assert stats.kstest(drawn.numpy(), stats.uniform(low, 1 - 2 * low).cdf).pvalue > 0.01
    # The test can fail: a sigmoid of PyTorch's biases is not uniform.
    other = torch.sigmoid(torch.empty(units * networks).uniform_(-1, 1))
    assert stats.kstest(other.numpy(), stats.uniform(low, 1 - 2 * low).cdf).pvalue < 1e-6


def test_refine_gate_starts_from_the_negated_bias() -> None:
    biases = URLSTM(2, 7).gate_biases()
    torch.testing.assert_close(biases[7:14], -biases[:7])
    assert not biases[14:].any()


def test_a_single_unit_starts_half_open() -> None:
    assert URLSTM(1, 1).gate_biases()[:2].tolist() == [0.0, 0.0]


def test_as_many_parameters_as_an_lstm_with_one_bias_a_gate() -> None:
    lstm = torch.nn.LSTM(3, 9)
    ours = sum(parameter.numel() for parameter in URLSTM(3, 9).parameters())
    assert ours == sum(parameter.numel() for parameter in lstm.parameters()) - lstm.bias_hh_l0.numel()
