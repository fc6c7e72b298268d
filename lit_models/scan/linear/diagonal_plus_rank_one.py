"""Transitions that are diagonal plus of rank one, as RWKV-7's, chunk by chunk.

S_t = (diag(w_t) + b_t a_tᵀ) S_{t-1} + k_t v_tᵀ. With γ_t the product of the w within a chunk and p_t = S_{t-1}ᵀ a_t,
the scaled state S_t / γ_t grows by (b_t / γ_t) p_tᵀ + (k_t / γ_t) v_tᵀ, and the p of a chunk solve a triangular system.
The w must be so near one that their product over a chunk can be divided by.
"""

import torch
from torch import Tensor

from rnnbench.lit_models.scan.linear.delta import join_chunks, split_chunks, upper

#: Steps of a chunk: 0.545 (RWKV-7's least decay) to this power is 6e-5.
CHUNK = 16


def rank_one_scan(
    queries: Tensor, log_decay: Tensor, read: Tensor, write: Tensor, keys: Tensor, values: Tensor, state: Tensor
) -> tuple[Tensor, Tensor]:
    """Return S_tᵀ q_t for all t [T, B, H, e] and S_T [B, H, d, e], of the state S_0 before.

    ``read`` is a, ``write`` is b; like queries, keys and log w they are [T, B, H, d], values are [T, B, H, e].

    >>> import torch
    >>> one, zero = torch.ones(3, 1, 1, 1), torch.zeros(3, 1, 1, 1)
    >>> rank_one_scan(one, zero, -one, 2 * one, one, one, zero[0])[0].flatten().tolist()
    [1.0, 0.0, 1.0]
    """
    steps, length = len(keys), min(CHUNK, len(keys))
    q, w, a, b, k, v = (split_chunks(each, length) for each in (queries, log_decay, read, write, keys, values))
    total = w.cumsum(-2)
    # a reads the state before the step.
    a, q, back = a * torch.exp(total - w), q * torch.exp(total), torch.exp(-total)
    b, k, kept = b * back, k * back, torch.exp(total[..., -1, :]).unsqueeze(-1)
    earlier, above = (a @ b.mT).tril(-1), upper(a @ b.mT)
    free = (a @ k.mT).tril(-1) @ v
    of_state, free = torch.linalg.solve_triangular(
        -earlier, torch.cat([a, free], -1), upper=False, unitriangular=True
    ).split([a.shape[-1], v.shape[-1]], -1)
    identity = torch.eye(a.shape[-1], dtype=a.dtype, device=a.device)
    transitions, entering = kept * (identity + b.mT @ of_state), kept * (b.mT @ free + k.mT @ v)
    starts = []
    for transition, enter in zip(transitions.unbind(0), entering.unbind(0), strict=True):
        starts.append(state)
        state = transition @ state + enter
    before = torch.stack(starts)
    from_read, from_keys = ((q @ each.mT).masked_fill(above, 0.0) for each in (b, k))
    outputs = q @ before + from_read @ (free + of_state @ before) + from_keys @ v
    return join_chunks(outputs, steps), state
