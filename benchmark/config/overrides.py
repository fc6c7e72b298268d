"""Where an override becomes a setting: the layers of a suite's file, laid over each other for one experiment."""

from __future__ import annotations

from dataclasses import dataclass, field

from rnnbench.benchmark.config.section import Section
from rnnbench.benchmark.config.specs import network_spec, with_arguments
from rnnbench.benchmark.config.suite_file import BudgetSettings, Override, Settings, SuiteFile
from rnnbench.benchmark.measures.specs import Spec

_LENGTHS = {"max_epochs": "max_steps", "max_steps": "max_epochs"}


@dataclass
class Draft:
    """An experiment as written, while settings are laid over each other.

    Attributes:
        task_name: the suite's short name of the task.
        network_name: the suite's short name of the network.
        task: specification of the task.
        recurrence: specification of the recurrence.
        training: settings of the recipe.
        sweep: dotted path to values.
        measures: measures of dynamics.
    """

    task_name: str
    network_name: str
    task: Section
    recurrence: Section
    training: Section = field(default_factory=Section)
    sweep: Section = field(default_factory=Section)
    measures: tuple[Spec, ...] = ()


def drafted(file: SuiteFile, budget: BudgetSettings, task: str, network: str) -> Draft:
    """Return one experiment of a suite with all settings applied: the suite's, its preset's, the budget's.

    Args:
        file: the suite.
        budget: what the budget changes.
        task: the suite's short name of the task.
        network: the suite's short name of the network.

    Raises:
        UserError: the preset is unknown.
    """
    recurrence, of_preset = network_spec(file.networks[network], f"{file.networks.at(network)}: network {network}")
    draft = Draft(task, network, file.tasks[task], recurrence)
    apply_settings(draft, file)
    # What a published row needs whatever the suite says, for example gradient clipping.
    apply_settings(draft, Settings(training=of_preset))
    apply_overrides(draft, file.overrides)
    apply_settings(draft, budget)
    apply_overrides(draft, budget.overrides)
    return draft


def apply_overrides(draft: Draft, overrides: list[Override]) -> None:
    """Lay overrides over a draft, in their order, as far as they are for its cell."""
    for override in overrides:
        if override.hold(draft.task_name, draft.network_name):
            apply_settings(draft, override)
            draft.task = with_arguments(draft.task, override.task)
            draft.recurrence = with_arguments(draft.recurrence, override.recurrence)


def apply_settings(draft: Draft, settings: Settings) -> None:
    """Lay settings over a draft: a recipe's one by one, a sweep and measures as a whole."""
    if settings.training is not None:
        for key, other in _LENGTHS.items():
            if key in settings.training and other not in settings.training:
                draft.training.pop(other, None)
        draft.training = draft.training.merged(settings.training)
    if settings.sweep is not None:
        draft.sweep = settings.sweep
    if settings.measures is not None:
        draft.measures = settings.measures
