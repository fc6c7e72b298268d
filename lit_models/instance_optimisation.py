"""What keeps the instances of an ensemble apart while one optimiser trains their stacked parameters."""

import math
from collections.abc import Callable, Iterable
from typing import Literal, TypeAlias, get_args

import torch
from torch import Tensor
from torch.optim import SGD, Adam, AdamW, Optimizer

from rnnbench.datamodules.checks import check_at_least, check_choice, check_number

OptimizerName: TypeAlias = Literal["sgd", "adam", "adamw"]
ScheduleName: TypeAlias = Literal["constant", "cosine", "plateau"]
TestAt: TypeAlias = Literal["best", "last"]


def check_optimisation(
    optimizer: str,
    schedule: str,
    warmup_steps: int,
    weight_decay: float,
    momentum: float,
    betas: tuple[float, float],
    gradient_clip_norm: float | None,
) -> None:
    """Raise a ValueError that names the first of these settings that is unknown or impossible."""
    check_choice("optimizer", optimizer, get_args(OptimizerName))
    check_choice("schedule", schedule, get_args(ScheduleName))
    check_at_least(0, warmup_steps=warmup_steps)
    check_number("weight_decay", weight_decay, low=0)
    if len(betas) != 2:
        raise ValueError(f"betas must be two numbers, got {len(betas)}")
    for name, decay in (("momentum", momentum), ("betas[0]", betas[0]), ("betas[1]", betas[1])):
        if not 0 <= decay < 1:
            raise ValueError(f"{name} must be at least 0 and below 1, got {decay}")
    if gradient_clip_norm is not None:
        check_number("gradient_clip_norm", gradient_clip_norm, above=0)


def unit_rate_optimizer(
    name: OptimizerName, parameters: Iterable[Tensor], momentum: float, weight_decay: float, betas: tuple[float, float]
) -> Optimizer:
    """Return ``sgd``, ``adam`` or ``adamw`` with learning rate 1, each step to be finished by ``InstanceStep``.

    >>> type(unit_rate_optimizer("adamw", [torch.ones(3, 2, requires_grad=True)], 0.9, 0.01, (0.9, 0.999))).__name__
    'AdamW'
    """
    if name == "sgd":
        return SGD(parameters, lr=1.0, momentum=momentum, weight_decay=weight_decay)
    parameters = list(parameters)
    # One kernel in place of a dozen small operations a weight; there is none for complex numbers.
    fused = all(parameter.is_floating_point() for parameter in parameters)
    kind = Adam if name == "adam" else AdamW
    return kind(parameters, lr=1.0, betas=betas, weight_decay=weight_decay, fused=fused)


def schedule_factor(name: str, warmup_steps: int, total_steps: int) -> Callable[[int], float]:
    """Return the learning rate of each step as a fraction of its peak.

    ``constant``, also of ``plateau``, whose rates fall for each instance by itself; or ``cosine``, from 1 at the first
    step after the warm-up to 0 after the last step.

    >>> factor = schedule_factor("cosine", 0, 4)
    >>> [round(factor(step), 3) for step in range(5)]
    [1.0, 0.854, 0.5, 0.146, 0.0]
    """

    def factor(step: int) -> float:
        if step < warmup_steps:
            return (step + 1) / warmup_steps
        if name != "cosine":
            return 1.0
        progress = (step - warmup_steps) / max(1, total_steps - warmup_steps)
        return 0.5 * (1 + math.cos(math.pi * min(1.0, progress)))

    return factor


def gradient_norms(parameters: Iterable[Tensor]) -> Tensor:
    """Return the 2-norm of every instance's whole gradient [M]; parameters are stacks [M, ...].

    >>> weights = torch.zeros(2, 2, requires_grad=True)
    >>> weights.grad = torch.tensor([[3.0, 4.0], [0.0, 1.0]])
    >>> gradient_norms([weights]).tolist()
    [5.0, 1.0]
    """
    # One large operation costs less than a small one for each parameter.
    return torch.linalg.vector_norm(torch.cat([_rows(p.grad) for p in parameters if p.grad is not None], 1), dim=1)


