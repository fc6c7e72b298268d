"""Resolving ``class_path`` and ``init_args``: names are checked and defaults filled in, without importing torch."""

import ast
import contextlib
import functools
import importlib
import importlib.util
import inspect
import json
import os
import pkgutil
import sys
import types
from typing import Any, ClassVar, Literal

from rnnbench.benchmark.config.section import Section, as_sections
from rnnbench.benchmark.config.validation import Mapped, Model, validated
from rnnbench.benchmark.errors import UnknownNameError, UserError, nearest, shown
from rnnbench.datamodules import registered_tasks
from rnnbench.datamodules.own_code import mark_as_own, reason_of
from rnnbench.datamodules.source_scan import Argument, FoundClass, constructor_parameters
from rnnbench.leaderboard.settings import Config
from rnnbench.lit_models.presets import PRESETS, Preset
from rnnbench.lit_models.recurrences import registered_recurrences

Kind = Literal["task", "recurrence"]

_BASES = {"task": "SequenceDataModule", "recurrence": "Recurrence"}
#: Constructor arguments that are not written under init_args, and where they come from.
_GIVEN_ELSEWHERE = {
    "task": {
        "batch_size": "give it as training.batch_size",
        "seed": "give it as the suite's seed",
        "data_dir": "give it as --data-dir or in the environment variable RNNBENCH_DATA",
    },
    "recurrence": {"input_size": "it follows from the task"},
}


def registered(kind: Kind) -> dict[str, FoundClass]:
    """Return the registered classes of a kind by name."""
    return registered_tasks() if kind == "task" else registered_recurrences()


def find_preset(name: object, where: str) -> Preset:
    """Return the preset ``name``; a ``UserError`` that names the nearest one if there is none."""
    if isinstance(name, str) and name in PRESETS:
        return PRESETS[name]
    classes, form = registered("recurrence"), "{class_path: NAME, init_args: {...}}"
    if isinstance(name, str) and name in classes:
        raise UserError(f"{where}: '{name}' is a class, not a preset: write {form.replace('NAME', name)}")
    hint = nearest(name, [*PRESETS, *classes])
    raise UnknownNameError(f"{where}: unknown preset {shown(name)}: {hint}. A class is written {form}")


def find_class(kind: Kind, class_path: object, where: str) -> FoundClass:
    """Return a registered class by its name, or a user's class by its dotted import path.

    Raises:
        UserError: there is no such class, or it is of another kind.
    """
    known = registered(kind)
    if isinstance(class_path, str):
        module, _, name = class_path.rpartition(".")
        if name in known and module in ("", known[name].module, known[name].module.rpartition(".")[0]):
            return known[name]
        if module:
            return _users_class(kind, class_path, where)
    raise UnknownNameError(f"{where}: unknown {kind} {shown(class_path)}: {nearest(class_path, known)}")


def search_current_folder() -> None:
    """Let modules of the user's be imported from where the command is called, as with ``python -m``.

    The folder comes last on the path: one of the user's that is called ``datasets`` hides no library.
    """
    if os.getcwd() not in sys.path and "" not in sys.path:
        sys.path.append(os.getcwd())


def imported(path: str, what: str) -> Any:
    """Return what a dotted path names, in the current folder too; a ``UserError`` that begins with ``what`` if none."""
    module, _, name = path.rpartition(".")
    search_current_folder()
    try:
        found = importlib.import_module(module)
        if not hasattr(found, name) and hasattr(found, "__path__") and importlib.util.find_spec(path):
            found = importlib.import_module(path)
        elif isinstance(getattr(found, name), types.ModuleType):
            found = getattr(found, name)
        else:
            return getattr(found, name)
    except (Exception, SystemExit) as error:
        # Importing runs the user's code, which may fail in any way.
        hint = _hint(path, error)
        raise UserError(f"{what} cannot be imported: {reason_of(error)}{hint and f': {hint}'}") from error
    raise UserError(f"{what} is a module: write {path}.CLASS; {nearest('', _classes(found))}")


def _hint(path: str, error: BaseException) -> str:
    """Return what may have been meant by a path that names nothing; empty where the user's code failed."""
    module, _, name = path.rpartition(".")
    if isinstance(error, AttributeError) and module in sys.modules and not hasattr(sys.modules[module], name):
        return nearest(name, _classes(sys.modules[module]))
    missing = error.name if isinstance(error, ModuleNotFoundError) else None
    if not missing or not f"{path}.".startswith(f"{missing}."):
        return ""
    package, _, last = missing.rpartition(".")
    if not package:
        return "install it, or call rnnbench from the folder that it lies in"
    return nearest(last, (one.name for one in pkgutil.iter_modules(getattr(sys.modules[package], "__path__", []))))


def _classes(module: types.ModuleType) -> list[str]:
    """Return the names of the classes that a module defines itself."""
    return [name for name, one in vars(module).items() if isinstance(one, type) and one.__module__ == module.__name__]


def _users_class(kind: Kind, path: str, where: str) -> FoundClass:
    found = imported(path, f"{where}: {kind} '{path}'")
    if not isinstance(found, type) or _BASES[kind] not in {base.__name__ for base in found.__mro__}:
        raise UserError(f"{where}: '{path}' is not a {_BASES[kind]} subclass")
    mark_as_own(found)
    # Of a class that is no ABC's too, which Python would build.
    static = {method: inspect.getattr_static(found, method, None) for method in dir(found)}
    missing = [method for method, one in static.items() if getattr(one, "__isabstractmethod__", False)]
    if missing:
        raise UserError(f"{where}: '{path}' is abstract: it must define {', '.join(missing)}")
    arguments = []
    for one in constructor_parameters(found).values():
        default = None if one.default is one.empty else repr(one.default)
        arguments.append(Argument(one.name, inspect.formatannotation(one.annotation), default))
    return FoundClass(path, path.rpartition(".")[0], (found.__doc__ or "").split("\n")[0], tuple(arguments))


