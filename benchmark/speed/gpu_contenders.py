"""What ``rnnbench speed gpu`` compares: one network or sixteen on a GPU, by the kernels and by others."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace

import torch
from torch import Tensor, nn

from rnnbench.benchmark.speed.cases import Cell, SequenceCase, class_losses
from rnnbench.benchmark.speed.contender import Target
from rnnbench.benchmark.speed.scan import TorchNetwork
from rnnbench.lit_models.ensemble import Ensemble
from rnnbench.lit_models.scan.choice import ScanName, scanning

DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")
MANY = 16
ONE = "rnnbench, kernels"
ALL = f"{ONE}, M = {MANY}"
GRAPHED, GRAPHED_ALL = f"{ONE}, in a CUDA graph", f"{ALL}, in a CUDA graph"
LOOP, LOOP_GRAPH, COMPILED = "eager loop", "CUDA graph of the loop", "loop over a compiled step"
TORCH: dict[Cell, str] = {"WCRNN, diagonal R": "cuDNN nn.RNN (not residual)", "LSTM": "cuDNN nn.LSTM"}

Work = Callable[[], object]


@dataclass(frozen=True)
class GpuCase:
    """A cell at the size of sequential MNIST, in float32."""

    case: SequenceCase
    is_quick: bool = False

    @property
    def title(self) -> str:
        """What is computed."""
        return f"forward and backward of {self.case.cell}, {self.case.units} units"

    def sizes(self) -> dict[str, object]:
        """Return the sizes by name."""
        return asdict(self.case)

    def quick(self) -> GpuCase:
        """Return the same at a size that the interpreter walks in seconds."""
        return GpuCase(replace(self.case, units=6, sequences=2, steps=4), is_quick=True)

    def errors(self) -> dict[str, tuple[float, float]]:
        """Return the largest relative errors of kernels and float32 loop against the float64 loop, of each tensor.

        Of one network, and of the first and the last of many, which are laid out in another way.
        """
        # Coupled strongly, so that an error in the coupling's gradient cannot hide.
        case, many = replace(self.case, gamma=0.3), self._many
        networks = [case.network(index) for index in range(many)]
        together = self._gradients(Ensemble(networks), "triton")
        found = {}
        for index in (0, many - 1):
            exact = self._gradients(replace(case, precision="float64").network(index), "loop")
            single = self._gradients(networks[index], "loop")
            ours = {f"{name}, M = {many}": (name, value[index]) for name, value in together.items()}
            if index == 0:
                ours |= {name: (name, value) for name, value in self._gradients(networks[0], "triton").items()}
            for title, (name, value) in ours.items():
                true = exact[name]
                scale = true.abs().max().clamp_min(torch.finfo(torch.float32).tiny)
                error, loop_error = ((each - true).abs().max().div(scale).item() for each in (value, single[name]))
                found[f"{title}, instance {index}"] = error, loop_error
        return found

    def contenders(self) -> Iterator[tuple[str, int, Callable[[], Work]]]:
        """Yield names, instances, and what prepares the work."""
        many = self._many
        yield ONE, 1, lambda: self._ensemble(1)
        yield f"{ONE}, M = {many}", many, lambda: self._ensemble(many)
        yield TORCH[self.case.cell], 1, self._torch
        yield LOOP, 1, lambda: self._network("loop")
        if DEVICE.type != "cuda":
            return
        yield GRAPHED, 1, lambda: _captured(self._ensemble(1))
        yield GRAPHED_ALL, many, lambda: _captured(self._ensemble(many))
        yield f"{TORCH[self.case.cell]}, in a CUDA graph", 1, lambda: _captured(self._torch())
        yield LOOP_GRAPH, 1, lambda: _captured(self._network("loop"))
        yield COMPILED, 1, self._compiled

    @property
    def _many(self) -> int:
        return 2 if self.is_quick else MANY

    def _gradients(self, network: nn.Module, scan: ScanName) -> dict[str, Tensor]:
        network = network.to(DEVICE)
        dtype = next(network.parameters()).dtype
        inputs, classes = self._data()
        with scanning(scan):
            losses = class_losses(network(inputs.to(dtype)), classes)
            torch.autograd.backward(losses.sum())
        gradients = {
            name.removeprefix("network."): value.grad
            for name, value in network.named_parameters()
            if value.grad is not None
        }
        network.zero_grad(set_to_none=True)
        return {"loss": losses.detach(), **gradients}

    def _data(self) -> tuple[Tensor, Tensor]:
        inputs, classes = self.case.data()
        return inputs.to(DEVICE), classes.to(DEVICE)

    def _ensemble(self, instances: int) -> Work:
        networks = [self.case.network(index) for index in range(instances)]
        return _training(Ensemble(networks).to(DEVICE), *self._data(), "triton")

    def _network(self, scan: ScanName) -> Work:
        return _training(self.case.network(0).to(DEVICE), *self._data(), scan)

    def _torch(self) -> Work:
        kind = nn.LSTM if self.case.cell == "LSTM" else nn.RNN
        layer = kind(1, self.case.units, batch_first=True)
        return _training(TorchNetwork(layer, self.case.network(0).readout).to(DEVICE), *self._data(), "loop")

    def _compiled(self) -> Work:
        # A step is compiled, and walked by Python: the compiler unrolls a loop over time and takes minutes for it.
        network = self.case.network(0).to(DEVICE)
        compiled = torch.compile(network.recurrence.advance)
        network.recurrence.advance = compiled  # type: ignore[method-assign]
        return _training(network, *self._data(), "loop")


def _training(network: nn.Module, inputs: Tensor, classes: Tensor, scan: ScanName) -> Work:
    """Return what computes the loss and all gradients afresh, and leaves them on the device."""
    parameters = list(network.parameters())

    def work() -> object:
        with scanning(scan):
            losses = class_losses(network(inputs), classes)
            return losses, torch.autograd.grad(losses.sum(), parameters, allow_unused=True)

    return work


def _captured(work: Work) -> Work:
    """Return what replays a CUDA graph of the work."""
    stream = torch.cuda.Stream()  # type: ignore[no-untyped-call]
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        for _ in range(3):
            work()
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        kept = work()

    def replay() -> object:
        graph.replay()
        # The graph reads what the work was computed from, which lives as long as this function.
        return kept, work

    return replay


#: The size of sequential MNIST, and bounds on the ratios of times for one instance.
CASES: tuple[tuple[GpuCase, tuple[Target, ...]], ...] = (
    (
        GpuCase(SequenceCase("WCRNN, diagonal R", units=100)),
        (
            Target((ONE,), (LOOP,), 1 / 20),
            Target((ONE,), (TORCH["WCRNN, diagonal R"],), 1.0),
            Target((ALL,), (ONE,), 1.5 / MANY),
        ),
    ),
    (
        GpuCase(SequenceCase("LSTM", units=47)),
        (Target((ONE,), (TORCH["LSTM"],), 1.5), Target((ALL,), (TORCH["LSTM"],), 1 / 5)),
    ),
)
