"""Compares what the loop and a hand-derived scan compute."""

from unittest import mock

import torch

from rnnbench.lit_models.scan.choice import scanning
from rnnbench.lit_models.scan.native_call import NativeCall

TOLERANCES = {"rtol": 1e-10, "atol": 1e-10}


def both(compute):
    """Return what the loop and the fused scan compute; the fused one must have run."""
    with scanning("loop"):
        expected = compute()
    with (
        mock.patch("rnnbench.lit_models.scan.choice.scan_loop", side_effect=AssertionError("walked the loop")),
        scanning("fused"),
    ):
        found = compute()
    return expected, found


def assert_equal(compute):
    """Check that the scan in PyTorch, and what is compiled of it, give what the loop does."""
    expected, found = both(compute)
    torch.testing.assert_close(found, expected, **TOLERANCES)
    with scanning("auto"), mock.patch.object(NativeCall, "run", autospec=True, side_effect=NativeCall.run) as compiled:
        found = compute()
    if compiled.called:
        torch.testing.assert_close(found, expected, **TOLERANCES)


def gradients(value, tensors):
    # Powers and a weight for each element, so that no gradient is uniform.
    weights = torch.arange(1.0, value.numel() + 1).reshape(value.shape)
    return value, *torch.autograd.grad((weights * value**2).sum(), tensors, materialize_grads=True)
