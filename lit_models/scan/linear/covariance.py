"""The mLSTM's matrix memory with stabilised exponential gates, chunk by chunk.

Within a chunk with log forget gates φ and log input gates ι, F their sums φ_1 + ... + φ_i, the stabiliser is
m_i = F_i + max(m_0, max_{j ≤ i} (ι_j - F_j)), and step j weighs exp(F_i - F_j + ι_j - m_i) in the memory of step i.
"""

import torch
from torch import Tensor

from rnnbench.lit_models.scan.linear.delta import chunk_length, join_chunks, split_chunks, upper


def covariance_scan(
    queries: Tensor, keys: Tensor, values: Tensor, log_input: Tensor, log_forget: Tensor, state: tuple[Tensor, Tensor]
) -> tuple[Tensor, Tensor, tuple[Tensor, Tensor]]:
    """Return C_tᵀ q_t [T, B, H, e] and m_t [T, B, H] for all t, and the last C and m.

    C_t = exp(φ_t + m_{t-1} - m_t) C_{t-1} + exp(ι_t - m_t) k_t v_tᵀ and m_t = max(φ_t + m_{t-1}, ι_t), with queries and
    keys [T, B, H, d], values [T, B, H, e], ι (``log_input``) and φ (``log_forget``) [T, B, H], and the state before,
    C [B, H, d, e] and m [B, H].

    >>> import torch
    >>> one, zero = torch.ones(3, 1, 1, 1), torch.zeros(3, 1, 1)
    >>> sums, stabiliser, _ = covariance_scan(one, one, one, zero, zero, (torch.zeros(1, 1, 1, 1), zero[0]))
    >>> sums.flatten().tolist(), stabiliser.flatten().tolist()
    ([1.0, 2.0, 3.0], [0.0, 0.0, 0.0])
    """
    steps, length = len(keys), min(chunk_length(keys.shape[-1]), len(keys))
    q, k, v = (split_chunks(each, length) for each in (queries, keys, values))
    enter, forget = (split_chunks(each, length) for each in (log_input, log_forget))
    missing = -steps % length
    if missing:
        # Steps that are filled up write nothing.
        behind = torch.arange(length, device=enter.device) >= length - missing
        enter = torch.cat([enter[:-1], enter[-1:].masked_fill(behind, -torch.inf)])
    total = forget.cumsum(-1)
    largest = (enter - total).cummax(-1).values
    products = q @ k.mT
    weights = total.unsqueeze(-1) - total.unsqueeze(-2) + enter.unsqueeze(-2)
    weights = weights.masked_fill(upper(weights), -torch.inf)
    memory, stabiliser = state
    memories, stabilisers = [], []
    parts = (total[..., -1], largest[..., -1], weights[..., -1, :], k, v)
    for all_forget, most, written, key, value in zip(*(part.unbind(0) for part in parts), strict=True):
        memories.append(memory)
        stabilisers.append(stabiliser)
        following = all_forget + torch.maximum(stabiliser, most)
        entering = torch.exp(written - following.unsqueeze(-1)).unsqueeze(-1) * key
        kept = torch.exp(all_forget + stabiliser - following)
        memory, stabiliser = kept[..., None, None] * memory + entering.mT @ value, following
    before = torch.stack(stabilisers).unsqueeze(-1)
    m = total + torch.maximum(before, largest)
    scores = products * torch.exp(weights - m.unsqueeze(-1))
    carried = torch.exp(total + before - m).unsqueeze(-1) * (q @ torch.stack(memories))
    return join_chunks(scores @ v + carried, steps), join_chunks(m, steps), (memory, stabiliser)
