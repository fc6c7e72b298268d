"""Every key of a suite's file with its type, default and meaning, read from the models that check it."""

import json
import re
from collections.abc import Iterator
from typing import Any, NamedTuple

from pydantic.fields import FieldInfo

from rnnbench.benchmark.config.match import MatchSettings
from rnnbench.benchmark.config.pilot import PilotSettings
from rnnbench.benchmark.config.recipe import Recipe
from rnnbench.benchmark.config.specs import ClassSpec, PresetSpec
from rnnbench.benchmark.config.suite_file import BudgetSettings, Cells, Override, PublishedNames, SuiteFile
from rnnbench.benchmark.config.validation import Model

#: Where the keys of a model are written.
MODELS: dict[str, type[Model]] = {
    "At the top": SuiteFile,
    "In `training`": Recipe,
    "In `pilot`": PilotSettings,
    "In an entry of `tasks` or `networks`": ClassSpec,
    "In an entry of `networks`, with a preset": PresetSpec,
    "In `match` of an entry of `networks`": MatchSettings,
    "In an entry of `leave_out`": Cells,
    "In an entry of `overrides`": Override,
    "In an entry of `budgets`": BudgetSettings,
    "In `published`": PublishedNames,
}
_TYPES = {
    **{"object": "mapping", "integer": "whole number", "number": "number", "string": "text"},
    **{"boolean": "true or false", "null": "null"},
}
_LIMITS = {"minimum": "≥ ", "exclusiveMinimum": "> ", "maximum": "≤ ", "exclusiveMaximum": "< "}


class Key(NamedTuple):
    """A key: its name, what may be written, what holds where it is not, and what it means."""

    name: str
    type: str
    default: str
    meaning: str


def keys_of(model: type[Model]) -> Iterator[Key]:
    """Yield the keys of a model.

    Raises:
        KeyError: the docstrings of the model and its bases do not say what a key means.

    >>> next(keys_of(PilotSettings))[:3]
    ('share', 'number, > 0, < 1', 'required')
    """
    schema, meanings = model.model_json_schema(), _meanings(model)
    for name, field in model.model_fields.items():
        allowed = schema["properties"][name]
        yield Key(name, _type_of(allowed), _default_of(field), meanings[name])


def keys_page() -> str:
    """Return the tables of all keys, as Markdown."""
    parts = []
    for place, model in MODELS.items():
        rows = [f"| `{key.name}` | {key.type} | {key.default} | {key.meaning} |" for key in keys_of(model)]
        parts += [f"## {place}", "", "| key | type | default | meaning |", "| --- | --- | --- | --- |", *rows, ""]
    return "\n".join(parts)


def _meanings(model: type[Model]) -> dict[str, str]:
    """Return what the docstrings of a model and its bases say of its attributes."""
    found: dict[str, str] = {}
    for base in reversed(model.__mro__):
        _, _, listed = (base.__doc__ or "").partition("Attributes:\n")
        for name, text in re.findall(r"^ {8}(\w+): (.*(?:\n {12}.*)*)", listed, re.MULTILINE):
            found[name] = " ".join(text.split()).replace("``", "`").replace("|", "\\|")
    return found


def _type_of(schema: dict[str, Any]) -> str:
    if "enum" in schema or "const" in schema:
        return " or ".join(f"`{value}`" for value in schema.get("enum", [schema.get("const")]))
    if "anyOf" in schema:
        return " or ".join(map(_type_of, schema["anyOf"]))
    if schema.get("type") == "array":
        inner: dict[str, Any] = schema.get("items") or next(iter(schema.get("prefixItems", [])), {})
        return f"list: {_type_of(inner)}"
    limits = [f"{sign}{schema[name]:,}" for name, sign in _LIMITS.items() if name in schema]
    known = schema.get("type", "object" if "$ref" in schema else "string")
    return ", ".join([_TYPES[known], *limits])


def _default_of(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    value = field.get_default(call_default_factory=True)
    return "none" if value is None else f"`{json.dumps(value)}`" if value not in ("", {}, []) else "empty"
