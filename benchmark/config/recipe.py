"""How an experiment is trained: a typed recipe, checked before anything runs. Imports no torch."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveFloat, model_validator

from rnnbench.benchmark.config.validation import Count, Model

OptimizerName = Literal["sgd", "adam", "adamw"]
ScheduleName = Literal["constant", "cosine", "plateau"]
Decay = Annotated[float, Field(ge=0, lt=1)]


class Recipe(Model):
    """The training settings of an experiment; all of them can change its result and so enter its id.

    Attributes:
        optimizer: ``sgd``, ``adam`` or ``adamw``.
        learning_rate: step size; the peak of the schedule.
        momentum: of SGD.
        weight_decay: added to the gradient (``sgd``, ``adam``) or decoupled (``adamw``).
        betas: decay rates of Adam's two moments.
        schedule: ``constant``, ``cosine`` to 0 at the last step, or ``plateau``: an instance's rate is multiplied by
            ``plateau_factor`` after ``plateau_patience`` steps without improvement on validation.
        warmup_steps: steps of linear warm-up.
        gradient_clip_norm: largest 2-norm of an instance's gradient; None for no clipping.
        batch_size: sequences of one step, over all devices.
        max_epochs: epochs to train; give this or ``max_steps``.
        max_steps: optimiser steps to train; 0 trains nothing, for measures of networks as they are drawn.
        validate_every: steps between evaluations; None for the end of each epoch.
        stability_input_bound: the largest absolute input for which an LSTM is kept stable (an ElmanRNN is so for all),
            by a projection after every step; None for no projection.
        stability_contraction: below which the contraction constant is kept then.
        stability_forget_bound: how far the forget gate of an LSTM may open then; None for 0.64 of the contraction.
        patience: steps without improvement on validation after which an instance stops; None for the whole length.
        plateau_factor: of schedule ``plateau``.
        plateau_patience: steps, of schedule ``plateau``, which needs it.
        test_at: whether the test value that counts is that at the ``best`` validation value or at the ``last`` one.

    Raises:
        ValidationError: a ``ValueError``; a setting is unknown, of the wrong type, or outside of what is allowed.
    """

    key_name: ClassVar[str] = "setting of training"

    optimizer: OptimizerName = "adam"
    learning_rate: PositiveFloat = 1e-3
    momentum: Decay = 0.9
    weight_decay: NonNegativeFloat = 0.0
    betas: Annotated[tuple[Decay, Decay], Field(strict=False)] = (0.9, 0.999)
    schedule: ScheduleName = "constant"
    warmup_steps: NonNegativeInt = 0
    gradient_clip_norm: PositiveFloat | None = None
    batch_size: Count = 128
    max_epochs: Count | None = None
    max_steps: NonNegativeInt | None = None
    validate_every: Count | None = None
    stability_input_bound: PositiveFloat | None = None
    stability_contraction: Annotated[float, Field(gt=0, le=1)] = 1.0
    stability_forget_bound: PositiveFloat | None = None
    patience: Count | None = None
    plateau_factor: Annotated[float, Field(gt=0, lt=1)] = 0.1
    plateau_patience: Count | None = None
    test_at: Literal["best", "last"] = "best"

    @model_validator(mode="after")
    def _settings_agree(self) -> Recipe:
        if (self.max_epochs is None) == (self.max_steps is None):
            raise ValueError("training needs exactly one of max_epochs and max_steps")
        for name in ("warmup_steps", "validate_every"):
            value = getattr(self, name)
            if value is not None and self.max_steps is not None and value > self.max_steps:
                raise ValueError(f"training.{name} must be at most max_steps, {self.max_steps}, got {value}")
        for name in ("stability_contraction", "stability_forget_bound"):
            if self.stability_input_bound is None and getattr(self, name) != type(self).model_fields[name].default:
                raise ValueError(f"training.{name} has no effect without stability_input_bound: give both or none")
        if self.schedule == "plateau" and self.plateau_patience is None:
            raise ValueError("training.plateau_patience must be given for schedule 'plateau'")
        for name in ("plateau_factor", "plateau_patience"):
            if self.schedule != "plateau" and getattr(self, name) != type(self).model_fields[name].default:
                raise ValueError(f"training.{name} has no effect without schedule 'plateau'")
        return self

    @property
    def of_model(self) -> dict[str, Any]:
        """The settings that a ``LitSequenceModel`` takes by the same names; each member has its own learning rate."""
        return self.model_dump(exclude={"learning_rate", "batch_size", "max_epochs", "max_steps", "validate_every"})
