"""Families of networks and tasks: an entry with ``over`` stands for one entry for each combination of its values."""

import itertools
import math
import re
from collections.abc import Iterator
from typing import Any

from rnnbench.benchmark.config.section import Section
from rnnbench.benchmark.errors import UserError, nearest

#: Members of a family at most.
MOST_MEMBERS = 1_000
_TRAINING = "training."


def with_families_expanded(content: Section) -> Section:
    """Return the content of a suite's file with every family of ``tasks`` and ``networks`` written out.

    Settings ``training.NAME`` become overrides of the suite, before its own.

    Raises:
        UserError: ``over`` is no mapping of settings to lists, or names do not tell the members apart.

    >>> family = Section({"class_path": "LSTM", "over": Section({"hidden_size": [8, 16]})})
    >>> suite = with_families_expanded(Section({"networks": Section({"LSTM-{hidden_size}": family})}))
    >>> dict(suite["networks"])["LSTM-16"]
    {'class_path': 'LSTM', 'init_args': {'hidden_size': 16}}
    """
    written, overrides = Section(content), []
    for kind in ("tasks", "networks"):
        entries = content.get(kind)
        if not isinstance(entries, Section):
            continue
        written[kind] = Section({}, entries.file)
        for name, spec in entries.items():
            is_family = isinstance(spec, Section) and "over" in spec
            for member, one, training in _members(name, spec, entries.at(name)) if is_family else [(name, spec, None)]:
                if member in written[kind]:
                    raise UserError(f"{entries.at(name)}: the names of {kind} must differ, got {member} twice")
                written[kind][member] = one
                if name in entries.lines:
                    written[kind].lines[member] = entries.lines[name]
                if training:
                    overrides.append(Section({kind: [member], "training": training}, entries.file))
    own = content.get("overrides") or []
    if overrides and isinstance(own, list):
        written["overrides"] = [*overrides, *own]
    return written


def _members(name: str, spec: Section, where: str) -> Iterator[tuple[str, Section, Section]]:
    """Yield the name of each member, what it is, and its settings of training."""
    over = spec["over"]
    if not isinstance(over, Section) or not over or not all(isinstance(v, list) and v for v in over.values()):
        raise UserError(f"{spec.at('over')}: over of {name} must map settings to lists of values")
    if math.prod(map(len, over.values())) > MOST_MEMBERS:
        raise UserError(f"{spec.at('over')}: {name} must have at most {MOST_MEMBERS:,} members")
    shared = Section(spec)
    del shared["over"]
    for values in itertools.product(*over.values()):
        member, training = shared, Section({}, spec.file)
        for path, value in zip(over, values, strict=True):
            if path.startswith(_TRAINING):
                training.lay(_nested([path.removeprefix(_TRAINING)], value, over, path))
            else:
                member = member.merged(_nested(["init_args", *path.split(".")], value, over, path))
        short = (path.rpartition(".")[2] for path in over)
        yield _filled(name, dict(zip(short, values, strict=True)), where), member, training


def _nested(keys: list[str], value: Any, over: Section, path: str) -> Section:
    section = Section({keys[0]: value if len(keys) == 1 else _nested(keys[1:], value, over, path)}, over.file)
    section.lines = {keys[0]: over.lines[path]} if path in over.lines else {}
    return section


def _filled(name: str, values: dict[str, Any], where: str) -> str:
    """Return the name of a member: ``{setting}`` is replaced by its value."""
    for key in re.findall(r"\{([^{}]*)\}", name):
        if key not in values:
            raise UserError(f"{where}: {{{key}}} in the name {name} must be a setting of over: {nearest(key, values)}")
    missing = [key for key in values if f"{{{key}}}" not in name]
    if missing:
        raise UserError(f"{where}: the name {name} must hold {{{missing[0]}}}, by which the members differ")
    return re.sub(r"\{([^{}]*)\}", lambda match: str(values[match[1]]), name)
