"""What runs: for a recurrence and the backend that is asked for, the kernel that scans it, or the loop."""

from collections.abc import Sequence
from typing import Any

from torch import Tensor

from rnnbench.lit_models.scan.autograd.function import scan_instances
from rnnbench.lit_models.scan.contract import (
    KernelCall,
    ScanKernel,
    Scanned,
    ScannedRecurrence,
    keeps_definition,
    takes,
)
from rnnbench.lit_models.scan.eager.elman import ElmanKernel
from rnnbench.lit_models.scan.eager.lstm import LSTMKernel
from rnnbench.lit_models.scan.eager.residual import ResidualKernel, ResidualWeights
from rnnbench.lit_models.scan.loop.definition import scan_loop
from rnnbench.lit_models.scan.loop.kernel import LoopKernel, weights_of
from rnnbench.lit_models.scan.native.availability import runs_native
from rnnbench.lit_models.scan.native.linear import NativeLinearKernel
from rnnbench.lit_models.scan.native.lstm import NativeLSTMKernel
from rnnbench.lit_models.scan.native.residual import NativeResidualKernel
from rnnbench.lit_models.scan.padding import freeze_padding, hold_cell
from rnnbench.lit_models.scan.policy import current_backend
from rnnbench.lit_models.scan.segments import SegmentedKernel, segment_length
from rnnbench.lit_models.scan.triton.availability import runs_triton
from rnnbench.lit_models.scan.triton.plan import fits


def _form(kernel: ScanKernel) -> tuple[Any, Any] | None:
    """Return the form and the activation of a residual network; None of what is derived, which computes another."""
    if type(kernel) is ElmanKernel:
        return "plain", kernel.activation
    return (kernel.form, "tanh") if type(kernel) is ResidualKernel else None


def _triton(kernel: ScanKernel, _: Sequence[Any], size: int) -> ScanKernel | None:
    # Here: they import triton, which few have.
    from rnnbench.lit_models.scan.triton.lstm import TritonLSTMKernel
    from rnnbench.lit_models.scan.triton.residual import TritonResidualKernel

    if type(kernel) is LSTMKernel and fits(size // 2, gates=4):
        return TritonLSTMKernel()
    form = _form(kernel)
    return TritonResidualKernel(*form) if form and fits(size) else None


def _native(kernel: ScanKernel, weights: Sequence[Any], _: int) -> ScanKernel | None:
    if type(kernel) is LSTMKernel:
        return NativeLSTMKernel()
    if isinstance(kernel, NativeLinearKernel):
        return kernel
    form = _form(kernel)
    dense = type(kernel) is ResidualKernel and ResidualWeights(*weights).dense is not None
    return NativeResidualKernel(*form) if form and not dense else None


# Where each backend runs, and its kernel of a state of S numbers in the place of one in PyTorch; and which of them each
# name tries, in this order; without any, PyTorch.
_BACKENDS = {"triton": (runs_triton, _triton), "native": (runs_native, _native)}
_TRIED = {"auto": ("triton", "native"), "eager": (), "native": ("native",), "triton": ("triton",)}


def choose_kernel(
    kernel: ScanKernel, inputs: Tensor, state: Tensor, weights: Sequence[Any], name: str
) -> ScanKernel | None:
    """Return the kernel that scans inputs [T, B, D] from a state [B, S] in the place of one in PyTorch, or that one.

    None where it is in C alone, which does not run here.

    The weights are one network's, as the kernel takes them; ``name`` is any backend's that is asked for but ``loop``.
    RuntimeError if it cannot run here at all.
    """
    for backend in _TRIED[name]:
        runs, kernel_of = _BACKENDS[backend]
        found = kernel_of(kernel, weights, state.shape[-1]) if runs(inputs, state, asked=name == backend) else None
        if found is not None:
            return found
    return None if isinstance(kernel, NativeLinearKernel) else kernel


def scan(
    recurrence: ScannedRecurrence, inputs: Tensor, state: Tensor, lengths: Tensor | None, keep_outputs: bool = True
) -> Scanned:
    """Scan a recurrence by the current backend; arguments and results are as in ``scan_loop``."""
    backend, cls = current_backend(), type(recurrence)
    segment = segment_length(len(inputs), backend.checkpoint_every)
    found = None
    if backend.name != "loop":
        if keeps_definition(cls, "scan_kernel"):
            call = recurrence.scan_kernel()
            if call is not None:
                found = _scan_by_kernel(recurrence, call, inputs, state, lengths, keep_outputs, segment)
        if found is None and keeps_definition(cls, "scan_linear") and (segment is None or lengths is not None):
            found = recurrence.scan_linear(inputs, state, lengths, keep_outputs)
    if found is None and segment is not None and lengths is None:
        weights = list(weights_of(recurrence).values())
        if takes(inputs, state, *weights):
            # Within a segment, which is computed again for the backward pass, all scans are there.
            kernel = SegmentedKernel(LoopKernel(recurrence, scan), segment, recomputes=True)
            found = scan_instances(kernel, inputs, state, weights, keep_outputs)
    return scan_loop(recurrence, inputs, state, lengths, keep_outputs) if found is None else found


def _scan_by_kernel(
    recurrence: ScannedRecurrence,
    call: KernelCall,
    inputs: Tensor,
    state: Tensor,
    lengths: Tensor | None,
    keep_outputs: bool,
    segment: int | None,
) -> Scanned | None:
    kernel, weights = call
    if not takes(inputs, state, *weights):
        return None
    if lengths is not None:
        if isinstance(kernel, LSTMKernel):
            inputs, weights = hold_cell(inputs, weights, kernel.holding_signs, lengths)
        elif recurrence.output(state) is not state:
            # The kernel gives outputs, of which the states are not known.
            return None
    chosen = choose_kernel(kernel, inputs, state, weights, current_backend().name)
    if chosen is None:
        return None
    if segment is not None:
        chosen = SegmentedKernel(chosen, segment)
    outputs, final = scan_instances(chosen, inputs, state, weights, keep_outputs or lengths is not None)
    if lengths is None:
        return outputs, final
    return freeze_padding(outputs, state, lengths, keep_outputs, final)
