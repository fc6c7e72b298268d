"""How an experiment is trained: a typed recipe, checked before anything runs. Imports no torch."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

OptimizerName = Literal["sgd", "adam", "adamw"]
ScheduleName = Literal["constant", "cosine"]


@dataclass(frozen=True)
class Recipe:
    """The training settings of an experiment; all of them can change its result and so enter its id.

    Attributes:
        optimizer: ``sgd``, ``adam`` or ``adamw``.
        learning_rate: step size; the peak of the schedule.
        momentum: of SGD.
        weight_decay: of all three (added to the gradient by ``sgd`` and ``adam``, decoupled in ``adamw``).
        betas: decay rates of Adam's moments.
        schedule: ``constant``, or ``cosine`` from the peak to 0 at the last step.
        warmup_steps: steps of linear warm-up from 0.
        gradient_clip_norm: largest 2-norm of an instance's gradient; None for no clipping.
        batch_size: sequences of one step, over all devices.
        max_epochs: epochs to train; give this or ``max_steps``.
        max_steps: optimiser steps to train; 0 trains nothing, for measures of networks as they are drawn.
        validate_every: steps between evaluations; None for the end of each epoch.
        stability_input_bound: the largest absolute input for which an LSTM is kept stable (an ElmanRNN for all) by a
            projection after each optimiser step (``lit_models.stability``); None for no projection.
    """

    optimizer: OptimizerName = "adam"
    learning_rate: float = 1e-3
    momentum: float = 0.9
    weight_decay: float = 0.0
    betas: tuple[float, float] = (0.9, 0.999)
    schedule: ScheduleName = "constant"
    warmup_steps: int = 0
    gradient_clip_norm: float | None = None
    batch_size: int = 128
    max_epochs: int | None = None
    max_steps: int | None = None
    validate_every: int | None = None
    stability_input_bound: float | None = None

    def __post_init__(self) -> None:
        """Check the values.

        Raises:
            ValueError: names the setting and what is allowed.
        """
        least = {"batch_size": 1, "max_epochs": 1, "max_steps": 0, "validate_every": 1, "warmup_steps": 0}
        for name, minimum in least.items():
            value = getattr(self, name)
            if value is not None and value < minimum:
                raise ValueError(f"training.{name} is {value}: at least {minimum} is allowed")
        if (self.max_epochs is None) == (self.max_steps is None):
            raise ValueError("training needs either max_epochs or max_steps, not both and not neither")
        if not self.learning_rate > 0:
            raise ValueError(f"training.learning_rate is {self.learning_rate}: a positive number is allowed")
        if not 0 <= self.momentum < 1:
            raise ValueError(f"training.momentum is {self.momentum}: from 0 to below 1 is allowed")
        if not all(0 <= beta < 1 for beta in self.betas):
            raise ValueError(f"training.betas is {list(self.betas)}: two numbers from 0 to below 1 are allowed")
        if self.max_steps is not None and self.warmup_steps > self.max_steps:
            raise ValueError(
                f"training.warmup_steps is {self.warmup_steps}, more than max_steps: up to {self.max_steps} is allowed"
            )
        if self.weight_decay < 0:
            raise ValueError(f"training.weight_decay is {self.weight_decay}: 0 or more is allowed")
        if self.gradient_clip_norm is not None and not self.gradient_clip_norm > 0:
            raise ValueError(
                f"training.gradient_clip_norm is {self.gradient_clip_norm}: a positive number or null is allowed"
            )
        if self.stability_input_bound is not None and not 0 < self.stability_input_bound < math.inf:
            raise ValueError(
                f"training.stability_input_bound is {self.stability_input_bound}: "
                "a finite positive number or null is allowed"
            )
