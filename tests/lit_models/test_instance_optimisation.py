"""One optimiser over stacks, against torch's own optimisers and clipping run on each instance alone (float64)."""

import functools
import math
from collections.abc import Iterator

import pytest
import torch
from torch import Tensor
from torch.optim import SGD, Adam, AdamW, Optimizer
from torch.optim.lr_scheduler import CosineAnnealingLR, LambdaLR

from rnnbench.lit_models import instance_optimisation
from rnnbench.lit_models.instance_optimisation import (
    InstanceStep,
    clip_and_mask,
    gradient_norms,
    schedule_factor,
    unit_rate_optimizer,
)

close = functools.partial(torch.testing.assert_close, rtol=1e-12, atol=1e-12)
RATES = [1e-4, 0.01, 0.3, 2.5]
SIZE, STEPS, SHAPES = len(RATES), 30, ((3, 2), (3,), ())
OPTIMIZERS = {"sgd": SGD, "adam": Adam, "adamw": AdamW}
SETTINGS = {"sgd": {"momentum": 0.9}, "adam": {"betas": (0.8, 0.97)}, "adamw": {"betas": (0.8, 0.97)}}
ALL = torch.ones(SIZE, dtype=torch.bool)


def make_stacks() -> list[Tensor]:
    return [torch.nn.Parameter(torch.randn(SIZE, *shape, dtype=torch.float64)) for shape in SHAPES]


def split(stacks: list[Tensor], index: int) -> list[Tensor]:
    return [torch.nn.Parameter(stack.detach()[index].clone()) for stack in stacks]


def gradients() -> Iterator[list[Tensor]]:
    """Gradients of each step, of very different sizes."""
    for step in range(STEPS):
        yield [torch.randn(SIZE, *shape, dtype=torch.float64) * 10 ** math.sin(step) for shape in SHAPES]


def unit_rate(name: str, stacks: list[Tensor], weight_decay: float = 0.0) -> Optimizer:
    settings = {"momentum": 0.9, "betas": (0.8, 0.97)}
    return unit_rate_optimizer(name, stacks, weight_decay=weight_decay, **settings)


def advance(optimizer: Optimizer, parameters: list[Tensor], grads: list[Tensor]) -> None:
    for parameter, gradient in zip(parameters, grads, strict=True):
        parameter.grad = gradient.clone()
    optimizer.step()


@pytest.mark.parametrize("name", OPTIMIZERS)
@pytest.mark.parametrize("weight_decay", [0.0, 0.2])
@pytest.mark.parametrize("schedule", ["constant", "cosine"])
def test_a_rate_per_instance_is_torchs_step_with_that_rate(name: str, weight_decay: float, schedule: str) -> None:
    stacks, rates = make_stacks(), torch.tensor(RATES, dtype=torch.float64)
    alone = [split(stacks, index) for index in range(SIZE)]
    optimizers = [
        OPTIMIZERS[name](parameters, lr=rate, weight_decay=weight_decay, **SETTINGS[name])
        for parameters, rate in zip(alone, RATES, strict=True)
    ]
    schedules = [CosineAnnealingLR(each, STEPS) for each in optimizers] if schedule == "cosine" else []
    optimizer = unit_rate(name, stacks, weight_decay)
    scheduler = LambdaLR(optimizer, schedule_factor(schedule, 0, STEPS))
    for grads in gradients():
        step = InstanceStep(optimizer)
        advance(optimizer, stacks, grads)
        assert step.finish(rates, ALL).all()
        scheduler.step()
        for index, each in enumerate(optimizers):
            advance(each, alone[index], [gradient[index] for gradient in grads])
        for each in schedules:
            each.step()
    for index, parameters in enumerate(alone):
        close([stack.detach()[index] for stack in stacks], [parameter.detach() for parameter in parameters])


