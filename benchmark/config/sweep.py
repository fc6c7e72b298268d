"""The grid of a sweep: axes of which all combinations are points, or points as they are listed; all checked."""

import itertools
import math
from collections.abc import Iterable, Iterator, Mapping
from typing import Annotated, Any

from pydantic import Field, PositiveFloat

from rnnbench.benchmark.config.experiment import Experiment
from rnnbench.benchmark.config.recipe import Recipe
from rnnbench.benchmark.config.section import Section
from rnnbench.benchmark.config.specs import argument_annotation
from rnnbench.benchmark.config.validation import fitted, validated
from rnnbench.benchmark.errors import UserError, shown
from rnnbench.leaderboard.settings import Config, get_setting

_RATES = Annotated[list[PositiveFloat], Field(min_length=1)]
_NUMBERS = Annotated[list[float | list[float]], Field(min_length=1)]  # a range [low, high] is one value
_ANY = Annotated[list[Any], Field(min_length=1)]
Grid = dict[str, tuple[Any, ...]]
#: Points of one experiment's grid at most.
MOST_POINTS = 1_000
#: What points may differ in beside the rate and numbers of the recurrence: no length and no batch, so that all points
#: see the same batches.
_OF_TRAINING = ("optimizer", "momentum", "weight_decay", "betas", "schedule", "gradient_clip_norm")


def grid_of(sweep: Section | list[Section], config: Config, cell: str) -> tuple[Grid, tuple[Config, ...]]:
    """Return the values of each swept setting, and the points where they are listed; none where all combinations are.

    A setting that a listed point does not name is there as in the configuration.

    Raises:
        UserError: a setting cannot be swept, a value does not fit, or a point is there twice, or there are too many.
    """
    if isinstance(sweep, Section):
        axes = {path: _values(sweep, path, sweep[path], config, cell) for path in sweep}
        _check_number(sweep, math.prod(map(len, axes.values())), cell)
        for values in itertools.product(*axes.values()):
            _check_recipe(sweep, dict(zip(axes, values, strict=True)), config, cell)
        return axes, ()
    _check_number(sweep[0], len(sweep), cell)
    for point in sweep:
        for path, value in point.items():
            _values(point, path, [value], config, cell)
        _check_recipe(point, point, config, cell)
    unnamed = {path: get_setting(config, path) for point in sweep for path in point}
    points = tuple({**unnamed, **point} for point in sweep)
    for index, one in enumerate(points):
        if one in points[:index]:
            raise UserError(f"{sweep[index].at(*sweep[index])}: {cell}: sweep lists the point {shown(one)} twice")
    return {path: tuple(_distinct(one[path] for one in points)) for path in unnamed}, points


def axes(sweep: Section | list[Section]) -> list[str]:
    """Return the settings that a sweep names."""
    return list(dict.fromkeys(path for point in ([sweep] if isinstance(sweep, Section) else sweep) for path in point))


def unswept_notes(experiments: Iterable[Experiment]) -> Iterator[str]:
    """Yield a line for each sweep in whose place a row's or a budget's stands that names fewer settings."""
    cells: dict[tuple[str, str], list[str]] = {}
    for experiment in experiments:
        if experiment.unswept:
            stays = [f"{path} stays {shown(get_setting(experiment.config, path))}" for path in experiment.unswept]
            cells.setdefault((", ".join(experiment.grid), ", ".join(stays)), []).append(experiment.name)
    for (swept, fixed), (first, *others) in cells.items():
        more = f" and {len(others)} more cell{'s' * (len(others) > 1)}" if others else ""
        place = f"its sweep of {swept} takes the place of the one above it, so that {fixed}"
        yield f"{first}{more}: {place}: name it in this sweep too to try both"


def _check_number(written: Section, points: int, cell: str) -> None:
    if points > MOST_POINTS:
        raise UserError(f"{written.at(*written)}: {cell}: sweep must have at most {MOST_POINTS:,} points")


def _distinct(values: Iterable[Any]) -> list[Any]:
    found: list[Any] = []
    for value in values:
        if value not in found:
            found.append(value)
    return found


def _check_recipe(sweep: Section, point: Mapping[str, Any], config: Config, cell: str) -> None:
    """Check the settings of training at a point, together."""
    changed = {path.partition(".")[2]: value for path, value in point.items() if path.startswith("training.")}
    if changed.keys() - {"learning_rate"}:
        training = Section(config["training"] | changed, sweep.file)
        training.lines = {name: sweep.lines[path] for name in changed if (path := f"training.{name}") in sweep.lines}
        validated(Recipe, training, cell, "training")


def _values(written: Section, path: str, values: Any, config: Config, cell: str) -> tuple[Any, ...]:
    """Return the checked values of a swept setting."""
    at = f"{written.at(path)}: sweep of {path} ({cell})"
    head, *rest = path.split(".")
    allowed: Any = _ANY
    if head == "recurrence":
        allowed, annotation = _NUMBERS, argument_annotation(config["recurrence"], rest, at)
        if "float" not in annotation:
            raise UserError(f"{at}: {rest[-1]} is {annotation}: only settings that are numbers (float) can be swept")
    elif path == "training.learning_rate":
        allowed = _RATES
    elif head != "training" or rest[1:] or rest[:1] not in [[name] for name in _OF_TRAINING]:
        raise UserError(
            f"{at}: only training.learning_rate ({', '.join(_OF_TRAINING)}) and numbers (float) under "
            "recurrence.init_args can be swept, since all points train for as many steps on the same batches"
        )
    try:
        fitted(values, allowed, "values")
    except ValueError as error:
        raise UserError(f"{at}: {error}") from error
    for index, value in enumerate(values):
        if value in values[:index]:
            raise UserError(f"{at}: {shown(value)} is listed twice")
    return tuple(values)
