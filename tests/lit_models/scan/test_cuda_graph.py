"""The loop from a CUDA graph: which graphs are captured, and that replays see new values and overwrite no old ones.

Without a GPU a stand-in for the capture computes again, into the same tensors, as a replay does.
"""

import gc
import os
import weakref

import pytest
import torch

from rnnbench.lit_models.ensemble import Ensemble
from rnnbench.lit_models.network import Network
from rnnbench.lit_models.recurrences.stacked import StackedRNN
from rnnbench.lit_models.recurrences.wcrnn import WCRNN
from rnnbench.lit_models.scan import choice, cuda_graph
from rnnbench.lit_models.scan.choice import scanning
from rnnbench.lit_models.scan.cuda_graph import GraphedWalk, capture_on_cuda, scan_graphed_loop

needs_cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
DEVICES = ["cpu", pytest.param("cuda", marks=needs_cuda)]


@pytest.fixture
def captured(monkeypatch):
    """Return a list that fills with what is captured on a CPU."""
    computations = []

    def capture(compute):
        results = [None if each is None else each.clone() for each in compute()]
        if any(each is not None and each.is_cuda for each in results):
            return capture_on_cuda(compute)
        computations.append(results)

        def replay():
            for own, new in zip(results, compute(), strict=True):
                if own is not None:
                    own.copy_(new)

        return replay, results

    monkeypatch.setattr(GraphedWalk.__init__, "__defaults__", (None, capture))
    return computations


def build(device):
    return StackedRNN(2, lambda features: WCRNN(features, 4, gamma=0.3), num_layers=2).double().to(device)


def gradients(values, wanted):
    loss = sum((value**2).sum() for value in values if value.numel())
    return *values, *torch.autograd.grad(loss, wanted, materialize_grads=True)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("keep_outputs", [True, False])
def test_replays_equal_the_loop_and_leave_earlier_results_alone(device, keep_outputs, captured):
    recurrence = build(device)
    runs = [
        (
            torch.randn(5, 3, 2, device=device, dtype=torch.float64, requires_grad=True),
            torch.randn(3, 8, device=device, dtype=torch.float64, requires_grad=True),
        )
        for _ in range(3)
    ]
    wanted = list(recurrence.parameters())
    walked = [scan_graphed_loop(recurrence, *run, keep_outputs) for run in runs]
    found = [gradients(values, [*run, *wanted]) for values, run in zip(walked, runs, strict=True)]
    with scanning("loop"):
        for run, each in zip(runs, found, strict=True):
            values = choice.scan(recurrence, *run, None, keep_outputs)
            torch.testing.assert_close(each, gradients(values, [*run, *wanted]), rtol=1e-10, atol=1e-10)
    assert len(cuda_graph._graphs[recurrence]) == 2


@pytest.mark.parametrize("device", DEVICES)
def test_an_ensemble_follows_its_weights(device, captured, monkeypatch):
    def graphed(recurrence, inputs, state, lengths, keep_outputs=True):
        return scan_graphed_loop(recurrence, inputs, state, keep_outputs)

    monkeypatch.setattr("rnnbench.lit_models.recurrence.scan", graphed)
    ensemble = Ensemble([Network(build(device), 3, "last").double() for _ in range(2)]).to(device)
    inputs = torch.randn(3, 5, 2, device=device, dtype=torch.float64)
    alone = [ensemble.instance(index) for index in range(2)]
    for _ in range(2):
        found = gradients([ensemble(inputs)], list(ensemble.parameters()))
        with torch.no_grad():
            for parameter in ensemble.parameters():
                parameter.mul_(1.1)
    monkeypatch.undo()
    for network in alone:
        with torch.no_grad():
            for parameter in network.parameters():
                parameter.mul_(1.1)
    with scanning("loop"):
        expected = [gradients([network(inputs)], list(network.parameters())) for network in alone]
    for stacked, *each in zip(found, *expected, strict=True):
        torch.testing.assert_close(stacked, torch.stack(each), rtol=1e-10, atol=1e-10)


def test_another_size_and_another_mode_are_captured_anew(captured):
    recurrence = build("cpu")
    for steps, training in ((3, True), (3, True), (4, True), (3, False)):
        recurrence.train(training)
        with torch.no_grad():
            scan_graphed_loop(recurrence, torch.ones(steps, 2, 2).double(), torch.ones(2, 8).double(), False)
    assert len(captured) == 3
    assert len(cuda_graph._graphs[recurrence]) == 3


def test_graphs_end_with_their_recurrence(captured, monkeypatch):
    recurrence = build("cpu")
    monkeypatch.setattr(GraphedWalk.__init__, "__defaults__", (None, lambda compute: (lambda: None, compute())))
    with torch.no_grad():
        scan_graphed_loop(recurrence, torch.ones(3, 2, 2).double(), torch.ones(2, 8).double(), False)
    (graph,) = cuda_graph._graphs[recurrence].values()
    gone = weakref.ref(graph)
    del graph, recurrence
    gc.collect()
    assert gone() is None


needs_interpreter = pytest.mark.skipif(os.environ.get("TRITON_INTERPRET") != "1", reason="needs Triton's interpreter")


@pytest.mark.parametrize("name", ["auto", "fused", "loop", "graph", pytest.param("triton", marks=needs_interpreter)])
def test_on_a_cpu_no_graph_is_captured(name, monkeypatch):
    monkeypatch.setattr(cuda_graph, "scan_graphed_loop", None)
    recurrence = build("cpu")
    inputs = torch.randn(4, 3, 2, dtype=torch.float64)
    with scanning("loop"):
        expected = recurrence(inputs)
    with scanning(name):
        torch.testing.assert_close(recurrence(inputs), expected)
