"""``rnnbench check module.Class``: the contracts of recurrences and tasks, over one class, ours or a user's."""

from collections.abc import Iterator, Mapping
from typing import Any

from rnnbench.benchmark.config.construct import recurrence_factory
from rnnbench.benchmark.config.specs import imported, registered
from rnnbench.benchmark.errors import UserError, nearest, shown
from rnnbench.datamodules.contracts import CONTRACTS as TASK_CONTRACTS
from rnnbench.datamodules.contracts import TaskCase, broken
from rnnbench.datamodules.objective import Objective
from rnnbench.datamodules.own_code import mark_as_own, reason_of, with_own_line
from rnnbench.datamodules.sequence_data_module import SequenceDataModule
from rnnbench.datamodules.source_scan import constructor_parameters
from rnnbench.lit_models.contracts import CONTRACTS as RECURRENCE_CONTRACTS
from rnnbench.lit_models.contracts import RecurrenceCase, variants
from rnnbench.lit_models.recurrence import Recurrence
from rnnbench.lit_models.task_trial import loss_and_metrics_work


def class_problems(class_path: str, init_args: Mapping[str, Any]) -> Iterator[str]:
    """Yield the contracts that a recurrence or a task breaks, at the given arguments and at variants of these.

    It goes by its name if it is registered, else by its import path; required arguments left out get small values.
    """
    try:
        cls = _load(class_path)
        known = constructor_parameters(cls)
        if unknown := next((name for name in init_args if name not in known), None):
            yield f"{class_path} has no argument {shown(unknown)}: {nearest(unknown, known)}"
            return
        given: dict[str, Any] = {
            name: recurrence_factory(value) if isinstance(value, dict) and "class_path" in value else value
            for name, value in init_args.items()
        }
        if issubclass(cls, SequenceDataModule):
            _ = cls(**given).task  # what is wrong in it is said in its own words
            found = {"": broken((loss_and_metrics_work, *TASK_CONTRACTS), TaskCase(cls, given))}
        else:
            cases = {label: RecurrenceCase(cls, arguments) for label, arguments in variants(cls, given)}
            found = {label: broken(RECURRENCE_CONTRACTS, case) for label, case in cases.items()}
    except (Exception, SystemExit) as error:
        # The class is the user's, and may fail in any way.
        reason = with_own_line if isinstance(error, (UserError, ValueError)) else reason_of
        yield f"{class_path}: {reason(error)}"
        return
    for label, messages in found.items():
        yield from (f"{class_path}{f' with {label}' if label else ''}: {message}" for message in messages)


def _load(class_path: str) -> type[Recurrence] | type[SequenceDataModule]:
    known = {**registered("task"), **registered("recurrence")}
    cls = imported(f"{known[class_path].module}.{class_path}" if class_path in known else class_path, "it")
    if isinstance(cls, type) and issubclass(cls, Objective):
        raise UserError("is an Objective, a loss or a metric: check the task that it belongs to, module.TASK")
    if not isinstance(cls, type) or not issubclass(cls, (Recurrence, SequenceDataModule)):
        raise UserError("is neither a Recurrence subclass nor a SequenceDataModule subclass")
    mark_as_own(cls)
    return cls
