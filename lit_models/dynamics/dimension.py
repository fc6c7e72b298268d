"""What follows from a Lyapunov spectrum: the Kaplan-Yorke dimension and a bound of the entropy rate."""

import torch
from torch import Tensor


def kaplan_yorke_dimension(exponents: Tensor, state_size: int | None = None) -> Tensor:
    """Return k + (λ_1 + ... + λ_k) / |λ_{k+1}|, with k the largest number of leading exponents whose sum is ≥ 0.

    0 if λ_1 < 0; S if all S exponents have a sum ≥ 0 (Kaplan & Yorke 1979). Exponents are [..., K] in any order, -inf
    included; S is K unless ``state_size`` is given. NaN where one is, and where K < S and K exponents have a sum ≥ 0.

    >>> kaplan_yorke_dimension(torch.tensor([[0.5, -0.25, -0.5], [-1.0, -2.0, -3.0]])).tolist()
    [2.5, 0.0]
    """
    _check_count(exponents, state_size)
    ordered = exponents.sort(dim=-1, descending=True)[0]
    sums, count = ordered.cumsum(-1), ordered.shape[-1]
    k = (sums >= 0).sum(-1, keepdim=True)
    whole = k == count
    following = ordered.gather(-1, k.clamp(max=count - 1))
    partial = torch.where(k > 0, sums.gather(-1, (k - 1).clamp(min=0)), 0.0)
    dimension = torch.where(whole, k.to(ordered), k + partial / following.abs()).squeeze(-1)
    undecided = whole.squeeze(-1) & (count != (count if state_size is None else state_size))
    return dimension.masked_fill(undecided | ordered.isnan().any(-1), torch.nan)


def entropy_rate(exponents: Tensor, state_size: int | None = None) -> Tensor:
    """Return the sum [...] of the positive exponents of [..., K], nats per step: Pesin's bound of the entropy rate.

    NaN where an exponent is, and where K < S (``state_size``; K if None) and all K leading exponents are positive.

    >>> entropy_rate(torch.tensor([0.5, 0.25, -1.0])).item()
    0.75
    """
    _check_count(exponents, state_size)
    positive = exponents.clamp(min=0.0).sum(-1)
    count = exponents.shape[-1]
    undecided = (exponents > 0).all(-1) & (count != (count if state_size is None else state_size))
    return positive.masked_fill(undecided, torch.nan)


def _check_count(exponents: Tensor, state_size: int | None) -> None:
    """Raise ValueError if there is no exponent, or more than the state has directions."""
    count = exponents.shape[-1]
    if not 1 <= count <= (count if state_size is None else state_size):
        most = "" if state_size is None else f" and at most {state_size}, the size of the state"
        raise ValueError(f"the number of exponents must be at least 1{most}, got {count}")
