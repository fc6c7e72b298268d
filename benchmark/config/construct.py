"""Building data modules and recurrences from resolved configurations, and checking that this will work."""

from __future__ import annotations

import contextlib
import functools
import importlib
import json
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rnnbench.benchmark.config.experiment import Experiment, Point
from rnnbench.benchmark.config.recipe import Recipe
from rnnbench.benchmark.config.specs import Kind, find_class, search_current_folder
from rnnbench.benchmark.config.validation import fitted
from rnnbench.benchmark.errors import UserError
from rnnbench.benchmark.measures import build_measure
from rnnbench.datamodules.own_code import reason_of, with_own_line
from rnnbench.datamodules.real_data import DataMissingError
from rnnbench.datamodules.source_scan import constructor_hints
from rnnbench.leaderboard.settings import Config

if TYPE_CHECKING:
    from rnnbench.datamodules.sequence_data_module import SequenceDataModule
    from rnnbench.datamodules.task import Task
    from rnnbench.lit_models.recurrence import Recurrence

#: Parameters of a recurrence at most, and tensors that hold them: eight times those of the papers' largest.
MOST_PARAMETERS, MOST_TENSORS = 2**28, 2_000
#: From so many parameters on they are not drawn, which may take minutes, to check that they could be.
LARGE = 2**23


def build_data_module(config: Config, data_dir: str | Path | None = None) -> SequenceDataModule:
    """Return the data module of a resolved configuration, without loading its data.

    ``data_dir`` is the folder of the real data sets, for the tasks that have such an argument.

    Raises:
        UserError: a value is of the wrong type or impossible.
    """
    # An argument may name a class of the user's own.
    search_current_folder()
    class_path, what = config["task"]["class_path"], f"task {config['task']['class_path']}"
    given = {**config["task"]["init_args"], "batch_size": config["training"]["batch_size"], "seed": config["seed"]}
    accepted = find_class("task", class_path, "task").arguments
    if data_dir is not None and any(argument.name == "data_dir" for argument in accepted):
        given["data_dir"] = str(data_dir)
    module: SequenceDataModule = _call(_factory("task", class_path, given, what), what)
    return module


def recurrence_factory(spec: Mapping[str, Any]) -> Callable[[int], Recurrence]:
    """Return what builds a recurrence for a number of input features; arguments that are specs become factories too.

    Raises:
        UserError: a value is of the wrong type.
    """
    return _factory("recurrence", spec["class_path"], spec["init_args"], spec["class_path"])


def check_experiment(experiment: Experiment, data_dir: str | Path | None = None) -> SequenceDataModule:
    """Build everything of an experiment but its data, at every point of its grid; return the data module.

    Raises:
        UserError: a value is of the wrong type or impossible; names task, network and argument.
    """
    try:
        module = build_data_module(experiment.config, data_dir)
        _try_task(module, json.dumps(experiment.config["task"]))
        # Points of one recurrence, which are many where only the training is swept, share it.
        groups: dict[str, list[Point]] = {}
        for point in experiment.points():
            groups.setdefault(json.dumps(point.config["recurrence"]), []).append(point)
        for alike in groups.values():
            recurrence = _checked_recurrence(alike[0].config["recurrence"], experiment.measures, module.task)
            for point in alike:
                _check_stability(recurrence, point.recipe)
    except UserError as error:
        at = _line_of(str(error), experiment.lines)
        raise UserError(f"suite {experiment.suite}, {experiment.name}: {error}{at and f' ({at})'}") from error
    return module


def _line_of(message: str, lines: Mapping[str, str]) -> str:
    """Return the line of the suite in which the setting that a message is about was written; empty if none was."""
    part = "task" if message.startswith("task ") else "recurrence"
    about = re.search(r"(?:^|: |training\.)(\w+)(?:\[\d\])? (?:of \w+ )?(?:must|is) ", message)
    names = (f"{where}.{about[1]}" for where in (part, "training")) if about else ()
    return next((lines[name] for name in names if name in lines), "")


#: Tasks that were tried, by their class and arguments: the networks of a suite share a few.
_TRIED: set[tuple[type, str]] = set()


def _try_task(module: SequenceDataModule, arguments: str) -> None:
    from rnnbench.lit_models.task_trial import try_task

    cls = type(module)
    if (cls, arguments) in _TRIED:
        return
    what = f"task {cls.__name__}"
    if cls.__module__.partition(".")[0] != "rnnbench":
        _call(functools.partial(_load_if_there, module), what, "has no data")
    _call(functools.partial(try_task, module), what)
    _TRIED.add((cls, arguments))


def _load_if_there(module: SequenceDataModule) -> None:
    """See that data of a user's own can be had; published ones may be missing where a suite is only checked."""
    with contextlib.suppress(DataMissingError):
        module.check_available()


