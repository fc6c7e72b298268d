"""Whether Triton kernels run here, in the place of hand-derived scans in PyTorch. Imports no triton."""

import functools
import importlib.util
import os

import torch
from torch import Tensor

# Those that the layouts were compiled for, and newer ones.
_LEAST_CAPABILITY = (8, 0)


def why_no_triton(on_gpu: bool) -> str | None:
    """Return why Triton kernels cannot run here, on a GPU or through Triton's interpreter; None where they can."""
    if importlib.util.find_spec("triton") is None:
        return "triton is not installed: pip install 'rnnbench[gpu]' (on Linux)"
    if not on_gpu and not _interpreted():
        return (
            "there is no CUDA device; only with TRITON_INTERPRET=1 in the environment, and very slowly, do the kernels "
            "run without one"
        )
    return None


def runs_triton(inputs: Tensor, state: Tensor, asked: bool) -> bool:
    """Return whether Triton kernels take inputs [T, B, D] and a state [B, S], on CUDA alone unless asked for by name.

    RuntimeError if they were, and cannot run at all, not even interpreted.
    """
    if not asked and (not state.is_cuda or _interpreted()):
        return False
    reason = why_no_triton(state.is_cuda)
    if asked and reason is not None:
        raise RuntimeError(f"the backend 'triton' was asked for, but {reason}")
    if reason is not None or state.dtype != torch.float32 or 0 in (*inputs.shape, *state.shape):
        return False
    return asked or _is_known(state.device)


def _interpreted() -> bool:
    return os.environ.get("TRITON_INTERPRET", "0").lower() in ("1", "true", "on", "yes", "y")


@functools.cache
def _is_known(device: torch.device) -> bool:
    return torch.version.hip is None and torch.cuda.get_device_capability(device) >= _LEAST_CAPABILITY
