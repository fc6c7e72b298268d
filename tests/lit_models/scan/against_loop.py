"""Compares what the loop and a hand-derived scan compute."""

from unittest import mock

import torch

from rnnbench.lit_models.scan import dispatch
from rnnbench.lit_models.scan.native.call import NativeCall
from rnnbench.lit_models.scan.policy import use_backend

TOLERANCES = {"rtol": 1e-10, "atol": 1e-10}


def both(compute):
    """Return what the loop and the fused scan compute; the fused one must have run."""
    with use_backend("loop"):
        expected = compute()
    with (
        mock.patch("rnnbench.lit_models.scan.dispatch.scan_loop", side_effect=AssertionError("ran the loop")),
        use_backend("eager"),
    ):
        found = compute()
    return expected, found


def takes_loop(recurrence, inputs, state=None):
    """Return whether a recurrence takes the loop by itself."""
    with mock.patch("rnnbench.lit_models.scan.dispatch.scan_loop", side_effect=dispatch.scan_loop) as loop:
        recurrence(inputs, state)
    return loop.called


def assert_equal(compute):
    """Check that the scan in PyTorch, and what is compiled of it, give what the loop does."""
    expected, found = both(compute)
    torch.testing.assert_close(found, expected, **TOLERANCES)
    with (
        use_backend("auto"),
        mock.patch.object(NativeCall, "run", autospec=True, side_effect=NativeCall.run) as compiled,
    ):
        found = compute()
    if compiled.called:
        torch.testing.assert_close(found, expected, **TOLERANCES)


def gradients(value, tensors):
    # Powers and a weight for each element, so that no gradient is uniform.
    weights = torch.arange(1.0, value.numel() + 1).reshape(value.shape)
    return value, *torch.autograd.grad((weights * value**2).sum(), tensors, materialize_grads=True)