def _checked_recurrence(spec: Config, measures: Sequence[Config], task: Task) -> Recurrence:
    import torch

    from rnnbench.lit_models.network import Network

    what = spec["class_path"]
    _check_truncations(spec, task.steps)
    # Whatever was drawn before must not decide what a recurrence that is trained later starts from.
    with torch.random.fork_rng(devices=[]):
        recurrence = sized(functools.partial(recurrence_factory(spec), task.input_size), what)
        _check_step(recurrence, task.input_size, what)
        with torch.device("meta"):  # a table of many words takes time to draw
            _call(functools.partial(Network.of, recurrence, task), "network")
    for measure in measures:
        try:
            build_measure(measure).check(recurrence, task)
        except ValueError as error:
            raise UserError(f"measure {measure['measure']}: {error}") from error
    return recurrence


def sized(build: Callable[[], Recurrence], what: str) -> Recurrence:
    """Return a recurrence, one that is large without the values of its parameters.

    Raises:
        UserError: it cannot be built, or is beyond any use; this is found before memory is asked for.
    """
    import torch
    from torch.nn.modules.module import register_module_parameter_registration_hook

    numbers = tensors = 0

    def count(module: torch.nn.Module, name: str, parameter: torch.nn.Parameter | None) -> None:
        nonlocal numbers, tensors
        numbers += 0 if parameter is None else parameter.numel()
        tensors += 1
        if numbers > MOST_PARAMETERS or tensors > MOST_TENSORS:
            most = f"{MOST_PARAMETERS:,} parameters in {MOST_TENSORS:,} tensors"
            raise UserError(f"{what} must have at most {most}, got more: its sizes are too large")

    hook = register_module_parameter_registration_hook(count)
    try:
        with torch.device("meta"):
            large = build()
    except UserError:
        raise
    except (Exception, SystemExit):
        numbers = 0  # what cannot be built there, or at all, is built in memory below, and says why it cannot
    finally:
        hook.remove()
    found: Recurrence = large if numbers > LARGE else _call(build, what)
    return found


def _check_step(recurrence: Recurrence, input_size: int, what: str) -> None:
    """Take one step of two sequences, since a user's class may be wrong in ways that only show then."""
    import torch

    try:
        parameters = list(recurrence.parameters())
        with torch.no_grad(), torch.device(parameters[0].device if parameters else "cpu"):
            state = recurrence.step(torch.zeros(2, input_size), recurrence.initial_state(2))
            output = recurrence.output(state)
    except (Exception, SystemExit) as error:
        raise UserError(f"{what}: a step of 2 sequences fails: {reason_of(error)}") from error
    wanted = {"state after a step": (state, recurrence.state_size), "output": (output, recurrence.hidden_size)}
    for name, (found, size) in wanted.items():
        shape = list(found.shape) if isinstance(found, torch.Tensor) else type(found).__name__
        if shape != [2, size]:
            raise UserError(f"{what}: the {name} of 2 sequences must have the shape [2, {size}], got {shape}")


def _check_stability(recurrence: Recurrence, recipe: Recipe) -> None:
    from rnnbench.lit_models.stability import forget_bound_for, stable_cells

    bound = recipe.stability_input_bound
    if bound is not None:
        try:
            forget_bound_for(recipe.stability_contraction, recipe.stability_forget_bound, prefix="stability_")
            stable_cells(recurrence, bound)
        except ValueError as error:
            raise UserError(f"training.stability_input_bound is {bound}, but {error}") from error


def _call(build: Callable[[], Any], what: str, failure: str = "cannot be built") -> Any:
    try:
        return build()
    except UserError:
        raise
    except ValueError as error:
        raise UserError(f"{what}: {with_own_line(error)}") from error
    except (Exception, SystemExit) as error:
        # The class may be the user's, and fail in any way; or its sizes are beyond the memory.
        raise UserError(f"{what} {failure}: {reason_of(error)}") from error


def _factory(kind: Kind, class_path: str, given: Mapping[str, Any], what: str) -> Callable[..., Any]:
    """Return a class with constructor arguments of the types that its annotations ask for."""
    found = find_class(kind, class_path, kind)
    cls = getattr(importlib.import_module(found.module), found.name.rpartition(".")[2])
    hints = constructor_hints(cls)  # of a user's class maybe none: it then checks for itself
    arguments = {}
    for name, value in given.items():
        hint = hints.get(name, tuple if isinstance(value, list) else Any)
        built = recurrence_factory(value) if isinstance(value, Mapping) and "class_path" in value else None
        try:
            arguments[name] = fitted(value, hint, name, built)
        except ValueError as error:
            raise UserError(f"{what}: {error}") from error
    return functools.partial(cls, **arguments)


def _check_truncations(spec: Any, steps: int) -> None:
    if isinstance(spec, Mapping):
        k = spec["init_args"]["k"] if spec.get("class_path") == "FeedForwardTruncation" else None
        if isinstance(k, int) and k > steps:
            most = f"{steps}, the steps of a sequence"
            raise UserError(f"k of FeedForwardTruncation must be at most {most}, got {k}")
        for inner in spec.values():
            _check_truncations(inner, steps)
