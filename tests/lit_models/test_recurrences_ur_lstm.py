"""URLSTM: its initialisation."""

import torch
from scipy import stats

from rnnbench.lit_models.recurrences.ur_lstm import URLSTM


def test_forget_gate_is_uniform_at_first() -> None:
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
    # A single unit starts half open.
    assert URLSTM(1, 1).gate_biases()[:2].tolist() == [0.0, 0.0]
