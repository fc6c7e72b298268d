"""The plain loop of any recurrence from a CUDA graph: its thousands of small kernels are launched by one call.

Not chosen by itself: it keeps a copy of all that it computes from, for each size that it has seen.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import torch
from torch import Tensor

from rnnbench.lit_models.scan.instance_scan import scan_instances
from rnnbench.lit_models.scan.loop_walk import LoopWalk, weights_of
from rnnbench.lit_models.scan.walk import Needs, Walk

if TYPE_CHECKING:
    from rnnbench.lit_models.recurrence import Recurrence

#: Computes tensors from others that stay where they are.
Compute = Callable[[], "list[Tensor | None]"]
#: Returns what computes them again, in place, and the tensors.
Capture = Callable[[Compute], "tuple[Callable[[], object], list[Tensor | None]]"]

_WARM_UP = 2
_graphs: WeakKeyDictionary[Recurrence, dict[Hashable, Graph]] = WeakKeyDictionary()


def scan_graphed_loop(
    recurrence: Recurrence, inputs: Tensor, state: Tensor, keep_outputs: bool
) -> tuple[Tensor, Tensor] | None:
    """Walk the loop from a CUDA graph; arguments and results are those of ``scan_instances``.

    The first call for given sizes captures; the graphs live as long as the recurrence.
    """
    # A flag of Python's is frozen into a graph.
    modes = tuple(module.training for module in recurrence.modules())
    walk = GraphedWalk(LoopWalk(recurrence), _graphs.setdefault(recurrence, {}), modes)
    return scan_instances(walk, inputs, state, weights_of(recurrence), keep_outputs)


def capture_on_cuda(compute: Compute) -> tuple[Callable[[], object], list[Tensor | None]]:
    """Capture a CUDA graph of what ``compute`` launches."""
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        for _ in range(_WARM_UP):
            compute()
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        results = compute()
    return graph.replay, results


class Graph:
    """One computation on tensors of given sizes.

    Args:
        tensors: what it is computed from.
        compute: computes it.
        capture: makes it repeatable.
    """

    def __init__(
        self,
        tensors: Sequence[Tensor | None],
        compute: Callable[[Sequence[Tensor | None]], list[Tensor | None]],
        capture: Capture,
    ) -> None:
        """Capture the computation on copies of the tensors."""
        self._given = [None if each is None else each.detach().clone() for each in tensors]
        self._replay, self._results = capture(lambda: compute(self._given))

    def __call__(self, tensors: Sequence[Tensor | None]) -> list[Tensor | None]:
        """Compute it from other values; the results are the caller's own."""
        for own, tensor in zip(self._given, tensors, strict=True):
            if own is not None:
                own.copy_(tensor)
        self._replay()
        # Copies: the next replay overwrites its results, which an earlier graph of autograd may still need.
        return [None if each is None else each.clone() for each in self._results]


class GraphedWalk:
    """Another walk, captured once for each size and then replayed.

    Args:
        walk: is captured; it must launch the same kernels for all values.
        graphs: those captured so far.
        key: what else a graph depends on.
        capture: makes a computation repeatable.
    """

    def __init__(
        self, walk: Walk, graphs: dict[Hashable, Graph], key: Hashable = None, capture: Capture = capture_on_cuda
    ) -> None:
        """Keep what is needed to capture."""
        self._walk, self._graphs, self._key, self._capture = walk, graphs, key, capture

    def forward(
        self, inputs: Tensor, state: Tensor, weights: Sequence[Any], store: bool, keep_outputs: bool
    ) -> tuple[Tensor, Tensor, list[Tensor]]:
        """See ``Walk.forward``."""

        def compute(given: Sequence[Tensor | None]) -> list[Tensor | None]:
            outputs, final, stores = self._walk.forward(given[0], given[1], given[2:], store, keep_outputs)
            return [outputs, final, *stores]

        outputs, final, *stores = self._run(("there", store, keep_outputs), [inputs, state, *weights], compute)
        return outputs, final, stores

    def backward(
        self,
        inputs: Tensor,
        state: Tensor,
        weights: Sequence[Any],
        stores: Sequence[Tensor],
        grad_outputs: Tensor | None,
        grad_final: Tensor | None,
        needs: Needs,
    ) -> list[Tensor | None]:
        """See ``Walk.backward``."""
        count = len(weights)

        def compute(given: Sequence[Tensor | None]) -> list[Tensor | None]:
            (inputs, state, grad_outputs, grad_final), others = given[:4], given[4:]
            return self._walk.backward(inputs, state, others[:count], others[count:], grad_outputs, grad_final, needs)

        tensors = [inputs, state, grad_outputs, grad_final, *weights, *stores]
        return self._run(("back", count, needs), tensors, compute)

    def _run(
        self,
        kind: Hashable,
        tensors: list[Tensor | None],
        compute: Callable[[Sequence[Tensor | None]], list[Tensor | None]],
    ) -> list[Tensor | None]:
        sizes = tuple(None if each is None else (each.shape, each.dtype, each.device) for each in tensors)
        key = (self._key, kind, sizes)
        if key not in self._graphs:
            self._graphs[key] = Graph(tensors, compute, self._capture)
        return self._graphs[key](tensors)
