import copy

import pytest
import torch

from rnnbench.datamodules.adding import Adding
from rnnbench.datamodules.copying import CopyMemory
from rnnbench.datamodules.task import Batch
from rnnbench.lit_models.dynamics.truncated_training import truncated_training
from rnnbench.lit_models.network import Network
from rnnbench.lit_models.objective import training_loss
from rnnbench.lit_models.recurrences.elman import ElmanRNN
from rnnbench.lit_models.recurrences.gated import LSTM
from rnnbench.lit_models.recurrences.truncation import FeedForwardTruncation
from rnnbench.lit_models.stability import project_stable

STEPS = 24
KS = (1, 2, 4, 8, 16)
TASK = Adding(length=STEPS, loss="mse").task


def batches(count, lengths=None):
    generator = torch.Generator().manual_seed(1)
    return [
        Batch(torch.randn(8, STEPS, 2, generator=generator), torch.randn(8, 1, generator=generator), lengths)
        for _ in range(count)
    ]


def scaled_rotation(scale, time_activation="tanh"):
    """A network whose recurrent map has the singular values ``scale``."""
    torch.manual_seed(0)
    recurrence = ElmanRNN(2, 6, time_activation=time_activation)
    with torch.no_grad():
        recurrence.weight_hh.copy_(scale * torch.linalg.qr(torch.randn(6, 6))[0])
    return Network(recurrence, 1, "last")


@pytest.mark.parametrize("time_activation", ["tanh", "identity"])
@pytest.mark.parametrize("decay", ["constant", "1/t"])
def test_truncated_training_of_a_contractive_network_stays_as_close_as_lambda_to_k(time_activation, decay):
    contraction = 0.5
    network = scaled_rotation(contraction, time_activation)
    measured = truncated_training(network, TASK, batches(10), KS, learning_rate=0.05, decay=decay)
    final = measured.distance[:, -1]
    # The gradients differ by O(k λ^k); W moves, and takes λ with it: 0.6.
    order = torch.tensor([k * 0.6**k for k in KS], dtype=torch.float64)
    assert (final[1:] < final[:-1]).all()
    assert (final < 0.3 * order).all()
    assert measured.relative[-1, -1] < 1e-4


def test_no_truncation_of_an_expanding_linear_network_stays_close():
    network = scaled_rotation(1.2, "identity")
    measured = truncated_training(network, TASK, batches(10), KS, learning_rate=1e-4)
    assert (measured.relative[:, -1] > 0.5).all()


@pytest.mark.parametrize("task", [TASK, Adding(length=STEPS).task, CopyMemory(delay=4).task])
@pytest.mark.parametrize("build", [ElmanRNN, LSTM])
def test_a_truncation_to_the_whole_sequence_is_the_network(task, build):
    network = Network(build(task.input_size, 5), task.output_size, task.readout)
    data = _data_of(task)
    measured = truncated_training(network, task, data, (1, task.steps, task.steps + 3), learning_rate=0.1)
    assert measured.distance.shape == (3, 3)
    assert measured.distance[0].min() > 1e-6
    assert measured.distance[1:].max() < 1e-13


def _data_of(task):
    generator = torch.Generator().manual_seed(1)
    inputs = torch.randn(3, 6, task.steps, task.input_size, generator=generator)
    if task.loss == "cross_entropy":
        targets = torch.randint(task.output_size, (3, 6, task.steps), generator=generator)
    else:
        targets = torch.randn(3, 6, 1, generator=generator)
    return [Batch(x, y, None) for x, y in zip(inputs, targets, strict=True)]


