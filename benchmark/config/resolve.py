"""From an experiment as written to its whole configuration, checked, and the grid of a sweep."""

from __future__ import annotations

import math
from typing import Annotated, Any

from pydantic import Field, PositiveFloat

from rnnbench.benchmark.config.experiment import Config, set_setting
from rnnbench.benchmark.config.overrides import Draft
from rnnbench.benchmark.config.recipe import Recipe
from rnnbench.benchmark.config.section import Section
from rnnbench.benchmark.config.specs import argument_annotation, resolve_spec
from rnnbench.benchmark.config.suite_file import SuiteFile
from rnnbench.benchmark.config.validation import fitted, validated
from rnnbench.benchmark.errors import UserError, shown
from rnnbench.benchmark.measures import measure_class
from rnnbench.benchmark.measures.specs import Spec

Grid = dict[str, tuple[Any, ...]]

_RATES = Annotated[list[PositiveFloat], Field(min_length=1)]
_NUMBERS = Annotated[list[float | list[float]], Field(min_length=1)]  # a range [low, high] is one value
#: Points of one experiment's grid at most.
MOST_POINTS = 1_000


def resolved(draft: Draft, file: SuiteFile) -> tuple[Config, Grid]:
    """Return the configuration of what is written in a file, swept settings at their first values, and the grid.

    Raises:
        UserError: anything that is unknown, missing, of the wrong type, or outside of what is allowed.
    """
    cell = f"{draft.task_name}/{draft.network_name}"
    of_network = f"{file.networks.at(draft.network_name)}: network {draft.network_name}"
    config: Config = {
        "task": resolve_spec("task", draft.task, f"{file.tasks.at(draft.task_name)}: task {draft.task_name}"),
        "recurrence": resolve_spec("recurrence", draft.recurrence, of_network),
        "training": _training(draft.training, cell),
        "seed": file.seed,
    }
    grid: Grid = {path: _swept(draft.sweep, path, config, cell) for path in draft.sweep}
    if math.prod(map(len, grid.values())) > MOST_POINTS:
        raise UserError(f"{draft.sweep.at(*grid)}: {cell}: sweep must have at most {MOST_POINTS:,} points")
    for path, values in grid.items():
        set_setting(config, path, values[0])
    where = f"{file.tasks.file}: {cell}"
    batch, epochs, every = (config["training"][name] for name in ("batch_size", "max_epochs", "validate_every"))
    _check_size(config, "train_size", "training.batch_size", batch, where)
    size = config["task"]["init_args"].get("train_size")
    if isinstance(size, int) and epochs and every:
        steps = epochs * -(-size // batch)
        if every > steps:
            raise UserError(f"{where}: training.validate_every must be at most {steps}, all steps, got {every}")
    for spec in draft.measures:
        _check_measure(config, spec, where)
    return config, grid


def _training(written: Section, cell: str) -> Config:
    """Return all settings of the recipe, those that are given as they are written."""
    recipe = validated(Recipe, written, cell, "training").model_dump(mode="json")
    return {name: written.get(name, default) for name, default in recipe.items()}


def _swept(sweep: Section, path: str, config: Config, cell: str) -> tuple[Any, ...]:
    """Return the checked values of a swept setting: it must be one that instances of one run can differ in."""
    at = f"{sweep.at(path)}: sweep of {path} ({cell})"
    head, *rest = path.split(".")
    if head == "recurrence":
        annotation = argument_annotation(config["recurrence"], rest, at)
        if "float" not in annotation:
            raise UserError(f"{at}: {rest[-1]} is {annotation}: only settings that are numbers (float) can be swept")
    elif path != "training.learning_rate":
        raise UserError(
            f"{at}: only training.learning_rate and numbers (float) under recurrence.init_args can be swept, "
            "since instances of one run can differ in nothing else"
        )
    try:
        fitted(sweep[path], _RATES if head == "training" else _NUMBERS, "values")
    except ValueError as error:
        raise UserError(f"{at}: {error}") from error
    values = tuple(sweep[path])
    for index, value in enumerate(values):
        if value in values[:index]:
            raise UserError(f"{at}: {shown(value)} is listed twice")
    return values


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
