"""The gated delta rule, chunk by chunk: within a chunk by products of matrices, from one to the next by its state.

With u_i = β_i (v_i - α_i S_{i-1}ᵀ k_i) for what step i writes, S_i = α_i S_{i-1} + k_i u_iᵀ is linear in the state S_0
before a chunk, and U = (I + L)^-1 (β V - β γ K S_0), where γ_i is the product of decays up to i and L the strictly
lower triangle of β_i γ_i/γ_j k_i·k_j (Yang et al. 2024, the UT transform). Ratios of decays are exponentials of
differences, at most one.
"""

import torch
from torch import Tensor
from torch.nn import functional


def chunk_length(size: int) -> int:
    """Return the micro-steps of a chunk for keys of some size: matrices of as many rows as keys have cost least."""
    return min(32, max(16, size))


def split_chunks(values: Tensor, length: int) -> Tensor:
    """Return [chunks, B, H, length, ...] of [T, B, H, ...], with zeros behind the last step."""
    padded = functional.pad(values, [0, 0] * (values.dim() - 1) + [0, -len(values) % length])
    return padded.unflatten(0, (-1, length)).movedim(1, 3)


def join_chunks(values: Tensor, steps: int) -> Tensor:
    """Return [T, B, H, ...] of [chunks, B, H, length, ...]."""
    return values.movedim(3, 1).flatten(0, 1)[:steps]


def decay_ratios(log_products: Tensor) -> Tensor:
    """Return γ_i/γ_j for j ≤ i, and zeros, [..., L, L] of log γ [..., L]."""
    differences = log_products.unsqueeze(-1) - log_products.unsqueeze(-2)
    # Before the exponential, which might overflow where it does not count.
    return differences.masked_fill(upper(differences), -torch.inf).exp()


def upper(like: Tensor) -> Tensor:
    """Return what stands above the diagonal of a matrix [..., L, L], as a mask [L, L]."""
    return torch.ones(like.shape[-2:], dtype=torch.bool, device=like.device).triu(1)


def delta_scan(
    queries: Tensor, keys: Tensor, values: Tensor, strengths: Tensor, log_decay: Tensor | None, state: Tensor
) -> tuple[Tensor, Tensor]:
    """Return y_t = S_tᵀ q_t for all t [T, B, H, e] and S_T [B, H, d, e], of the state S_0 before.

    In each step, S is scaled by exp(``log_decay`` [T, B, H]), or not if None, and then S ← S + β k (v - Sᵀ k)ᵀ is done
    n times, with keys k [T, B, H, n, d], values v [T, B, H, n, e] and strengths β [T, B, H, n]; queries are
    [T, B, H, d].

    >>> import torch
    >>> one = torch.ones(3, 1, 1, 1)
    >>> outputs, final = delta_scan(one, one.unsqueeze(-1), one.unsqueeze(-1), 2 * one, None, torch.zeros(1, 1, 1, 1))
    >>> outputs.flatten().tolist()
    [2.0, 0.0, 2.0]
    """
    steps, count, size = len(keys), keys.shape[-2], keys.shape[-1]
    length = max(1, chunk_length(size) // count)
    q = split_chunks(queries, length)
    k, v = (split_chunks(each, length).flatten(3, 4) for each in (keys, values))
    beta = split_chunks(strengths, length).flatten(3, 4).unsqueeze(-1)
    last = slice(count - 1, None, count)
    products = k @ k.mT
    scores = q @ k.mT
    from_start, to_end, kept = beta * k, k, torch.eye(size, dtype=k.dtype, device=k.device)
    if log_decay is None:
        above = upper(products)
        scores = scores.masked_fill(above[last], 0.0)
    else:
        log_gamma = split_chunks(log_decay, length).cumsum(-1)
        of_all = log_gamma.repeat_interleave(count, -1)
        ratios = decay_ratios(of_all)
        products, scores = products * ratios, scores * ratios[..., last, :]
        gamma = of_all.exp().unsqueeze(-1)
        from_start, q = from_start * gamma, q * gamma[..., last, :]
        to_end, kept = k * ratios[..., -1, :].unsqueeze(-1), kept * gamma[..., -1:, :]
    written = torch.cat([from_start, beta * v], -1)
    solved = torch.linalg.solve_triangular((beta * products).tril(-1), written, upper=False, unitriangular=True)
    of_state, free = solved.split([size, v.shape[-1]], -1)
    transitions, entering = kept - to_end.mT @ of_state, to_end.mT @ free
    starts = []
    for transition, enter in zip(transitions.unbind(0), entering.unbind(0), strict=True):
        starts.append(state)
        state = transition @ state + enter
    before = torch.stack(starts)
    outputs = q @ before + scores @ (free - of_state @ before)
    return join_chunks(outputs, steps), state
