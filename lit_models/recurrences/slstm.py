"""The sLSTM of xLSTM: exponential gates with a normaliser, stabilised, and memory mixing (Beck et al. 2024)."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from rnnbench.datamodules.checks import check_at_least
from rnnbench.lit_models.recurrence import Recurrence
from rnnbench.lit_models.recurrences._common import check_divides


class SLSTM(Recurrence):
    """The sLSTM (Beck et al. 2024, section 2.2).

    With ĩ, f̃, z̃, õ = W x_t + R h_{t-1} + b, where R is block-diagonal with ``heads`` blocks (memory mixing):

    * m_t = max(log σ(f̃) + m_{t-1}, ĩ); i = exp(ĩ - m_t); f = exp(log σ(f̃) + m_{t-1} - m_t);
    * c_t = f c_{t-1} + i tanh(z̃); n_t = f n_{t-1} + i; h_t = σ(õ) c_t / n_t.

    m cancels in c / n: it only keeps the exponentials finite. Forget gates are sigmoids, one of the paper's two forms
    and that of the authors' code. As there R starts at zero and b too, but for f̃, whose biases go from 5 to -7 within a
    head; W is drawn as in ``torch.nn.Linear`` and dense, where the code has it block-diagonal. The state is
    [h, c, n, m]: S = 4N, all zero at first.

    Args:
        hidden_size: N, a multiple of ``heads``.
        heads: blocks of R.

    The first step, whatever the exponential gates are, gives the candidate:

    >>> network = SLSTM(1, 2)
    >>> _ = [nn.init.zeros_(parameter) for parameter in network.parameters()]
    >>> _ = nn.init.constant_(network.input_map.bias[4:6], 100.0)
    >>> network(torch.zeros(2, 1, 1))[0].flatten().tolist()
    [0.5, 0.5, 0.5, 0.5]
    """

    def __init__(self, input_size: int, hidden_size: int, heads: int = 1) -> None:
        super().__init__(input_size, hidden_size, state_size=4 * hidden_size)
        check_at_least(1, heads=heads)
        check_divides(heads=heads, hidden_size=hidden_size)
        size = hidden_size // heads
        # Rows in the order i, f, z, o.
        self.input_map = nn.Linear(input_size, 4 * hidden_size)
        self.recurrent_weight = nn.Parameter(torch.zeros(heads, size, 4, size))
        fractions = torch.arange(size) / max(1, size - 1)
        with torch.no_grad():
            self.input_map.bias.zero_().view(4, heads, size)[1] = 5 - 12 * fractions**0.3

    def project(self, inputs: Tensor) -> Tensor:
        """Return W x + b [..., 4N] of inputs [..., D]."""
        return self.input_map(inputs)

    def advance(self, projected: Tensor, state: Tensor) -> Tensor:
        """Return the next [h, c, n, m] [B, 4N]."""
        hidden, cell, normaliser, stabiliser = state.chunk(4, -1)
        heads, size = self.recurrent_weight.shape[:2]
        mixed = hidden.unflatten(-1, (heads, 1, size)) @ self.recurrent_weight.flatten(-2)
        # [B, heads, 4, size] to the order of the rows.
        mixed = mixed.squeeze(-2).unflatten(-1, (4, size)).transpose(-2, -3).flatten(-3)
        enter, forget, candidate, leave = (projected + mixed).chunk(4, -1)
        kept = functional.logsigmoid(forget) + stabiliser
        stabiliser = torch.maximum(kept, enter)
        forget, enter = torch.exp(kept - stabiliser), torch.exp(enter - stabiliser)
        cell = forget * cell + enter * torch.tanh(candidate)
        normaliser = forget * normaliser + enter
        return torch.cat([torch.sigmoid(leave) * cell / normaliser, cell, normaliser, stabiliser], -1)
