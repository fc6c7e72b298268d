"""From the layers of a suite's file to the whole configuration of one experiment."""

from __future__ import annotations

import dataclasses
import typing
from dataclasses import dataclass
from typing import Any

from rnnbench.benchmark.config.experiment import Config, get_setting, recipe_of, set_setting
from rnnbench.benchmark.config.recipe import Recipe
from rnnbench.benchmark.config.specs import argument_annotation, as_section, network_spec, resolve_spec, with_arguments
from rnnbench.benchmark.config.type_check import describe, fits
from rnnbench.benchmark.config.yaml_file import Section
from rnnbench.benchmark.errors import UserError
from rnnbench.benchmark.measures import measure_class
from rnnbench.benchmark.measures.specs import Spec, resolve_measures

Grid = dict[str, tuple[Any, ...]]

_LENGTHS = {"max_epochs": "max_steps", "max_steps": "max_epochs"}


@dataclass(frozen=True)
class Layer:
    """Settings laid over what came before: ``training``, ``sweep``, ``measures``, ``task``, ``recurrence``.

    Attributes:
        settings: the section; its other keys are passed over.
        tasks: names of the tasks it is for; None for all.
        networks: names of the networks it is for; None for all.
    """

    settings: Section
    tasks: tuple[str, ...] | None = None
    networks: tuple[str, ...] | None = None


class Draft:
    """An experiment while the layers of its suite are laid over each other.

    Args:
        tasks: the suite's tasks.
        task: short name of the one meant.
        networks: the suite's networks.
        network: short name of the one meant.

    Attributes:
        preset: the layer that the network's preset asks for; empty without a preset.
    """

    def __init__(self, tasks: Section, task: str, networks: Section, network: str) -> None:
        """Start from the two specs as written."""
        self.task, self.network = task, network
        self._task_at, self._network_at = f"{tasks.at(task)}: task {task}", f"{networks.at(network)}: network {network}"
        self._at = f"{tasks.file}: {task}/{network}"
        self._task = tasks.section(task)
        self._recurrence, training = network_spec(networks[network], self._network_at)
        self.preset: Section = as_section({"training": training} if training else {})
        self._training = Section(file=tasks.file)
        self._sweep = Section(file=tasks.file)
        self._measures: tuple[Spec, ...] = ()

    def lay(self, layer: Layer) -> None:
        """Lay a layer over what came before, if it is for this task and network."""
        for name, names in ((self.task, layer.tasks), (self.network, layer.networks)):
            if names is not None and name not in names:
                return
        settings = layer.settings
        if "sweep" in settings:
            self._sweep = settings.section("sweep")
        if "measures" in settings:
            where = f"{settings.at('measures')}: {self.task}/{self.network}"
            self._measures = resolve_measures(settings["measures"], where)
        if "training" in settings:
            training = settings.section("training")
            training.check_keys([field.name for field in dataclasses.fields(Recipe)], "setting of training")
            for key, other in _LENGTHS.items():
                if key in training and other not in training:
                    self._training.pop(other, None)
            self._training = self._training.merged(training)
        if "task" in settings:
            self._task = with_arguments(self._task, settings.section("task"))
        if "recurrence" in settings:
            self._recurrence = with_arguments(self._recurrence, settings.section("recurrence"))

    @property
    def measures(self) -> tuple[Spec, ...]:
        """The measures of dynamics, defaults filled in."""
        return self._measures

    def resolve(self, seed: int) -> tuple[Config, Grid]:
        """Return the configuration, swept settings at their first values, and the grid.

        Args:
            seed: of data, order and splits.

        Raises:
            UserError: anything that is unknown, missing, of the wrong type, or outside of what is allowed.
        """
        config: Config = {
            "task": resolve_spec("task", self._task, self._task_at),
            "recurrence": resolve_spec("recurrence", self._recurrence, self._network_at),
            "training": self._filled_training(),
            "seed": seed,
        }
        grid: Grid = {path: self._values(config, path) for path in self._sweep}
        for path, values in grid.items():
            for value in reversed(values):
                set_setting(config, path, value)
                self._check_recipe(config)
        if not grid:
            self._check_recipe(config)
        self._check_size(config, "train_size", "training.batch_size", config["training"]["batch_size"])
        for spec in self._measures:
            self._check_taken(config, spec)
            if not measure_class(spec["measure"]).uses_sequences:
                continue
            size = f"{spec['settings']['split']}_size"
            self._check_size(config, size, f"samples of {spec['measure']}", spec["settings"]["samples"])
        return config, grid

    def _check_taken(self, config: Config, spec: Spec) -> None:
        """Check that a measure of epochs alone comes to be taken."""
        every, epochs = spec["settings"]["every_epochs"], config["training"]["max_epochs"]
        if not spec["settings"]["at"] and epochs is not None and every > epochs:
            raise UserError(
                f"{self._at}: every_epochs of {spec['measure']} is {every}, more than max_epochs: at most {epochs} is "
                "allowed, or name start or end in its 'at'"
            )

    def _check_size(self, config: Config, split_size: str, what: str, wanted: int) -> None:
        """Check what is taken of a split against its size, where the task's arguments tell it."""
        size = config["task"]["init_args"].get(split_size)
        # A size that is itself impossible is refused, by its own name, where the task is built.
        if fits(size, int) and 1 <= size < wanted:
            raise UserError(f"{self._at}: {what} is {wanted}, larger than the {split_size}: at most {size} is allowed")

    def _filled_training(self) -> Config:
        hints = typing.get_type_hints(Recipe)
        training: Config = {}
        for field in dataclasses.fields(Recipe):
            value = self._training.get(field.name, field.default)
            if not fits(value, hints[field.name]):
                at = self._training.at(field.name)
                allowed = describe(hints[field.name])
                raise UserError(
                    f"{at}: {self.task}/{self.network}: training.{field.name} is {value!r}: {allowed} is allowed"
                )
            training[field.name] = list(value) if isinstance(value, tuple) else value
        return training

    def _check_recipe(self, config: Config) -> None:
        try:
            recipe_of(config)
        except ValueError as error:
            raise UserError(f"{self._at}: {error}") from error

    def _values(self, config: Config, path: str) -> tuple[Any, ...]:
        """Return the checked values of a swept setting: it must be one that instances of one run can differ in."""
        at = f"{self._sweep.at(path)}: sweep of {path} ({self.task}/{self.network})"
        head, *rest = path.split(".")
        if head == "recurrence":
            annotation = argument_annotation(config["recurrence"], rest, at)
            if "float" not in annotation:
                raise UserError(
                    f"{at}: {rest[-1]} is {annotation}: only settings that are numbers (float) can be swept"
                )
        elif path != "training.learning_rate":
            raise UserError(
                f"{at}: only training.learning_rate and numbers (float) under recurrence.init_args can be swept, "
                "since instances of one run can differ in nothing else"
            )
        values = self._sweep[path]
        if not isinstance(values, list) or not values:
            raise UserError(f"{at}: {values!r}: a list of values is allowed")
        for value in values:
            if not fits(value, float) and not (head == "recurrence" and fits(value, list[float])):
                raise UserError(f"{at}: {value!r}: a number is allowed, or for r, phi and gamma a range [low, high]")
            if values.count(value) > 1:
                raise UserError(f"{at}: {value!r} is listed twice")
        get_setting(config, path)
        return tuple(values)
