"""Losses and metrics of one's own: one class, which a task or a suite names."""

import functools
import importlib
import sys
from types import ModuleType
from typing import Any

from torch import Tensor

from rnnbench.datamodules.checks import nearest_of
from rnnbench.datamodules.own_code import mark_as_own, reason_of


class Objective:
    """What a loss or a metric is the mean of, over everything that is scored; derive from it and write ``terms``.

    A task gives one as ``loss``, or as ``score`` of a ``Metric``; both also take its import path, with a dot. A loss is
    the mean of its terms and must be differentiable; a metric may be any function of that mean (``value``).

    Attributes:
        classes: whether targets are classes, [B] or [B, T] int64, instead of values [B, K] or [B, T, K].

    >>> class Absolute(Objective):
    ...     def terms(self, outputs, targets):
    ...         return (outputs - targets).abs().mean(-1)
    >>> from rnnbench.datamodules.adding import Adding
    >>> import dataclasses
    >>> dataclasses.replace(Adding(length=20).task, loss=Absolute()).loss == Absolute()
    True
    """

    classes: bool = False

    def terms(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Return what is averaged: [M, B] of outputs [M, B, K], or [M, B, T] of outputs [M, B, T, K].

        ``targets`` have no axis of instances M. A term of a sequence must not depend on other sequences or instances.
        """
        raise NotImplementedError

    def value(self, mean: Tensor) -> Tensor:
        """Return a metric's values [M] from the means of its terms [M], over all that is scored.

        >>> import torch
        >>> class RootMeanSquare(Objective):
        ...     def terms(self, outputs, targets):
        ...         return (outputs - targets).square().mean(-1)
        ...     def value(self, mean):
        ...         return mean.sqrt()
        >>> RootMeanSquare().value(torch.tensor([4.0, 9.0]))
        tensor([2., 3.])
        """
        return mean

    def __eq__(self, other: object) -> bool:
        """Return whether both are of one class and have the same settings."""
        return type(self) is type(other) and vars(self) == vars(other)

    def __hash__(self) -> int:
        """Return the same for objectives of one class."""
        return hash(type(self))


def as_objective(given: object, what: str) -> Objective:
    """Return an objective as it is, or that of an import path; ``what`` it is for begins the message of an error.

    Raises:
        ValueError: it is neither, or there is no such class, or that is not an Objective subclass without arguments.

    >>> as_objective(Objective, "score of metric near")
    Traceback (most recent call last):
    ValueError: score of metric near must be an instance of an Objective, got the class: write Objective()
    """
    if isinstance(given, Objective):
        return given
    if isinstance(given, str):
        return _named_objective(given, what)
    if isinstance(given, type) and issubclass(given, Objective):
        raise ValueError(f"{what} must be an instance of an Objective, got the class: write {given.__name__}()")
    raise ValueError(f"{what} must be an Objective or the import path of one, got {given!r:.80}")


@functools.cache
def _named_objective(path: str, what: str) -> Objective:
    module, _, name = path.rpartition(".")
    try:
        found: Any = getattr(importlib.import_module(module), name)
        if isinstance(found, type) and issubclass(found, Objective):
            mark_as_own(found)
            return found()
    except (Exception, SystemExit) as error:
        # Importing and building run the user's code, which may fail in any way.
        missing = isinstance(error, AttributeError) and module in sys.modules and not hasattr(sys.modules[module], name)
        hint = nearest_of(name, _objectives(sys.modules[module])) if missing else ""
        raise ValueError(f"{what} '{path}' cannot be built: {reason_of(error)}{hint and f': {hint}'}") from error
    raise ValueError(f"{what} '{path}' is not an Objective subclass")


def _objectives(module: ModuleType) -> list[str]:
    classes = {name: one for name, one in vars(module).items() if isinstance(one, type) and issubclass(one, Objective)}
    return [name for name, one in classes.items() if one is not Objective]