@pytest.mark.parametrize("name", ["adam", "adamw"])
def test_complex_weights_are_trained_too(name: str) -> None:
    stack = torch.nn.Parameter(torch.randn(SIZE, 3, dtype=torch.complex128))
    alone, rates = split([stack], 2), torch.tensor(RATES, dtype=torch.float64)
    optimizer = unit_rate(name, [stack])
    plain = OPTIMIZERS[name](alone, lr=RATES[2], weight_decay=0, **SETTINGS[name])
    for _ in range(STEPS):
        step = InstanceStep(optimizer)
        gradient = torch.randn_like(stack)
        advance(optimizer, [stack], [gradient])
        assert step.finish(rates, ALL).all()
        advance(plain, alone, [gradient[2]])
    close(stack.detach()[2], alone[0].detach())


def run_with_frozen(name: str, alive_at: list[Tensor], rates: Tensor) -> tuple[list[Tensor], Optimizer]:
    torch.manual_seed(5)
    stacks = make_stacks()
    optimizer = unit_rate(name, stacks, weight_decay=0.1)
    for alive, grads in zip(alive_at, gradients(), strict=False):
        step = InstanceStep(optimizer)
        # What a diverging instance would have: everything that follows from it must be restored.
        broken = [torch.where(alive.view(-1, *[1] * (g.dim() - 1)), g, torch.nan) for g in grads]
        advance(optimizer, stacks, broken)
        step.finish(rates, alive)
    return stacks, optimizer


@pytest.mark.parametrize("name", OPTIMIZERS)
@pytest.mark.parametrize("frozen_at", [0, 4])
def test_a_frozen_instance_stays_with_its_optimiser_state_and_the_others_go_on(name: str, frozen_at: int) -> None:
    rates = torch.tensor(RATES, dtype=torch.float64)
    without_second = torch.tensor([True, False, True, True])
    before, state_before = run_with_frozen(name, [ALL] * frozen_at, rates)
    frozen, state = run_with_frozen(name, [ALL] * frozen_at + [without_second] * 6, rates)
    undisturbed, undisturbed_state = run_with_frozen(name, [ALL] * (frozen_at + 6), rates)
    for p, start, free in zip(frozen, before, undisturbed, strict=True):
        assert torch.equal(p[1], start[1])
        assert torch.equal(p[[0, 2, 3]], free[[0, 2, 3]])
        assert not torch.equal(p[0], start[0])
        kept = {key: value for key, value in state.state[p].items() if value.shape == p.shape}
        assert kept
        for key, value in kept.items():
            old = state_before.state[start][key][1] if frozen_at else torch.zeros_like(value[1])
            assert torch.equal(value[1], old)
            assert torch.equal(value[[0, 2, 3]], undisturbed_state.state[free][key][[0, 2, 3]])


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_weights_that_overflow_are_restored_and_reported(name: str) -> None:
    # What a rate becomes that single precision cannot hold.
    rates = torch.tensor([0.01, torch.inf, 0.01, 0.01], dtype=torch.float64)
    stacks = make_stacks()
    optimizer = unit_rate(name, stacks)
    start = [stack.detach().clone() for stack in stacks]
    step = InstanceStep(optimizer)
    advance(optimizer, stacks, [torch.ones_like(stack) for stack in stacks])
    assert step.finish(rates, ALL).tolist() == [True, False, True, True]
    for stack, old in zip(stacks, start, strict=True):
        assert torch.equal(stack[1], old[1])
        assert not torch.equal(stack[0], old[0])


@pytest.mark.parametrize("largest", [None, 0.5, 3.0, 1e6])
def test_clipping_is_torchs_on_each_instance(largest: float | None) -> None:
    stacks = make_stacks()
    alone = [split(stacks, index) for index in range(SIZE)]
    for stack, factor in zip(stacks, (1.0, 3.0, 0.2), strict=True):
        sizes = torch.tensor([1e-3, 1.0, 10.0, 1e5], dtype=torch.float64).view(-1, *[1] * (stack.dim() - 1))
        stack.grad = torch.randn_like(stack) * factor * sizes
    for index, parameters in enumerate(alone):
        for parameter, stack in zip(parameters, stacks, strict=True):
            parameter.grad = stack.grad[index].clone()
    norms = gradient_norms(stacks)
    expected = [torch.nn.utils.clip_grad_norm_(each, math.inf if largest is None else largest) for each in alone]
    close(norms, torch.stack(expected))
    clip_and_mask(stacks, norms, ALL, largest)
    for index, parameters in enumerate(alone):
        close([stack.grad[index] for stack in stacks], [parameter.grad for parameter in parameters])


