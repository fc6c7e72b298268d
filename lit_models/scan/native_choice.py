"""Whether a compiled walk takes the place of a hand-derived scan in PyTorch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor

from rnnbench.lit_models.scan.native_library import native_library, padded_length
from rnnbench.lit_models.scan.walk import Walk


def why_no_native() -> str | None:
    """Return why compiled walks cannot be taken here; None where they can."""
    if native_library() is None:
        return "its walks were not compiled when rnnbench was installed: install it again where there is a C compiler"
    return None


def native_for(walk: Walk, inputs: Tensor, state: Tensor, weights: Sequence[Any], name: str) -> Walk:
    """Return the compiled walk that does what a walk does, or the walk itself.

    Args:
        walk: a hand-derived scan in PyTorch.
        inputs: [T, B, D].
        state: [B, S].
        weights: as the walk wants them.
        name: of the scan that was chosen; ``auto``, ``graph`` and ``native`` take what is compiled.

    Raises:
        RuntimeError: ``native`` was chosen where nothing was compiled.
    """
    if name not in ("auto", "graph", "native"):
        return walk
    reason = why_no_native()
    if name == "native" and reason is not None:
        raise RuntimeError(f"the scan 'native' was chosen, but {reason}")
    if reason is not None or state.device.type != "cpu" or 0 in (*inputs.shape, *state.shape):
        return walk
    # Batches are padded to whole vectors: of few sequences most of what is kept would be zeros.
    if padded_length(state.shape[0], state.element_size()) > 2 * state.shape[0]:
        return walk
    # Here, for they import what imports the choice.
    from rnnbench.lit_models.scan.fused_elman import ElmanWalk
    from rnnbench.lit_models.scan.fused_gated import LSTMWalk
    from rnnbench.lit_models.scan.fused_residual import ResidualWalk, ResidualWeights
    from rnnbench.lit_models.scan.native_lstm import NativeLSTM
    from rnnbench.lit_models.scan.native_walk import NativeWalk

    # Not isinstance: what is derived from a walk computes something else.
    if type(walk) is LSTMWalk:
        return NativeLSTM()
    if type(walk) is ElmanWalk:
        return NativeWalk("plain", walk.activation)
    if type(walk) is ResidualWalk and ResidualWeights(*weights).dense is None:
        return NativeWalk(walk.form)
    return walk
