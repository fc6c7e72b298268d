"""``rnnbench check module.Class``: the contracts of recurrences and tasks, over one class, ours or a user's."""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Mapping
from typing import Any

from rnnbench.benchmark.config.construct import recurrence_factory
from rnnbench.benchmark.config.specs import registered, search_current_folder
from rnnbench.benchmark.errors import UserError
from rnnbench.datamodules import contracts as task_contracts
from rnnbench.datamodules.sequence_data_module import SequenceDataModule
from rnnbench.lit_models import contracts as recurrence_contracts
from rnnbench.lit_models.recurrence import Recurrence


def class_problems(class_path: str, init_args: Mapping[str, Any]) -> Iterator[str]:
    """Yield the contracts that a recurrence or a task breaks, at the given arguments and at variants of these.

    Args:
        class_path: name of a registered class, or the dotted import path of a user's.
        init_args: constructor arguments; required ones that are missing get small values.
    """
    try:
        cls = _load(class_path)
        given = {
            name: recurrence_factory(value) if isinstance(value, dict) and "class_path" in value else value
            for name, value in init_args.items()
        }
        if issubclass(cls, SequenceDataModule):
            found = {"": task_contracts.broken(task_contracts.CONTRACTS, task_contracts.TaskCase(cls, given))}
        else:
            found = {
                label: task_contracts.broken(
                    recurrence_contracts.CONTRACTS, recurrence_contracts.RecurrenceCase(cls, arguments)
                )
                for label, arguments in recurrence_contracts.variants(cls, given)
            }
    except (UserError, ValueError) as error:
        yield f"{class_path}: {error}"
        return
    for label, messages in found.items():
        yield from (f"{class_path}{f' with {label}' if label else ''}: {message}" for message in messages)


def _load(class_path: str) -> type[Recurrence] | type[SequenceDataModule]:
    module, _, name = class_path.rpartition(".")
    known = {**registered("task"), **registered("recurrence")}
    search_current_folder()
    try:
        cls = getattr(importlib.import_module(module or known[name].module), name)
    except (Exception, SystemExit) as error:
        # Importing runs the user's code, which may fail in any way.
        raise UserError(f"cannot be imported: {type(error).__name__}: {error}") from error
    if not isinstance(cls, type) or not issubclass(cls, (Recurrence, SequenceDataModule)):
        raise UserError("is neither a Recurrence subclass nor a SequenceDataModule subclass")
    return cls
