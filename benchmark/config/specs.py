"""Resolving ``class_path`` and ``init_args``: names are checked and defaults filled in, without importing torch."""

from __future__ import annotations

import ast
import importlib
import inspect
import json
import os
import sys
from typing import Any, ClassVar, Literal

from rnnbench.benchmark.config.experiment import Config
from rnnbench.benchmark.config.section import Section, as_sections
from rnnbench.benchmark.config.validation import Mapped, Model, validated
from rnnbench.benchmark.errors import UserError, nearest, shown
from rnnbench.datamodules import registered_tasks
from rnnbench.datamodules.source_scan import Argument, FoundClass
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
    if not isinstance(name, str) or name not in PRESETS:
        classes = registered("recurrence")
        form = "{class_path: NAME, init_args: {...}}"
        if isinstance(name, str) and name in classes:
            raise UserError(f"{where}: '{name}' is a class, not a preset: write {form.replace('NAME', name)}")
        hint = nearest(name, [*PRESETS, *classes])
        raise UserError(f"{where}: unknown preset {shown(name)}: {hint}. A class is written {form}")
    return PRESETS[name]


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
            return _imported(kind, module, name, where)
    raise UserError(f"{where}: unknown {kind} {shown(class_path)}: {nearest(class_path, known)}")


def search_current_folder() -> None:
    """Let modules of the user's be imported from where the command is called, as with ``python -m``.

    The folder comes last on the path: one of the user's that is called ``datasets`` hides no library.
    """
    if os.getcwd() not in sys.path and "" not in sys.path:
        sys.path.append(os.getcwd())


def _imported(kind: Kind, module: str, name: str, where: str) -> FoundClass:
    search_current_folder()
    try:
        found = getattr(importlib.import_module(module), name)
    except (Exception, SystemExit) as error:
        # Importing runs the user's code, which may fail in any way.
        reason = f"{type(error).__name__}: {error}"
        raise UserError(f"{where}: {kind} '{module}.{name}' cannot be imported: {reason}") from error
    if not isinstance(found, type) or _BASES[kind] not in {base.__name__ for base in found.__mro__}:
        raise UserError(f"{where}: '{module}.{name}' is not a {_BASES[kind]} subclass")
    missing = [
        method
        for method in dir(found)
        if getattr(inspect.getattr_static(found, method, None), "__isabstractmethod__", False)
    ]
    if missing:
        raise UserError(f"{where}: '{module}.{name}' is abstract: it must define {', '.join(missing)}")
    arguments = tuple(
        Argument(
            parameter.name,
            inspect.formatannotation(parameter.annotation),
            None if parameter.default is parameter.empty else repr(parameter.default),
        )
        for parameter in list(inspect.signature(found).parameters.values())
        if parameter.kind not in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
    )
    return FoundClass(f"{module}.{name}", module, (found.__doc__ or "").split("\n")[0], arguments)


class ClassSpec(Model):
    """A class and some arguments of its constructor, as written."""

    key_name: ClassVar[str] = "key"

    class_path: Any
    init_args: Mapped = Section()


class PresetSpec(Model):
    """A preset and arguments laid over its own, as written."""

    key_name: ClassVar[str] = "key of a preset"

    preset: Any
    init_args: Mapped = Section()


def network_spec(value: object, where: str) -> tuple[Section, Section]:
    """Return the recurrence of a network as written in a suite, and the training settings its preset asks for.

    Args:
        value: the name of a preset, ``{preset: NAME, init_args: {...}}`` or ``{class_path: ..., init_args: {...}}``.
        where: file and line, for messages.
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

    Args:
        kind: whether it names a task or a recurrence.
        spec: the section as written.
        where: file, line, and whose it is, for messages.

    Raises:
        UserError: an unknown class or argument (the nearest known one is named), or a required argument is missing.
    """
    if isinstance(spec, Section) and "preset" in spec and kind == "recurrence":
        spec, _ = network_spec(spec, where)
    if not isinstance(spec, Section) or "class_path" not in spec:
        raise UserError(f"{where} must be a mapping with class_path (and init_args), got {shown(spec)}")
    written = validated(ClassSpec, spec, where.rpartition(": ")[2])
    found = find_class(kind, written.class_path, _at(spec, "class_path", where))
    given = written.init_args
    for name, hint in _GIVEN_ELSEWHERE[kind].items():
        if name in given:
            raise UserError(f"{_at(given, name, where)}: {name} is not an init_arg of {found.name} here: {hint}")
    arguments = [argument for argument in found.arguments if argument.name not in _GIVEN_ELSEWHERE[kind]]
    names = [argument.name for argument in arguments]
    for name in given:
        if name not in names:
            at = _at(given, name, where)
            raise UserError(f"{at}: {found.name} has no argument {shown(name)}: {nearest(name, names)}")
    init_args: Config = {}
    for argument in arguments:
        if argument.name in given:
            value = given[argument.name]
            nested = isinstance(value, Section) and ("class_path" in value or "preset" in value)
            inner_where = f"{_at(given, argument.name, where)}: {argument.name} of {found.name}"
            init_args[argument.name] = resolve_spec("recurrence", value, inner_where) if nested else _plain(value)
        elif argument.default is None:
            raise UserError(f"{where}: {found.name} needs the argument '{argument.name}'")
        else:
            default = _default(argument.default)
            if default is not Ellipsis:
                init_args[argument.name] = default
    return {"class_path": found.name, "init_args": init_args}


def _at(section: Section, key: str, where: str) -> str:
    return section.at(key) if key in section.lines else where


def _default(text: str) -> Any:
    """Return a default from its source text; Ellipsis where it is no literal and so cannot be written in a record."""
    try:
        default = _plain(ast.literal_eval(text))
        json.dumps(default, allow_nan=False)
    except (ValueError, SyntaxError, TypeError):
        return Ellipsis
    return default


def _plain(value: Any) -> Any:
    """Return nested data as JSON has it: plain dictionaries and lists."""
    if isinstance(value, dict):
        return {key: _plain(inner) for key, inner in value.items()}
    return [_plain(inner) for inner in value] if isinstance(value, list | tuple) else value


def argument_annotation(recurrence: Config, path: list[str], where: str) -> str:
    """Return the annotation, as source text, of a recurrence's argument, or of one in a recurrence inside it.

    Args:
        recurrence: a resolved spec.
        path: keys below it, for example ``["init_args", "layer", "init_args", "r"]``.
        where: for messages.
    """
    if len(path) < 2 or path[0] != "init_args":
        raise UserError(f"{where}: a setting of a recurrence must be recurrence.init_args.ARGUMENT")
    found = find_class("recurrence", recurrence["class_path"], where)
    value = recurrence["init_args"].get(path[1])
    if path[1] not in recurrence["init_args"]:
        hint = nearest(path[1], recurrence["init_args"])
        raise UserError(f"{where}: {found.name} has no argument '{path[1]}': {hint}")
    if len(path) == 2:
        return next(argument.annotation for argument in found.arguments if argument.name == path[1])
    if not isinstance(value, dict) or "class_path" not in value:
        raise UserError(f"{where}: {path[1]} of {found.name} is {shown(value)} and has nothing inside")
    return argument_annotation(value, path[2:], where)
