"""Gradient flow against autograd on retained states and linear maps whose answer is known."""

import functools
import math

import pytest
import torch

from rnnbench.lit_models.dynamics.gradient_flow import gradient_flow
from rnnbench.lit_models.recurrences.elman import ElmanRNN
from rnnbench.lit_models.recurrences.wcrnn import WCRNN
from tests.contracts.builders import variants
from tests.lit_models.dynamics.small_networks import INPUTS, STEPS, plain_loss, small_batch, small_network, small_task

close = functools.partial(torch.testing.assert_close, atol=1e-12, rtol=1e-10)


def by_retained_states(network, task, batch):
    """Gradients [T, B, S], one sequence at a time."""
    gradients = []
    for b in range(len(batch.inputs)):
        alone = type(batch)(*(None if part is None else part[b : b + 1] for part in batch))
        inputs = alone.inputs.clone().requires_grad_()
        length = STEPS if batch.lengths is None else int(alone.lengths)
        state, states, outputs = network.recurrence.initial_state(1), [], []
        for t in range(STEPS):
            state = network.recurrence.step(inputs[:, t], state) if t < length else state + 0
            state.retain_grad()
            states.append(state)
            outputs.append(network.readout(network.recurrence.output(state)))
        if task.readout == "every":
            answer, alone = torch.stack(outputs[:length], 1), alone._replace(targets=alone.targets[:, :length])
        else:
            answer = outputs[-1]
        network.zero_grad()
        plain_loss(lambda *_, answer=answer: answer, task, alone).backward()
        gradients.append(torch.cat([torch.zeros_like(s) if s.grad is None else s.grad for s in states]))
    return torch.stack(gradients, 1)


@pytest.mark.parametrize("readout", ["last", "every"])
@pytest.mark.parametrize(("cls", "arguments"), variants(slow_extras=True))
def test_every_recurrence_equals_retained_states(cls, arguments, readout):
    task = small_task(readout, "cross_entropy")
    lengths = torch.tensor([1, 3, 5, 4])
    for batch in (small_batch(task, size=4), small_batch(task, size=4, lengths=lengths)):
        network = small_network(cls(**arguments), task).double()
        expected = by_retained_states(network, task, batch)
        flow = gradient_flow(network, task, batch)
        close(flow.norm_2, expected.norm(dim=-1))
        close(flow.norm_inf, expected.abs().amax(-1))


@pytest.mark.parametrize("loss", ["mse", "rmse", "cross_entropy"])
@pytest.mark.parametrize("loss_steps", [None, (1, 4)])
def test_every_loss_and_chunks(loss, loss_steps):
    task = small_task("every", loss, loss_steps=loss_steps)
    batch = small_batch(task, size=5)
    network = small_network(ElmanRNN(INPUTS, 4), task).double()
    expected = by_retained_states(network, task, batch).norm(dim=-1)
    whole, chunked = gradient_flow(network, task, batch), gradient_flow(network, task, batch, chunk=2)
    close(whole.norm_2, expected)
    close(vars(chunked), vars(whole), equal_nan=True)
    alone = [batch._replace(inputs=batch.inputs[b : b + 1], targets=batch.targets[b : b + 1]) for b in range(5)]
    close(whole.loss, torch.stack([plain_loss(network, task, each) for each in alone]).detach())
    if loss_steps is not None:
        # Nothing after the last scored step acts on the loss.
        assert (whole.norm_2[4:] == 0).all()
        assert whole.slope.isnan().all()


@pytest.mark.parametrize("r", [0.9, 1.0, 1.1])
def test_slope_of_a_linear_map_is_log_r(r):
    task = small_task()
    network = small_network(WCRNN(INPUTS, 4, residual="rotation", r=r, phi=0.3, gamma=0.0), task).double()
    exact = network.recurrence.residual_own.square() + network.recurrence.residual_cross.square()
    batch = small_batch(task)
    flow = gradient_flow(network, task, batch)
    close(flow.slope, (exact[0].log() / 2).expand(6))
    close(flow.slope, torch.full((6,), math.log(r), dtype=torch.float64), atol=1e-7)
    short = gradient_flow(network, task, batch._replace(lengths=torch.tensor([2, 3, 4, 5, 3, 1])))
    close(short.slope[:5], flow.slope[:5])
    assert short.slope[5].isnan()
    close(short.norm_2[2], short.norm_2[4] * torch.tensor([1, 1, 1 * r, r * r, 1, 1]).double(), atol=1e-6)


def test_a_perfect_sequence_has_no_gradient():
    task = small_task(loss="rmse")
    batch = small_batch(task)
    network = small_network(ElmanRNN(INPUTS, 4, time_activation="identity"), task).double()
    # Sums and products of few eighths are exact, in whatever order they are taken.
    for parameter in network.parameters():
        parameter.data.mul_(8).round_().div_(8)
    batch = batch._replace(inputs=batch.inputs.mul(8).round().div(8))
    flow = gradient_flow(network, task, batch._replace(targets=network(batch.inputs).detach()))
    assert (flow.norm_2 == 0).all()


def test_errors():
    task = small_task()
    batch = small_batch(task)
    network = small_network(ElmanRNN(INPUTS, 4), task)
    with pytest.raises(ValueError, match="chunk must be at least 1, got 0"):
        gradient_flow(network, task, batch, chunk=0)
    with pytest.raises(ValueError, match="batch must hold at least 1 sequence, got 0"):
        gradient_flow(network, task, small_batch(task, size=0))
    batch.inputs[2, 1, 0] = torch.inf
    batch.inputs[2, 1, 1] = -torch.inf
    batch.targets[4] = torch.nan
    with pytest.raises(FloatingPointError, match="2 of 6 sequences"):
        gradient_flow(small_network(ElmanRNN(INPUTS, 4, time_activation="identity"), task), task, batch)
