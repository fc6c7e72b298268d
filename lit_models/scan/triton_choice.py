"""Whether Triton kernels walk, in place of a hand-derived scan in PyTorch. Imports triton where they do, not before."""

from __future__ import annotations

import functools
import importlib.util
import os

import torch
from torch import Tensor

from rnnbench.lit_models.scan.triton_plan import fits
from rnnbench.lit_models.scan.walk import Walk

# Those that the layouts were compiled for, and newer ones.
_LEAST_CAPABILITY = (8, 0)


def why_no_triton(on_gpu: bool) -> str | None:
    """Return why Triton kernels cannot walk here; None where they can.

    Args:
        on_gpu: whether tensors are on a CUDA device; elsewhere Triton's interpreter runs them, if it is told to.
    """
    if importlib.util.find_spec("triton") is None:
        return "triton is not installed: pip install 'rnnbench[gpu]' (on Linux)"
    if not on_gpu and not _interpreted():
        return (
            "there is no CUDA device; only with TRITON_INTERPRET=1 in the environment, and very slowly, do the kernels "
            "run without one"
        )
    return None


def kernels_for(walk: Walk, inputs: Tensor, state: Tensor, name: str) -> Walk:
    """Return the Triton kernels that do what a walk does, or the walk itself.

    Args:
        walk: a hand-derived scan in PyTorch.
        inputs: [T, B, D].
        state: [B, S].
        name: of the scan that was chosen. ``auto`` and ``graph`` take kernels on CUDA alone; ``triton`` also those that
            are interpreted.

    Raises:
        RuntimeError: ``triton`` was chosen where no kernel can run at all.
    """
    if name not in ("auto", "triton", "graph"):
        return walk
    reason = why_no_triton(state.is_cuda)
    if name == "triton" and reason is not None:
        raise RuntimeError(f"the scan 'triton' was chosen, but {reason}")
    if reason is not None or state.dtype != torch.float32 or 0 in (*inputs.shape, *state.shape):
        return walk
    if name != "triton" and (_interpreted() or not (state.is_cuda and _is_known(state.device))):
        return walk
    return _kernels(walk, state.shape[-1]) or walk


def _kernels(walk: Walk, state_size: int) -> Walk | None:
    # Here, for they import what imports the choice.
    from rnnbench.lit_models.scan.fused_elman import ElmanWalk
    from rnnbench.lit_models.scan.fused_gated import LSTMWalk
    from rnnbench.lit_models.scan.fused_residual import ResidualWalk

    # Not isinstance: what is derived from a walk computes something else.
    kind = type(walk)
    if kind is LSTMWalk:
        if not fits(state_size // 2, gates=4):
            return None
        from rnnbench.lit_models.scan.triton_lstm import TritonLSTMWalk

        return TritonLSTMWalk()
    if kind not in (ElmanWalk, ResidualWalk) or not fits(state_size):
        return None
    from rnnbench.lit_models.scan.triton_residual import Setting, TritonResidualWalk

    if kind is ElmanWalk:
        return TritonResidualWalk(Setting("plain", walk.activation))
    return TritonResidualWalk(Setting(walk.form, "tanh"))


def _interpreted() -> bool:
    return os.environ.get("TRITON_INTERPRET", "0").lower() in ("1", "true", "on", "yes", "y")


@functools.cache
def _is_known(device: torch.device) -> bool:
    return torch.version.hip is None and torch.cuda.get_device_capability(device) >= _LEAST_CAPABILITY
