"""What keeps the instances of an ensemble apart while one optimiser trains their stacked parameters."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable

import torch
from torch import Tensor
from torch.optim import SGD, Adam, AdamW, Optimizer


def unit_rate_optimizer(
    name: str, parameters: Iterable[Tensor], momentum: float, weight_decay: float, betas: tuple[float, float]
) -> Optimizer:
    """Return ``sgd``, ``adam`` or ``adamw`` with learning rate 1, each step to be finished by ``InstanceStep``."""
    if name == "sgd":
        return SGD(parameters, lr=1.0, momentum=momentum, weight_decay=weight_decay)
    if name == "adam":
        return Adam(parameters, lr=1.0, betas=betas, weight_decay=weight_decay)
    return AdamW(parameters, lr=1.0, betas=betas, weight_decay=weight_decay)


def schedule_factor(name: str, warmup_steps: int, total_steps: int) -> Callable[[int], float]:
    """Return the learning rate of each step as a fraction of its peak.

    ``constant``, or ``cosine`` from 1 at the first step after the warm-up to 0 after the last step.

    >>> factor = schedule_factor("cosine", 0, 4)
    >>> [round(factor(step), 3) for step in range(5)]
    [1.0, 0.854, 0.5, 0.146, 0.0]
    """

    def factor(step: int) -> float:
        if step < warmup_steps:
            return (step + 1) / warmup_steps
        if name == "constant":
            return 1.0
        progress = (step - warmup_steps) / max(1, total_steps - warmup_steps)
        return 0.5 * (1 + math.cos(math.pi * min(1.0, progress)))

    return factor


def gradient_norms(parameters: Iterable[Tensor]) -> Tensor:
    """Return the 2-norm of every instance's whole gradient [M]; parameters are stacks [M, ...]."""
    squares = [_rows(p.grad).square().sum(1) for p in parameters if p.grad is not None]
    return torch.stack(squares).sum(0).sqrt()


def clip_and_mask(parameters: Iterable[Tensor], norms: Tensor, alive: Tensor, largest: float | None) -> None:
    """Scale every instance's gradient to a norm of at most ``largest``, and set those of frozen instances to zero.

    Args:
        parameters: stacks [M, ...] with gradients.
        norms: gradient norms [M].
        alive: instances that go on learning [M].
        largest: None for no clipping.
    """
    unmasked = known_to_be_all(alive)
    if largest is None and unmasked:
        return
    # The same small number as in torch.nn.utils.clip_grad_norm_, whose results published runs have.
    scale = torch.ones_like(norms) if largest is None else (largest / (norms + 1e-6)).clamp(max=1.0)
    for parameter in parameters:
        if parameter.grad is not None:
            # where, not a product: a frozen instance's gradient may be infinite.
            scaled = parameter.grad * along_instances(scale, parameter)
            parameter.grad = scaled if unmasked else torch.where(along_instances(alive, parameter), scaled, 0.0)


def known_to_be_all(flags: Tensor) -> bool:
    """Return whether all flags are true, as far as that is known without waiting for a device: on a CPU only."""
    return flags.device.type == "cpu" and bool(flags.all())


def along_instances(values: Tensor, stack: Tensor) -> Tensor:
    """Return values [M] shaped to broadcast over a stack [M, ...]."""
    return values.view(-1, *[1] * (stack.dim() - 1))


def _rows(stack: Tensor) -> Tensor:
    """Return a stack [M, ...] as one row per instance; a stack of scalars too."""
    return stack.reshape(len(stack), -1)


class InstanceStep:
    """Turns an optimiser's step with rate 1 into one step with a learning rate per instance.

    For SGD, Adam and AdamW a step with rate η is exactly an interpolation by η between the weights before and after a
    step with rate 1. Frozen instances get their weights and optimiser state back, since momentum and decay would move
    them.
    """

    def __init__(self, optimizer: Optimizer) -> None:
        """Remember the weights and optimiser state before the step."""
        self._optimizer = optimizer
        self._weights = {p: p.detach().clone() for group in optimizer.param_groups for p in group["params"]}
        self._moments = {key: state.clone() for key, state in self._state_tensors().items()}

    def _state_tensors(self) -> dict[tuple[Tensor, str], Tensor]:
        """Return the optimiser's state per weight: all but its count of steps."""
        states = ((p, name, value) for p in self._weights for name, value in self._optimizer.state.get(p, {}).items())
        return {(p, name): v for p, name, v in states if isinstance(v, Tensor) and v.shape == p.shape}

    @torch.no_grad()
    def finish(self, rates: Tensor, alive: Tensor) -> Tensor:
        """Apply learning rates [M] to instances that are ``alive`` [M], and restore the others.

        Returns:
            The instances [M] that took the step: alive, and with finite weights after it.
        """
        rate_of = {dtype: rates.to(dtype) for dtype in {p.dtype for p in self._weights}}
        for p, before in self._weights.items():
            torch.lerp(before, p, along_instances(rate_of[p.dtype], p), out=p)
        if not self._known_to_be_finite():
            alive = alive & torch.stack([_rows(p).isfinite().all(1) for p in self._weights]).all(0)
        if not known_to_be_all(alive):
            self._restore(alive)
        return alive

    def _known_to_be_finite(self) -> bool:
        """Return whether all weights are finite, as far as one quick look tells without waiting for a device."""
        weights = list(self._weights)
        # A norm that overflows merely calls for a closer look.
        return weights[0].device.type == "cpu" and math.isfinite(torch.stack(torch._foreach_norm(weights)).sum())

    def _restore(self, alive: Tensor) -> None:
        """Give all instances but those that are ``alive`` [M] their weights and optimiser state back."""
        for p, before in self._weights.items():
            p.copy_(torch.where(along_instances(alive, p), p, before))
        for key, state in self._state_tensors().items():
            # Before the first step there is no state.
            before = self._moments.get(key, torch.zeros_like(state))
            state.copy_(torch.where(along_instances(alive, state), state, before))
