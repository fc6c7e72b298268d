"""Forward and backward on a GPU: the Triton kernels beside what people would use, once they are as exact as the loop.

Without a GPU ``--quick`` runs them at a tiny size, through Triton's interpreter, to see that they work.
"""

import os
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial

import numpy as np
import torch
from torch import Tensor, nn

from rnnbench.benchmark.errors import UserError
from rnnbench.benchmark.speed.cases import Cell, SequenceCase, ensembles, gradient_work
from rnnbench.benchmark.speed.contender import Contender, Measured, Report, Result, Target
from rnnbench.benchmark.speed.scan import TorchNetwork
from rnnbench.lit_models.ensemble import Ensemble
from rnnbench.lit_models.scan.policy import BackendName
from rnnbench.lit_models.scan.triton.availability import why_no_triton

#: Largest error against the float64 loop, as a multiple of the float32 loop's, and what rounding may add to that one.
LARGEST_ERROR_RATIO = 3.0
ROUNDING = 5e-7 / LARGEST_ERROR_RATIO
#: Instances of the large ensemble.
MANY = 16
#: Steps that one run makes, one after the other as in training, where none waits for the device before the next begins.
_STEPS = 10

#: Computes the loss and all gradients by name, which stay on the device.
Work = Callable[[], dict[str, Tensor]]


def check_device(quick: bool) -> None:
    """Check that the kernels can run; without a GPU, let the processes started from here interpret them.

    Raises:
        UserError: there is no triton, no GPU for a case that is not quick, or kernels would be interpreted in spite of
            a GPU.
    """
    on_gpu = torch.cuda.is_available()
    if not on_gpu and not quick:
        raise UserError(
            "there is no CUDA device; --quick tries the kernels through Triton's interpreter, at a tiny size"
        )
    if not on_gpu:
        os.environ["TRITON_INTERPRET"] = "1"
    elif os.environ.get("TRITON_INTERPRET", "0") not in ("", "0"):
        raise UserError("TRITON_INTERPRET is set: kernels would be interpreted on the processor; unset it")
    reason = why_no_triton(on_gpu)
    if reason is not None:
        raise UserError(reason)


def training(network: nn.Module, case: SequenceCase, scan: BackendName) -> Work:
    """Return what computes the losses and gradients of a network, moved to the device."""
    inputs, classes = (tensor.to(_device()) for tensor in case.data())
    return gradient_work(network.to(_device()), (inputs, classes), scan)


def error_ratios(case: SequenceCase, instances: int) -> Result:
    """Return the largest errors of the kernels against the float64 loop, in multiples of the float32 loop's.

    Of the loss and each gradient of an ensemble's first and last instance, at a coupling so strong that an error in its
    gradient cannot hide.
    """
    case = replace(case, gamma=0.3)
    together = training(Ensemble([case.network(index) for index in range(instances)]), case, "triton")()
    found: dict[str, float] = {}
    for index in {0, instances - 1}:
        exact_case = replace(case, precision="float64")
        exact = training(exact_case.network(index), exact_case, "loop")()
        single = training(case.network(index), case, "loop")()
        for name, true in exact.items():
            scale = true.abs().max().clamp_min(torch.finfo(torch.float32).tiny)
            pair = together[name][index], single[name]
            error, loop_error = (float((each - true).abs().max() / scale) for each in pair)
            found[name] = max(found.get(name, 0.0), error / (loop_error + ROUNDING))
    return {name: np.array(ratio) for name, ratio in found.items()}


def build_kernels(case: SequenceCase, instances: int) -> Callable[[], Measured]:
    """Prepare an ensemble by the kernels; the result is its ``error_ratios``."""
    ensemble = Ensemble([case.network(index) for index in range(instances)])
    return _timed(training(ensemble, case, "triton"), error_ratios(case, instances))


def build_loop(case: SequenceCase) -> Callable[[], Measured]:
    """Prepare the plain loop, whose result is that there is no error."""
    work = training(case.network(0), case, "loop")
    return _timed(work, {name: np.zeros(()) for name in work()})


