"""Losses and metrics of one's own: one class, which a task or a suite names."""

import functools
import importlib

from torch import Tensor


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


@functools.cache
def named_objective(path: str, what: str) -> Objective:
    """Return an instance of the class at an import path; ``what`` it is for begins the message of an error.

    Raises:
        ValueError: there is no such class, or it is not an Objective subclass that takes no arguments.
    """
    module, _, name = path.rpartition(".")
    try:
        found = getattr(importlib.import_module(module), name)
        if isinstance(found, type) and issubclass(found, Objective):
            return found()
    except (Exception, SystemExit) as error:
        # Importing and building run the user's code, which may fail in any way.
        raise ValueError(f"{what} '{path}' cannot be built: {type(error).__name__}: {error}") from error
    raise ValueError(f"{what} '{path}' is not an Objective subclass")
