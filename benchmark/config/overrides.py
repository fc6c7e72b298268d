"""Where an override becomes a setting: the layers of a suite's file, laid over each other for one experiment."""

from dataclasses import dataclass, field

from rnnbench.benchmark.config.match import MatchSettings
from rnnbench.benchmark.config.section import Section
from rnnbench.benchmark.config.specs import network_spec, with_arguments
from rnnbench.benchmark.config.suite_file import BudgetSettings, Override, Settings, SuiteFile
from rnnbench.benchmark.config.sweep import axes
from rnnbench.benchmark.config.validation import validated
from rnnbench.benchmark.errors import UserError
from rnnbench.benchmark.measures import Spec

_LENGTHS = {"max_epochs": "max_steps", "max_steps": "max_epochs"}


@dataclass
class Draft:
    """An experiment as written, while settings are laid over each other; names are the suite's short ones.

    ``unswept`` are the settings of a sweep in whose place another one stands that does not name them.
    """

    task_name: str
    network_name: str
    task: Section
    recurrence: Section
    training: Section = field(default_factory=Section)
    sweep: Section | list[Section] = field(default_factory=Section)
    unswept: tuple[str, ...] = ()
    pilot: Section = field(default_factory=Section)
    match: MatchSettings | None = None
    measures: tuple[Spec, ...] = ()
    reasons: tuple[str, ...] = ()


def drafted(file: SuiteFile, budget: BudgetSettings, task: str, network: str) -> Draft:
    """Return one experiment of a suite with all settings applied: the suite's, its preset's, the budget's.

    Raises:
        UserError: the preset is unknown.
    """
    written, whose = file.networks[network], f"network {network}"
    match = None
    if isinstance(written, Section) and "match" in written:
        match = validated(MatchSettings, written["match"], f"{written.at('match')}: {whose}", "match")
        written = Section({key: value for key, value in written.items() if key != "match"}, written.file)
        written.lines = file.networks[network].lines
        if "hidden_size" in (written.get("init_args") or {}):
            raise UserError(f"{file.networks.at(network, 'match')}: {whose} needs exactly one of hidden_size and match")
    recurrence, of_preset = network_spec(written, f"{file.networks.at(network)}: {whose}")
    draft = Draft(task, network, file.tasks[task], recurrence, match=match)
    # What a published row needs whatever the suite says, for example gradient clipping.
    preset = Settings(training=of_preset)
    for settings in (file, preset, *file.overrides, budget, *budget.overrides):
        if not isinstance(settings, Override) or settings.hold(task, network):
            _apply(draft, settings)
    return draft


def _apply(draft: Draft, settings: Settings) -> None:
    """Lay settings over a draft: a recipe's and arguments one by one, sweep, pilot and measures as a whole."""
    if isinstance(settings, Override):
        draft.task = with_arguments(draft.task, settings.task)
        draft.recurrence = with_arguments(draft.recurrence, settings.recurrence)
        draft.reasons += (settings.reason,) if settings.reason else ()
        if "hidden_size" in settings.recurrence:
            draft.match = None
    if settings.training is not None:
        for key, other in _LENGTHS.items():
            if key in settings.training and other not in settings.training:
                draft.training.pop(other, None)
        draft.training = draft.training.merged(settings.training)
    if settings.sweep is not None:
        old, new = axes(draft.sweep), axes(settings.sweep)
        # An empty sweep ends the one above on purpose.
        draft.unswept = tuple(path for path in (*draft.unswept, *old) if path not in new) if new else ()
        draft.sweep = settings.sweep
    if settings.pilot is not None:
        draft.pilot = settings.pilot
    if settings.measures is not None:
        draft.measures = settings.measures