class ClassSpec(Model):
    """A class and some arguments of its constructor, as written.

    Attributes:
        class_path: name of a task or recurrence, or the import path of a class of one's own.
        init_args: arguments of its constructor, recurrences inside recurrences too; defaults are filled in.
    """

    key_name: ClassVar[str] = "key"

    class_path: Any
    init_args: Mapped = Section()


class PresetSpec(Model):
    """A preset and arguments laid over its own, as written.

    Attributes:
        preset: name of a row of the papers (``list recurrences``), in place of ``class_path``.
        init_args: arguments laid over those of the preset.
    """

    key_name: ClassVar[str] = "key of a preset"

    preset: Any
    init_args: Mapped = Section()


def network_spec(value: object, where: str) -> tuple[Section, Section]:
    """Return the recurrence of a network as written in a suite, and the training settings its preset asks for.

    Written is a preset's name, ``{preset: NAME, init_args: {...}}`` or ``{class_path: ..., init_args: {...}}``.
    """
    if isinstance(value, str):
        value = Section({"preset": value})
    if not isinstance(value, Section):
        raise UserError(f"{where} must be a mapping with class_path or preset, or a preset's name, got {shown(value)}")
    if "preset" not in value:
        return value, Section()
    written = validated(PresetSpec, value, where.rpartition(": ")[2])
    preset = find_preset(written.preset, where)
    return with_arguments(as_sections(preset.recurrence), written.init_args), as_sections(preset.training)


def with_arguments(spec: Section, init_args: Section) -> Section:
    """Return a spec with more ``init_args`` laid over its own."""
    return spec.merged(Section({"init_args": init_args})) if init_args else spec


def resolve_spec(kind: Kind, spec: object, where: str) -> Config:
    """Return ``class_path`` and ``init_args`` with all defaults filled in, also of recurrences inside recurrences.

    Raises:
        UserError: an unknown class or argument (the nearest known one is named), or a required argument is missing.
    """
    if isinstance(spec, Section) and "preset" in spec and kind == "recurrence":
        spec, _ = network_spec(spec, where)
    if not isinstance(spec, Section) or "class_path" not in spec:
        raise UserError(f"{where} must be a mapping with class_path (and init_args), got {shown(spec)}")
    written = validated(ClassSpec, spec, where.rpartition(": ")[2])
    found = find_class(kind, written.class_path, _at(spec, "class_path", where))
    given, elsewhere = written.init_args, _GIVEN_ELSEWHERE[kind]
    arguments = {argument.name: argument.default for argument in found.arguments if argument.name not in elsewhere}
    for name in given:
        if name in elsewhere:
            hint = f"{name} is not an init_arg of {found.name} here: {elsewhere[name]}"
            raise UserError(f"{_at(given, name, where)}: {hint}")
        if name not in arguments:
            hint = f"{found.name} has no argument {shown(name)}: {nearest(name, arguments)}"
            raise UnknownNameError(f"{_at(given, name, where)}: {hint}")
    init_args: Config = {}
    for name, default in arguments.items():
        if name in given:
            value, at = given[name], _at(given, name, where)
            if isinstance(value, Section) and ("class_path" in value or "preset" in value):
                init_args[name] = resolve_spec("recurrence", value, f"{at}: {name} of {found.name}")
            else:
                init_args[name] = json.loads(json.dumps(value))  # plain dictionaries and lists
        elif default is None:
            raise UserError(f"{where}: {found.name} needs the argument '{name}'")
        else:
            # A default that is no literal cannot be written in a record, and is left to the class.
            with contextlib.suppress(ValueError, SyntaxError, TypeError):
                init_args[name] = json.loads(_as_json(default))
    return {"class_path": found.name, "init_args": init_args}


@functools.cache
def _as_json(literal: str) -> str:
    return json.dumps(ast.literal_eval(literal), allow_nan=False)


def _at(section: Section, key: str, where: str) -> str:
    return section.at(key) if key in section.lines else where


def argument_annotation(recurrence: Config, path: list[str], where: str) -> str:
    """Return the annotation, as source text, of an argument of a resolved recurrence, or of one inside it.

    ``path`` holds the keys below it, for example ``["init_args", "layer", "init_args", "r"]``.
    """
    if len(path) < 2 or path[0] != "init_args":
        raise UserError(f"{where}: a setting of a recurrence must be recurrence.init_args.ARGUMENT")
    found = find_class("recurrence", recurrence["class_path"], where)
    if path[1] not in recurrence["init_args"]:
        hint = nearest(path[1], recurrence["init_args"])
        raise UserError(f"{where}: {found.name} has no argument '{path[1]}': {hint}")
    if len(path) == 2:
        return next(argument.annotation for argument in found.arguments if argument.name == path[1])
    value = recurrence["init_args"][path[1]]
    if not isinstance(value, dict) or "class_path" not in value:
        raise UserError(f"{where}: {path[1]} of {found.name} is {shown(value)} and has nothing inside")
    return argument_annotation(value, path[2:], where)
