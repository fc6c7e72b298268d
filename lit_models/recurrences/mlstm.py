"""The mLSTM of xLSTM: a matrix memory with exponential gates, linear in its state (Beck et al. 2024)."""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from rnnbench.datamodules.checks import check_at_least
from rnnbench.lit_models.recurrence import Recurrence
from rnnbench.lit_models.recurrences._common import check_divides
from rnnbench.lit_models.recurrences._linear_map import LinearMap
from rnnbench.lit_models.scan.contract import Scanned
from rnnbench.lit_models.scan.linear.covariance import covariance_scan


class MLSTM(LinearMap, Recurrence):
    """The mLSTM (Beck et al. 2024, section 2.3), stabilised as the sLSTM of section 2.2.

    In each of ``heads`` heads of d = N / heads numbers, with q_t, k_t, v_t, õ_t affine in x_t, and k_t divided by √d:

    * m_t = max(log f_t + m_{t-1}, ĩ_t) with f_t = σ(w_f x_t + b_f) and ĩ_t = w_i x_t + b_i;
    * i'_t = exp(ĩ_t - m_t), f'_t = exp(log f_t + m_{t-1} - m_t);
    * C_t = f'_t C_{t-1} + i'_t v_t k_tᵀ; n_t = f'_t n_{t-1} + i'_t k_t;
    * h_t = σ(õ_t) ∘ C_t q_t / max(|n_tᵀ q_t|, exp(-m_t)).

    m cancels in h: it only keeps the exponentials finite. Forget gates are sigmoids, one of the paper's two forms and
    that of the authors' code. As there w_i and w_f start at zero, b_i from N(0, 0.01), b_f evenly from 3 to 6 over the
    heads; the other maps as in ``torch.nn.Linear``. Deviations from the code: gates see x_t, as in the paper, not q, k
    and v; no 10⁻⁶ is added to the divisor; what is around the map (convolution, normalisation, gate) is
    ``GatedBlock``'s. The state is [h, C, n, m], S = N + N (d + 1) + heads, all zero at first.

    Args:
        hidden_size: N, a multiple of ``heads``.
        heads: memories.

    >>> network = MLSTM(input_size=8, hidden_size=8, heads=2)
    >>> network.state_size, sum(p.numel() for p in network.parameters())
    (50, 324)
    """

    def __init__(self, input_size: int, hidden_size: int, heads: int = 1) -> None:
        check_at_least(1, hidden_size=hidden_size, heads=heads)
        check_divides(heads=heads, hidden_size=hidden_size)
        super().__init__(input_size, hidden_size, hidden_size * (2 + hidden_size // heads) + heads)
        self.heads = heads
        # Rows of q, k, v and õ, and of ĩ and what f is the sigmoid of.
        self.drive = nn.Linear(input_size, 4 * hidden_size)
        self.gates = nn.Linear(input_size, 2 * heads)
        nn.init.zeros_(self.gates.weight)
        with torch.no_grad():
            self.gates.bias.copy_(torch.cat([0.1 * torch.randn(heads), torch.linspace(3, 6, heads)]))

    def project(self, inputs: Tensor) -> Tensor:
        """Return the affine maps [..., 4N + 2 heads] of inputs [..., D]."""
        return torch.cat([self.drive(inputs), self.gates(inputs)], -1)

    def advance(self, projected: Tensor, state: Tensor) -> Tensor:
        """Return the next [h, C, n, m] [B, S]."""
        query, key, value, leave, enter, forget = self._parts(projected)
        memory, before = self._memory(state)
        stabiliser = torch.maximum(forget + before, enter)
        kept = torch.exp(forget + before - stabiliser)[..., None, None] * memory
        written = torch.exp(enter - stabiliser).unsqueeze(-1) * key
        memory = kept + written.unsqueeze(-1) * value.unsqueeze(-2)
        read = (query.unsqueeze(-2) @ memory).squeeze(-2)
        return torch.cat([_leave(read, stabiliser, leave), memory.flatten(-3), stabiliser], -1)

    def respond(self, projected: Tensor, state: Tensor, past: Tensor | None) -> Scanned:
        """Scan chunk by chunk, as in ``LinearMap.respond``."""
        query, key, value, leave, enter, forget = self._parts(projected)
        if past is not None:
            enter, forget = enter.masked_fill(past, -torch.inf), forget.masked_fill(past, 0.0)
        read, stabilisers, final = covariance_scan(query, key, value, enter, forget, self._memory(state))
        outputs = _leave(read, stabilisers, leave)
        return outputs, torch.cat([outputs[-1], final[0].flatten(-3), final[1]], -1)

    def _parts(self, projected: Tensor) -> tuple[Tensor, ...]:
        """Return q and k [..., H, d], [v; 1] [..., H, d+1], õ [..., N], ĩ and log f [..., H]."""
        drive, enter, forget = projected.split([4 * self.hidden_size, self.heads, self.heads], -1)
        query, key, value, leave = drive.chunk(4, -1)
        query, key, value = (each.unflatten(-1, (self.heads, -1)) for each in (query, key, value))
        # n is one more column of the memory, written with the value one.
        value = functional.pad(value, (0, 1), value=1.0)
        return query, key / math.sqrt(key.shape[-1]), value, leave, enter, functional.logsigmoid(forget)

    def _memory(self, state: Tensor) -> tuple[Tensor, Tensor]:
        """Return C transposed beside n [B, H, d, d+1], and m [B, H]."""
        size = self.hidden_size // self.heads
        memory, stabiliser = state[..., self.hidden_size :].split([self.hidden_size * (size + 1), self.heads], -1)
        return memory.unflatten(-1, (self.heads, size, size + 1)), stabiliser


def _leave(read: Tensor, stabiliser: Tensor, leave: Tensor) -> Tensor:
    """Return h [..., N] of C q beside nᵀ q [..., H, d+1], m [..., H] and õ [..., N]."""
    divisor = torch.maximum(read[..., -1].abs(), torch.exp(-stabiliser)).unsqueeze(-1)
    return torch.sigmoid(leave) * (read[..., :-1] / divisor).flatten(-2)
