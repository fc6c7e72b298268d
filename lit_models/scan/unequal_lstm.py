"""Sequences of unequal lengths on the hand-derived scans of LSTMs, whose outputs are not their whole state."""

from __future__ import annotations

import torch
from torch import Tensor

from rnnbench.lit_models.scan.instance_scan import scan_instances
from rnnbench.lit_models.scan.unequal import past_end, stand_still
from rnnbench.lit_models.scan.walk import Walk

# So large that σ of it is exactly 1, and of its negative 0, whatever a gate's other inputs are.
_SATURATING = 1e4


def scan_lstm_to(
    walk: Walk,
    inputs: Tensor,
    state: Tensor,
    weight: Tensor,
    signs: tuple[float, float],
    lengths: Tensor,
    keep_outputs: bool,
) -> tuple[Tensor, Tensor] | None:
    """Scan sequences that end early; their cells stand still since a further input saturates two gates past the end.

    Args:
        walk: ``LSTMWalk`` or one with another cell.
        inputs: [T, B, D].
        state: [h, c] [B, 2N].
        weight: the walk's, [4N, N + D + 1].
        signs: of the further input's weight in the first and the second gate, such that they keep the cell.
        lengths: [B] valid steps.
        keep_outputs: whether outputs are wanted.

    Returns:
        Outputs [T, B, N], or an empty tensor, and the last valid states [B, 2N]; None for what ``scan_instances``
        refuses.
    """
    units = state.shape[-1] // 2
    column = weight.new_tensor([*signs, 0.0, 0.0]).mul_(_SATURATING).repeat_interleave(units).unsqueeze(-1)
    wider = torch.cat([weight[:, :-1], column, weight[:, -1:]], 1)
    found = scan_instances(walk, torch.cat([inputs, past_end(lengths, inputs)], -1), state, [wider], keep_outputs=True)
    if found is None:
        return None
    outputs, hidden = stand_still(found[0], state[..., :units], lengths, keep_outputs)
    return outputs, torch.cat([hidden, found[1][..., units:]], -1)
