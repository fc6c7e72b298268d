"""What runs: for a recurrence and the backend that is asked for, the kernel that scans it, or the loop."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

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
from rnnbench.lit_models.scan.native.lstm import NativeLSTMKernel
from rnnbench.lit_models.scan.native.residual import NativeResidualKernel
from rnnbench.lit_models.scan.padding import freeze_padding, hold_cell
from rnnbench.lit_models.scan.policy import current_backend
from rnnbench.lit_models.scan.segments import SegmentedKernel, segment_length
from rnnbench.lit_models.scan.triton.availability import runs_triton
from rnnbench.lit_models.scan.triton.plan import fits


class Entry(NamedTuple):
    """A kernel of another backend in the place of one in PyTorch.

    Attributes:
        backend: whose it is.
        replaces: the kernel in PyTorch, this very class: what is derived from it computes something else.
        applies: says whether it computes for such weights and a state of S numbers.
        build: makes it from that in PyTorch.
    """

    backend: str
    replaces: type
    applies: Callable[[Sequence[Any], int], bool]
    build: Callable[[Any], ScanKernel]


def _triton_lstm(_: LSTMKernel) -> ScanKernel:
    # Here, and below: it imports triton, which few have.
    from rnnbench.lit_models.scan.triton.lstm import TritonLSTMKernel

    return TritonLSTMKernel()


def _triton_residual(kernel: ElmanKernel | ResidualKernel) -> ScanKernel:
    from rnnbench.lit_models.scan.triton.residual import TritonResidualKernel

    if isinstance(kernel, ElmanKernel):
        return TritonResidualKernel("plain", kernel.activation)
    return TritonResidualKernel(kernel.form, "tanh")


#: Every kernel that is not in PyTorch.
BACKENDS = (
    Entry("triton", LSTMKernel, lambda _, size: fits(size // 2, gates=4), _triton_lstm),
    Entry("triton", ElmanKernel, lambda _, size: fits(size), _triton_residual),
    Entry("triton", ResidualKernel, lambda _, size: fits(size), _triton_residual),
    Entry("native", LSTMKernel, lambda *_: True, lambda _: NativeLSTMKernel()),
    Entry("native", ElmanKernel, lambda *_: True, lambda kernel: NativeResidualKernel("plain", kernel.activation)),
    Entry(
        "native",
        ResidualKernel,
        lambda weights, _: ResidualWeights(*weights).dense is None,
        lambda kernel: NativeResidualKernel(kernel.form),
    ),
)
# Where each backend runs, and which of them each name tries, in this order; without any, PyTorch.
_RUNS = {"triton": runs_triton, "native": runs_native}
_TRIED = {"auto": ("triton", "native"), "eager": (), "native": ("native",), "triton": ("triton",)}


def choose_kernel(kernel: ScanKernel, inputs: Tensor, state: Tensor, weights: Sequence[Any], name: str) -> ScanKernel:
    """Return the kernel that scans inputs [T, B, D] from a state [B, S] in the place of one in PyTorch, or that one.

    The weights are one network's, as the kernel takes them; ``name`` is any backend's that is asked for but ``loop``.

    Raises:
        RuntimeError: a backend was asked for by its name that cannot run here at all.
    """
    for backend in _TRIED[name]:
        if _RUNS[backend](inputs, state, asked=name == backend):
            for entry in BACKENDS:
                fitting = entry.replaces is type(kernel) and entry.backend == backend
                if fitting and entry.applies(weights, state.shape[-1]):
                    return entry.build(kernel)
    return kernel


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
        elif keeps_definition(cls, "scan_linear") and (segment is None or lengths is not None):
            found = recurrence.scan_linear(inputs, state, lengths, keep_outputs)
    if found is None and segment is not None and lengths is None:
        weights = weights_of(recurrence)
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
    if segment is not None:
        chosen = SegmentedKernel(chosen, segment)
    outputs, final = scan_instances(chosen, inputs, state, weights, keep_outputs or lengths is not None)
    if lengths is None:
        return outputs, final
    return freeze_padding(outputs, state, lengths, keep_outputs, final)