def test_frozen_instances_lose_their_gradient_whatever_it_is() -> None:
    stacks = make_stacks()
    for stack in stacks:
        stack.grad = torch.ones_like(stack)
        stack.grad[1], stack.grad[2] = torch.nan, torch.inf
    alive = torch.tensor([True, False, False, True])
    norms = gradient_norms(stacks)
    assert norms.isfinite().tolist() == alive.tolist()
    clip_and_mask(stacks, norms, alive, 0.1)
    for stack in stacks:
        assert not stack.grad[[1, 2]].any()
        close(stack.grad[[0, 3]], torch.full_like(stack.grad[[0, 3]], 0.1 / math.sqrt(10)), rtol=1e-6)


def test_clipping_a_gradient_of_zero_leaves_it() -> None:
    stacks = make_stacks()
    for stack in stacks:
        stack.grad = torch.zeros_like(stack)
    clip_and_mask(stacks, gradient_norms(stacks), ALL, 0.1)
    assert all(torch.equal(stack.grad, torch.zeros_like(stack)) for stack in stacks)


def test_a_weight_without_gradient_is_left_out() -> None:
    stacks = make_stacks()
    stacks[0].grad = torch.full_like(stacks[0], 2.0)
    close(gradient_norms(stacks), torch.full((SIZE,), 2.0 * math.sqrt(6), dtype=torch.float64))
    clip_and_mask(stacks, gradient_norms(stacks), ALL, 1.0)
    assert stacks[1].grad is None


def test_warm_up_rises_to_the_peak_and_the_cosine_ends_at_zero() -> None:
    factor = schedule_factor("cosine", 4, 14)
    values = [factor(step) for step in range(16)]
    assert values[:5] == [0.25, 0.5, 0.75, 1.0, 1.0]
    assert values[9] == pytest.approx(0.5)
    assert values[4:15] == sorted(values[4:15], reverse=True)
    assert values[13] > 0
    assert values[14:] == [0.0, 0.0]
    constant = schedule_factor("constant", 2, 10)
    assert [constant(step) for step in range(4)] == [0.5, 1.0, 1.0, 1.0]


@pytest.mark.parametrize("name", OPTIMIZERS)
@pytest.mark.parametrize("second_diverges_at", [0, 3, None])
def test_a_device_that_is_not_waited_for_gives_the_same_bits(name, second_diverges_at, monkeypatch) -> None:
    rates = torch.tensor(RATES, dtype=torch.float64)
    without_second = torch.tensor([True, False, True, True])
    diverges_at = 6 if second_diverges_at is None else second_diverges_at
    alive_at = [ALL] * diverges_at + [without_second] * (6 - diverges_at)

    def train() -> list[Tensor]:
        stacks, optimizer = run_with_frozen(name, alive_at, rates)
        clip_and_mask(stacks, gradient_norms(stacks), alive_at[-1], 0.5)
        states = [value for stack in stacks for value in optimizer.state[stack].values() if value.shape == stack.shape]
        return [*(stack.detach() for stack in stacks), *(stack.grad for stack in stacks), *states]

    looking = train()
    monkeypatch.setattr(instance_optimisation, "known_to_be_all", lambda flags: False)
    monkeypatch.setattr(instance_optimisation, "known_to_be_finite", lambda values: False)
    for looked, blind in zip(looking, train(), strict=True):
        assert torch.equal(looked, blind)
