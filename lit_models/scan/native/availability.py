"""Whether the compiled kernels run here, in the place of hand-derived scans in PyTorch."""

from torch import Tensor

from rnnbench.lit_models.scan.native.library import find_library, padded_length


def why_no_native() -> str | None:
    """Return why compiled kernels cannot run here; None where they can."""
    library, reason = find_library()
    return reason if library is None else None


def runs_native(inputs: Tensor, state: Tensor, asked: bool) -> bool:
    """Return whether compiled kernels take inputs [T, B, D] and a state [B, S]; RuntimeError if asked for in vain."""
    reason = why_no_native()
    if asked and reason is not None:
        raise RuntimeError(f"the backend 'native' was asked for, but {reason}")
    if reason is not None or state.device.type != "cpu" or 0 in (*inputs.shape, *state.shape):
        return False
    # Batches are padded to whole vectors: of few sequences most of what is kept would be zeros.
    return padded_length(state.shape[0], state.element_size()) <= 2 * state.shape[0]
