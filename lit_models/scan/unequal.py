"""Sequences of unequal lengths on scans that walk all steps: what comes after the end of a sequence is set right."""

from __future__ import annotations

import torch
from torch import Tensor


def past_end(lengths: Tensor, like: Tensor) -> Tensor:
    """Return [T, B, 1]: 1 where a step of ``like`` [T, B, ...] lies past the end of its sequence, and 0 elsewhere."""
    times = torch.arange(len(like), device=lengths.device).unsqueeze(-1)
    return (times >= lengths).unsqueeze(-1).to(like.dtype)


def stand_still(states: Tensor, first: Tensor, lengths: Tensor, keep: bool) -> tuple[Tensor, Tensor]:
    """Let states stand still from the ends of their sequences on.

    Args:
        states: after each step [T, B, S], whatever they are past the ends.
        first: before the first step [B, S].
        lengths: [B] valid steps, from 0 to T.
        keep: whether all states are wanted.

    Returns:
        States [T, B, S], or an empty tensor without ``keep``, and the last valid ones [B, S].

    >>> states = torch.tensor([1.0, 2.0, 3.0]).reshape(3, 1, 1).expand(3, 2, 1)
    >>> still, last = stand_still(states, torch.zeros(2, 1), torch.tensor([2, 0]), keep=True)
    >>> still[..., 0].T.tolist(), last.T.tolist()
    ([[1.0, 2.0, 2.0], [0.0, 0.0, 0.0]], [[2.0, 0.0]])
    """
    ends = (lengths - 1).clamp(min=0).reshape(1, -1, 1).expand(1, *first.shape)
    last = torch.where((lengths > 0).unsqueeze(-1), states.gather(0, ends)[0], first)
    if not keep:
        return states.new_empty(0), last
    return torch.where(past_end(lengths, states).bool(), last, states), last
