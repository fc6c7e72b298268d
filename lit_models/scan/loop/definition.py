"""The plain loop over time: the definition that every other scan is held equal to."""

from collections.abc import Iterable

import torch
from torch import Tensor

from rnnbench.lit_models.scan.contract import Scanned, ScannedRecurrence


def scan_loop(
    recurrence: ScannedRecurrence, inputs: Tensor, state: Tensor, lengths: Tensor | None, keep_outputs: bool = True
) -> Scanned:
    """Scan inputs [T, B, D] from a state [B, S], with lengths [B] of valid steps or None for all; see ``Scanned``."""
    outputs: list[Tensor] = []
    # unbind, not indexing: x[t] of a tensor that needs gradients makes backward quadratic in T.
    if torch.is_grad_enabled():
        steps: Iterable[Tensor] = recurrence.project(inputs).unbind(0)
    else:
        # Evaluation runs in large batches, whose projections of all steps would take gigabytes.
        steps = map(recurrence.project, inputs.unbind(0))
    for t, projected in enumerate(steps):
        following = recurrence.advance(projected, state)
        state = following if lengths is None else torch.where((t < lengths).unsqueeze(-1), following, state)
        if keep_outputs:
            outputs.append(recurrence.output(state))
    if not keep_outputs:
        return inputs.new_empty(0), state
    return torch.stack(outputs) if outputs else state.new_empty(0, *recurrence.output(state).shape), state
