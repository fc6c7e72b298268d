"""From an experiment as written to its whole configuration, checked, and the grid of a sweep."""

from collections.abc import Iterator

from rnnbench.benchmark.config.experiment import Experiment, set_setting
from rnnbench.benchmark.config.match import with_matched_size
from rnnbench.benchmark.config.overrides import Draft
from rnnbench.benchmark.config.pilot import PilotSettings
from rnnbench.benchmark.config.recipe import Recipe
from rnnbench.benchmark.config.section import Section
from rnnbench.benchmark.config.specs import Kind, resolve_spec
from rnnbench.benchmark.config.suite_file import SuiteFile
from rnnbench.benchmark.config.sweep import grid_of
from rnnbench.benchmark.config.validation import validated
from rnnbench.benchmark.errors import UnknownNameError, UserError
from rnnbench.benchmark.measures import Spec, measure_class
from rnnbench.leaderboard.settings import Config


def resolved(draft: Draft, file: SuiteFile, suite: str, budget: str) -> Experiment:
    """Return the experiment of what is written in a file, swept settings at their first values.

    Raises:
        UserError: anything that is unknown, missing, of the wrong type, or outside of what is allowed.
    """
    task, network = draft.task_name, draft.network_name
    cell, of_network = f"{task}/{network}", f"{file.networks.at(network)}: network {network}"
    config: Config = {
        "task": resolve_spec("task", draft.task, f"{file.tasks.at(task)}: task {task}"),
        "recurrence": {},
        "training": _training(draft.training, cell),
        "seed": file.seed,
    }
    recurrence = draft.recurrence
    if draft.match is not None:
        recurrence = with_matched_size(recurrence, draft.match, config, f"{of_network} ({cell})")
    config["recurrence"] = resolve_spec("recurrence", recurrence, of_network)
    grid, listed = grid_of(draft.sweep, config, cell) if draft.sweep else ({}, ())
    for path, values in grid.items():
        set_setting(config, path, values[0])
    lines = {**_lines("task", draft.task), **_lines("recurrence", recurrence), **_lines("training", draft.training)}

    def where(*settings: str) -> str:
        return f"{next((lines[one] for one in settings if one in lines), file.tasks.at(task))}: {cell}"

    batch, epochs, every = (config["training"][name] for name in ("batch_size", "max_epochs", "validate_every"))
    _check_size(config, "train_size", "training.batch_size", batch, where("training.batch_size", "task.train_size"))
    size = config["task"]["init_args"].get("train_size")
    if isinstance(size, int) and epochs and every:
        steps = epochs * -(-size // batch)
        if every > steps:
            at = where("training.validate_every")
            raise UserError(f"{at}: training.validate_every must be at most {steps}, all steps, got {every}")
    for spec in draft.measures:
        _check_measure(config, spec, where(f"task.{spec['settings'].get('split')}_size"))
    pilot = None
    if draft.pilot and max(map(len, grid.values()), default=0) > 1:
        pilot = validated(PilotSettings, draft.pilot, cell, "pilot")
        try:
            pilot.shortened(config["training"])
        except ValueError as error:
            raise UserError(f"{draft.pilot.at('share')}: {cell}: {error}") from error
    published = file.published.of(task, network) if file.published else None
    reason = "; ".join(draft.reasons)
    return Experiment(
        suite, budget, task, network, config, grid, published, draft.measures, listed, pilot,
        reason=reason, unswept=draft.unswept, lines=lines,
    )  # fmt: skip


def unknown_names(draft: Draft, file: SuiteFile) -> Iterator[str]:
    """Yield the messages of what is unknown of the task and the recurrence of a draft, each by itself."""
    at_task, at_network = file.tasks.at(draft.task_name), file.networks.at(draft.network_name)
    specs: tuple[tuple[Kind, Section, str], ...] = (
        ("task", draft.task, f"{at_task}: task {draft.task_name}"),
        ("recurrence", draft.recurrence, f"{at_network}: network {draft.network_name}"),
    )
    for kind, spec, where in specs:
        try:
            resolve_spec(kind, spec, where)
        except UnknownNameError as error:
            yield str(error)
        except UserError:
            continue  # depends on the rest of the experiment, which names it


def _lines(part: str, written: Section) -> dict[str, str]:
    """Return the file and line of what is written in a part of a configuration, by ``part.name``; outer names first."""
    settings = written if part == "training" else written.get("init_args", Section())
    found = {f"{part}.{name}": settings.at(name) for name in settings if name in settings.lines}
    for inner in settings.values():
        if isinstance(inner, Section):
            found = {**_lines(part, inner), **found}
    return found


def _training(written: Section, cell: str) -> Config:
    """Return all settings of the recipe, those that are given as they are written."""
    recipe = validated(Recipe, written, cell, "training").model_dump(mode="json")
    return {name: written.get(name, default) for name, default in recipe.items()}


def _check_measure(config: Config, spec: Spec, where: str) -> None:
    """Check that a measure of epochs alone comes to be taken, and that its split is large enough."""
    name, settings, epochs = spec["measure"], spec["settings"], config["training"]["max_epochs"]
    every = settings["every_epochs"]
    if not settings["at"] and epochs is not None and every > epochs:
        most = f"every_epochs of {name} must be at most max_epochs, {epochs}, got {every}"
        raise UserError(f"{where}: {most}; or name start or end in its 'at'")
    if measure_class(name).uses_sequences:
        _check_size(config, f"{settings['split']}_size", f"samples of {name}", settings["samples"], where)


def _check_size(config: Config, split_size: str, what: str, wanted: int, where: str) -> None:
    """Check what is taken of a split against its size, where the task's arguments tell it."""
    size = config["task"]["init_args"].get(split_size)
    # A size that is itself impossible is refused, by its own name, where the task is built.
    if isinstance(size, int) and 1 <= size < wanted:
        raise UserError(f"{where}: {what} must be at most the {split_size}, {size}, got {wanted}")
