"""Pilots: every point of a grid is trained for a share of the steps, and only the best one in full."""

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar

from pydantic import Field

from rnnbench.benchmark.config.validation import Model

_LENGTHS = {"max_epochs": "epoch", "max_steps": "step"}


class PilotSettings(Model):
    """How the point of a grid is chosen by pilots.

    A pilot is a complete short run of its own: its schedule and its warm-up are those of the short run.

    Attributes:
        share: of the recipe's epochs or steps that each point is trained for.
        instances: how many instances of each point are trained so, from number 0 on.
    """

    key_name: ClassVar[str] = "key of 'pilot'"

    share: Annotated[float, Field(gt=0, lt=1)]
    instances: Annotated[int, Field(ge=1, le=16)]

    def shortened(self, training: Mapping[str, Any]) -> dict[str, Any]:
        """Return the training settings of a pilot.

        Raises:
            ValueError: the share is less than an epoch or a step.

        >>> recipe = {"max_epochs": 20, "max_steps": None, "warmup_steps": 100, "validate_every": 50}
        >>> PilotSettings(share=0.1, instances=1).shortened(recipe)
        {'max_epochs': 2, 'max_steps': None, 'warmup_steps': 10, 'validate_every': 50}
        """
        short = {**training, "warmup_steps": round(self.share * training["warmup_steps"])}
        for name, unit in _LENGTHS.items():
            whole = training[name]
            if whole is not None:
                short[name] = round(self.share * whole)
                if not short[name]:
                    least = f"pilot.share of {name} {whole} must give at least 1 {unit}, got {self.share}"
                    raise ValueError(f"{least}: write a larger share, or the length in max_steps")
        if short["max_steps"] and short["validate_every"]:
            short["validate_every"] = min(short["validate_every"], short["max_steps"])
        return short