@torch.no_grad()
def clip_and_mask(parameters: Iterable[Tensor], norms: Tensor, alive: Tensor, largest: float | None) -> None:
    """Scale every instance's gradient to a norm of at most ``largest``, and set those of frozen instances to zero.

    Parameters are stacks [M, ...] with gradients, of norms [M]; ``alive`` [M] are those that go on learning.

    >>> weights = torch.zeros(2, 2, requires_grad=True)
    >>> weights.grad = torch.tensor([[3.0, 4.0], [0.0, 1.0]])
    >>> clip_and_mask([weights], torch.tensor([5.0, 1.0]), torch.tensor([True, False]), largest=1.0)
    >>> weights.grad.round(decimals=3).tolist()
    [[0.6000000238418579, 0.800000011920929], [0.0, 0.0]]
    """
    gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
    if not known_to_be_all(alive):
        norms = torch.where(alive, norms, 0.0)
        for gradient in gradients:
            # Not a product: a frozen instance's gradient may be infinite.
            gradient.masked_fill_(along_instances(~alive, gradient), 0.0)
    if largest is None:
        return
    # The same small number as in torch.nn.utils.clip_grad_norm_, whose results published runs have.
    scale = (largest / (norms + 1e-6)).clamp(max=1.0)
    if known_to_be_all(scale == 1.0):
        return
    for gradient in gradients:
        gradient.mul_(along_instances(scale, gradient))


def known_to_be_all(flags: Tensor) -> bool:
    """Return whether all flags are true, as far as that is known without waiting for a device: on a CPU only."""
    return flags.device.type == "cpu" and bool(flags.all())


def known_to_be_finite(values: Tensor) -> bool:
    """Return whether all values are finite, as far as is known without waiting for a device: on a CPU only."""
    # A sum that overflows merely calls for a closer look.
    return values.device.type == "cpu" and math.isfinite(values.detach().sum())


def along_instances(values: Tensor, stack: Tensor) -> Tensor:
    """Return values [M] shaped to broadcast over a stack [M, ...].

    >>> along_instances(torch.ones(3), torch.ones(3, 2, 2)).shape
    torch.Size([3, 1, 1])
    """
    return values.view(-1, *[1] * (stack.dim() - 1))


def _rows(stack: Tensor) -> Tensor:
    """Return a stack [M, ...] as one row per instance; a stack of scalars too."""
    return stack.reshape(len(stack), -1)


class InstanceStep:
    """Turns an optimiser's step with rate 1 into one step with a learning rate per instance.

    For SGD, Adam and AdamW a step with rate η is exactly an interpolation by η between the weights before and after a
    step with rate 1. Weights and optimiser state of frozen instances are restored, since momentum and decay would move
    them.

    >>> weights = torch.nn.Parameter(torch.zeros(3, 1))
    >>> optimizer = unit_rate_optimizer("sgd", [weights], 0.0, 0.0, (0.9, 0.999))
    >>> weights.grad = torch.ones(3, 1)
    >>> step = InstanceStep(optimizer)
    >>> _ = optimizer.step()
    >>> step.finish(torch.tensor([0.5, 0.25, 1.0]), alive=torch.tensor([True, True, False])).tolist()
    [True, True, False]
    >>> weights.flatten().tolist()
    [-0.5, -0.25, 0.0]
    """

    def __init__(self, optimizer: Optimizer) -> None:
        """Remember the weights and optimiser state before the step."""
        self._optimizer = optimizer
        self._weights: list[Tensor] = [p for group in optimizer.param_groups for p in group["params"]]
        self._weights_before = [p.detach().clone() for p in self._weights]
        self._moments_before = [m.clone() for m in self._moments()]

    def _moments(self) -> list[Tensor]:
        """Return the optimiser's state: all but its counts of steps, which have no axis of instances."""
        states = (value for p in self._weights for value in self._optimizer.state.get(p, {}).values())
        return [value for value in states if isinstance(value, Tensor) and value.dim()]

    @torch.no_grad()
    def finish(self, rates: Tensor, alive: Tensor) -> Tensor:
        """Apply learning rates [M] to instances that are ``alive`` [M], and restore the others.

        It returns the instances [M] that took the step: alive, and with finite weights after it.
        """
        along: dict[tuple[torch.dtype, int], Tensor] = {}
        for p, before in zip(self._weights, self._weights_before, strict=True):
            kind = p.dtype, p.dim()
            if kind not in along:
                along[kind] = along_instances(rates.to(p.dtype), p)
            torch.lerp(before, p, along[kind], out=p)
        if not known_to_be_finite(torch.stack([torch.linalg.vector_norm(p) for p in self._weights])):
            alive = alive & torch.stack([_rows(p).isfinite().all(1) for p in self._weights]).all(0)
        if not known_to_be_all(alive):
            self._restore(alive)
        return alive

    def _restore(self, alive: Tensor) -> None:
        """Restore the weights and optimiser state of all instances but those that are ``alive`` [M]."""
        moments = self._moments()
        # Before the first step there is no state.
        moments_before = self._moments_before or [torch.zeros_like(m) for m in moments]
        tensors, before = self._weights + moments, self._weights_before + moments_before
        for tensor, old in zip(tensors, before, strict=True):
            tensor.copy_(torch.where(along_instances(alive, tensor), tensor, old))