@pytest.mark.parametrize("loss", ["mse", "rmse"])
@pytest.mark.parametrize("clip", [None, 0.01])
def test_the_networks_are_trained_as_torch_trains_them(loss, clip):
    task = Adding(length=STEPS, loss=loss).task
    network, settings = scaled_rotation(0.9), {"decay": "1/t", "gradient_clip_norm": clip}
    measured = truncated_training(network, task, batches(4), KS, learning_rate=0.1, **settings)
    full, *truncated = (copy.deepcopy(network).double() for _ in range(1 + len(KS)))
    start = torch.nn.utils.parameters_to_vector(full.parameters()).detach()
    for each, k in zip(truncated, KS, strict=True):
        each.recurrence = FeedForwardTruncation.of(each.recurrence, k)
    for step, batch in enumerate(batches(4), 1):
        batch = Batch(batch.inputs.double(), batch.targets.double(), None)
        for each in (full, *truncated):
            optimizer = torch.optim.SGD(each.parameters(), lr=0.1 / step)
            training_loss(task, each(batch.inputs).unsqueeze(0), batch)[1].sum().backward()
            if clip is not None:
                torch.nn.utils.clip_grad_norm_(each.parameters(), clip)
            optimizer.step()
            optimizer.zero_grad()
        ours, *theirs = (torch.nn.utils.parameters_to_vector(each.parameters()).detach() for each in (full, *truncated))
        distances = torch.stack([(ours - each).norm() for each in theirs])
        torch.testing.assert_close(measured.distance[:, step - 1], distances, rtol=1e-5, atol=1e-10)
        torch.testing.assert_close(measured.moved[step - 1], (ours - start).norm(), rtol=1e-5, atol=1e-10)
    torch.testing.assert_close(measured.relative, measured.distance / measured.moved)


def test_lengths_count():
    lengths = torch.full((8,), 4)
    measured = truncated_training(scaled_rotation(0.9), TASK, batches(2, lengths), (2, 4), learning_rate=0.1)
    assert measured.distance[0].min() > 1e-6
    assert measured.distance[1].max() < 1e-13


def test_batches_are_gone_through_once():
    given = iter(batches(3))
    measured = truncated_training(scaled_rotation(0.9), TASK, given, KS, learning_rate=0.1)
    assert next(given, None) is None
    assert measured.ks.tolist() == list(KS)
    assert measured.distance.shape == measured.relative.shape == (5, 3)


def test_divergence_shows_as_no_number():
    measured = truncated_training(scaled_rotation(3.0, "identity"), TASK, batches(12), (1, 4), learning_rate=10.0)
    assert not measured.distance[:, -1].isfinite().any()
    assert measured.distance[:, 0].isfinite().all()


def test_a_perfect_network_stays_where_it_is():
    network = scaled_rotation(0.5)
    torch.nn.init.zeros_(network.readout.weight)
    torch.nn.init.zeros_(network.readout.bias)
    perfect = [Batch(batch.inputs, torch.zeros(8, 1), None) for batch in batches(2)]
    task = Adding(length=STEPS, loss="rmse").task
    measured = truncated_training(network, task, perfect, (2,), learning_rate=0.1)
    assert measured.moved.tolist() == [0.0, 0.0]
    assert measured.distance.tolist() == [[0.0, 0.0]]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"ks": ()}, "ks must hold at least 1"),
        ({"ks": (2, 0)}, r"ks\[1\] must be at least 1, got 0"),
        ({"batches": []}, "batches must hold at least 1"),
        ({"learning_rate": 0.0}, "learning_rate must be above 0, got 0.0"),
        ({"decay": "linear"}, "unknown decay 'linear'"),
        ({"gradient_clip_norm": 0.0}, "gradient_clip_norm must be above 0, got 0.0"),
    ],
)
def test_bad_arguments_are_named(changes, message):
    arguments = {"batches": batches(1), "ks": (1,), "learning_rate": 0.1, **changes}
    with pytest.raises(ValueError, match=message):
        truncated_training(scaled_rotation(0.5), TASK, **arguments)


def test_a_network_without_trained_parameters_is_refused():
    frozen = scaled_rotation(0.5).requires_grad_(False)
    with pytest.raises(ValueError, match="must have a parameter that requires a gradient"):
        truncated_training(frozen, TASK, batches(1), (1,), learning_rate=0.1)


def test_every_network_is_projected_after_each_of_its_steps():
    seen = []

    def project(network):
        project_stable(network, 1.0, contraction=0.4)
        (weight,) = (each for name, each in network.named_parameters() if name.endswith("weight_hh"))
        seen.append(torch.linalg.matrix_norm(weight, 2).item())

    network = scaled_rotation(0.5)
    truncated_training(network, TASK, batches(3), (2, 4), learning_rate=0.5, project=project)
    assert len(seen) == 9
    assert max(seen) < 0.4
