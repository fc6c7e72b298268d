"""Reading a YAML file strictly: lines are kept for messages, repeated keys are errors, ``1e-3`` is a number."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml

from rnnbench.benchmark.errors import UserError, nearest

_TAG = "tag:yaml.org,2002:"


class Section(dict[str, Any]):
    """A mapping of a YAML file that knows where each of its keys was written.

    Attributes:
        lines: key to line, counted from 1; keys that were not read from a file are missing.
        file: the file.
    """

    def __init__(self, content: dict[str, Any] | None = None, file: str = "") -> None:
        """Start with ``content``, whose lines are kept if it is a section itself."""
        super().__init__(content or {})
        self.lines: dict[str, int] = dict(content.lines) if isinstance(content, Section) else {}
        self.file: str = content.file if isinstance(content, Section) else file

    def at(self, key: str) -> str:
        """Return ``file, line n`` of a key, as far as it is known."""
        return f"{self.file}, line {self.lines[key]}" if key in self.lines else self.file

    def check_keys(self, allowed: Iterable[str], what: str) -> None:
        """Raise a ``UserError`` that names the nearest allowed key if there is another one."""
        allowed = list(allowed)
        for key in self:
            if key not in allowed:
                raise UserError(f"{self.at(key)}: unknown {what} '{key}': {nearest(key, allowed)}")

    def section(self, key: str) -> Section:
        """Return the section under ``key``, an empty one if it is missing; a ``UserError`` if it is something else."""
        value = self.get(key)
        if value is None:
            return Section(file=self.file)
        if not isinstance(value, Section):
            raise UserError(f"{self.at(key)}: '{key}' is {value!r}: a mapping (key: value) is allowed")
        return value

    def merged(self, update: dict[str, Any]) -> Section:
        """Return a copy with ``update`` laid over it, sections within sections too."""
        result = Section(self, self.file)
        for key, value in update.items():
            mine = result.get(key)
            both = isinstance(mine, Section) and isinstance(value, Section)
            result[key] = mine.merged(value) if isinstance(mine, Section) and both else value
        if isinstance(update, Section):
            result.lines |= update.lines
            result.file = update.file or result.file
        return result


class _Loader(yaml.SafeLoader):
    file = ""

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        try:
            return super().construct_object(node, deep)
        except (yaml.YAMLError, UserError):
            raise
        except Exception as error:
            # PyYAML does not check what it converts: '!!int abc' and '0b_' end in whatever Python raises.
            text = repr(node.value) if isinstance(node, yaml.ScalarNode) else "this"
            what, line = node.tag.removeprefix(_TAG), node.start_mark.line + 1
            raise UserError(f"{self.file}, line {line}: {text} cannot be read as YAML's '{what}'") from error

    def construct_section(self, node: yaml.MappingNode) -> Section:
        written: dict[object, int] = {}
        for key_node, _ in node.value:
            if key_node.tag == f"{_TAG}merge":
                continue
            key, line = self.construct_object(key_node), key_node.start_mark.line + 1
            if not isinstance(key, str):
                raise UserError(f"{self.file}, line {line}: the key {key!r} is not text: quote it")
            if key in written:
                raise UserError(f"{self.file}, line {line}: '{key}' is already given in line {written[key]}")
            written[key] = line
        self.flatten_mapping(node)
        section = Section(file=self.file)
        for key_node, value_node in node.value:
            key = self.construct_object(key_node)
            section[key] = self.construct_object(value_node, deep=True)
            section.lines[key] = key_node.start_mark.line + 1
        return section

    def refuse(self, node: yaml.Node) -> Any:
        what, line = node.tag.removeprefix(_TAG), node.start_mark.line + 1
        raise UserError(f"{self.file}, line {line}: YAML's '{what}' is not allowed: write text, a number or a list")


_Loader.add_constructor(f"{_TAG}map", _Loader.construct_section)
# A suite has no use for these types, and its ids are made of JSON; a date without a tag is text.
for _name in ("timestamp", "binary", "set", "omap", "pairs"):
    _Loader.add_constructor(f"{_TAG}{_name}", _Loader.refuse)
_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != f"{_TAG}timestamp"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
# YAML 1.1 wants a dot and a sign in 1.0e-3, so that 1e-3 would silently be text.
_Loader.add_implicit_resolver(
    f"{_TAG}float", re.compile(r"^[-+]?(\d+\.?\d*|\.\d+)[eE][-+]?\d+$"), list("-+.0123456789")
)


def read_yaml(path: Path) -> Section:
    """Return the top mapping of a YAML file.

    Raises:
        UserError: the file cannot be read, is not YAML (with line and column), or is not a mapping.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: cannot be read as text: {error}") from error
    try:
        loader = _Loader(text)
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise UserError(f"{path}, line {line}: the character {chr(error.character)!r} is not allowed") from error
    loader.file = str(path)
    try:
        content = loader.get_single_data()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f", line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        begun = error.context_mark
        context = f" ({error.context} begun in line {begun.line + 1})" if error.context and begun else ""
        raise UserError(f"{path}{where}: not valid YAML: {error.problem or error.context}{context}") from error
    except yaml.YAMLError as error:
        raise UserError(f"{path}: not valid YAML: {error}") from error
    except RecursionError as error:
        raise UserError(f"{path}: is nested too deeply") from error
    finally:
        loader.dispose()
    if not isinstance(content, Section):
        raise UserError(f"{path}: holds no mapping (key: value) at its top")
    return content