def build_torch(case: SequenceCase) -> Callable[[], Measured]:
    """Prepare cuDNN's layer; that of a WCRNN is not residual, and does other work."""
    return _timed(training(TorchNetwork(case, nn.LSTM if case.cell == "LSTM" else nn.RNN), case, "loop"))


def build_graph(case: SequenceCase) -> Callable[[], Measured]:
    """Prepare a CUDA graph of the plain loop, with its backward pass."""
    _need_gpu()
    work = training(case.network(0), case, "loop")
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        for _ in range(3):
            work()
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        kept = work()
    return _timed(partial(_replay, graph, kept, work))


def _replay(graph: torch.cuda.CUDAGraph, kept: dict[str, Tensor], work: Work) -> dict[str, Tensor]:
    """Replay a graph; what the work reads is held as long as the graph, which keeps none of it."""
    graph.replay()
    return kept


def build_compiled(case: SequenceCase) -> Callable[[], Measured]:
    """Prepare the plain loop over a compiled step: a compiler that unrolls a loop over time takes minutes for it."""
    _need_gpu()
    network = case.network(0).to(_device())
    network.recurrence.advance = torch.compile(network.recurrence.advance)  # type: ignore[method-assign]
    return _timed(training(network, case, "loop"))


def _device() -> torch.device:
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def _need_gpu() -> None:
    if not torch.cuda.is_available():
        raise UserError("there is no CUDA device")


def _timed(work: Work, result: Result | None = None) -> Callable[[], Measured]:
    """Return a run of some steps, whose time is that of one of them: on a GPU by its own clock."""

    def run() -> Measured:
        if torch.cuda.is_available():
            start, end = torch.cuda.Event(True), torch.cuda.Event(True)
            torch.cuda.synchronize()
            start.record()
            for _ in range(_STEPS):
                work()
            end.record()
            torch.cuda.synchronize()
            seconds = float(start.elapsed_time(end)) / 1000 / _STEPS
        else:
            begin = time.perf_counter()
            work()
            seconds = time.perf_counter() - begin
        return Measured(result or {}, seconds, seconds)

    return run


def _report(
    cell: Cell, units: int, cudnn: str, to_loop: float | None, bounds: dict[str, tuple[str, float]]
) -> Report[SequenceCase]:
    case = SequenceCase(cell, units)
    ours = partial(ensembles, build=build_kernels, package="triton", whole_machine=True)
    others = partial(Contender[SequenceCase], whole_machine=True, compared=False)
    return Report(
        title=f"forward and backward of {cell}, {units} units",
        case=case,
        quick=replace(case, units=6, sequences=2, steps=4),
        contenders=(
            Contender("plain loop", build_loop, whole_machine=True),
            *ours(1, largest_ratio=to_loop),
            *ours(MANY),
            others(cudnn, build_torch),
            others("CUDA graph of the loop", build_graph, optional=True),
            others("loop over a compiled step", build_compiled, optional=True),
        ),
        tolerance=LARGEST_ERROR_RATIO,
        targets=tuple(Target((ours,), (theirs,), largest) for ours, (theirs, largest) in bounds.items()),
        note=(
            f"A run makes {_STEPS} steps in a row; its time is one step's on the GPU's clock. Differences are errors "
            "against the float64 loop, in multiples of the float32 loop's."
        ),
        check=check_device,
    )


_ONE, _ALL = (f"rnnbench, M = {instances}" for instances in (1, MANY))
_RNN, _LSTM = "cuDNN nn.RNN (not residual)", "cuDNN nn.LSTM"
REPORTS = (
    _report("WCRNN, diagonal R", 100, _RNN, 1 / 20, {_ONE: (_RNN, 1.0), _ALL: (_ONE, 1.5 / MANY)}),
    _report("LSTM", 47, _LSTM, None, {_ONE: (_LSTM, 1.5), _ALL: (_LSTM, 1 / 5)}),
)
