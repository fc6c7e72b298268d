"""Sequences of unequal lengths on scans that run over all steps: states past the end of a sequence are set right."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

# So large that σ of it is exactly 1, and of its negative 0, whatever a gate's other inputs are.
_SATURATING = 1e4


def padding_mask(lengths: Tensor, like: Tensor) -> Tensor:
    """Return [T, B, 1]: 1 where a step of ``like`` [T, B, ...] lies past the end of its sequence, and 0 elsewhere."""
    times = torch.arange(len(like), device=lengths.device).unsqueeze(-1)
    return (times >= lengths).unsqueeze(-1).to(like.dtype)


def freeze_padding(
    outputs: Tensor, first: Tensor, lengths: Tensor, keep: bool, final: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """Set outputs [T, B, N] past ``lengths`` [B] to the last valid one; return them and the last valid states [B, S].

    Outputs are the first N numbers of the state after each step, and ``first`` [B, S] is the state before all; of
    ``final``, needed where S is above N, the other numbers are right. Without ``keep``, outputs are an empty tensor.

    >>> states = torch.tensor([1.0, 2.0, 3.0]).reshape(3, 1, 1).expand(3, 2, 1)
    >>> frozen, last = freeze_padding(states, torch.zeros(2, 1), torch.tensor([2, 0]), keep=True)
    >>> frozen[..., 0].T.tolist(), last.T.tolist()
    ([[1.0, 2.0, 2.0], [0.0, 0.0, 0.0]], [[2.0, 0.0]])
    """
    units = outputs.shape[-1]
    ends = (lengths - 1).clamp(min=0).reshape(1, -1, 1).expand(1, -1, units)
    last = torch.where((lengths > 0).unsqueeze(-1), outputs.gather(0, ends)[0], first[..., :units])
    state = last if final is None or final.shape[-1] == units else torch.cat([last, final[..., units:]], -1)
    if not keep:
        return outputs.new_empty(0), state
    return torch.where(padding_mask(lengths, outputs).bool(), last, outputs), state


def hold_cell(
    inputs: Tensor, weights: Sequence[Any], signs: tuple[float, float], lengths: Tensor
) -> tuple[Tensor, list[Tensor]]:
    """Add an input that saturates two gates of an LSTM past the end of its sequence, so that the cell keeps its value.

    Of inputs [T, B, D] and the one weight [4N, N + D + 1] of ``LSTMKernel`` or a kernel with another cell: ``signs``
    are those of the further input's weight in the first and the second gate.
    """
    (weight,) = weights
    units = weight.shape[0] // 4
    column = weight.new_tensor([*signs, 0.0, 0.0]).mul_(_SATURATING).repeat_interleave(units).unsqueeze(-1)
    wider = torch.cat([weight[:, :-1], column, weight[:, -1:]], 1)
    return torch.cat([inputs, padding_mask(lengths, inputs)], -1), [wider]
