"""Reading a YAML file strictly: lines are kept for messages, and a value means what it looks like or is refused.

Versions 1.1 and 1.2 of YAML read ``yes``, ``010``, ``1_000`` and ``1:30`` differently: none of them is guessed. What is
read is text, true and false, null, decimal numbers that a double or 64 bits hold, lists and mappings; aliases and merge
keys count as if they were written out.
"""

import copy
import math
import re
import unicodedata
from pathlib import Path
from typing import Any

import yaml

from rnnbench.benchmark.config.section import Section
from rnnbench.benchmark.errors import UserError, shown

#: Bytes of a file at most: twenty times the largest shipped suite.
MOST_BYTES = 100_000
#: Values, and levels of lists and mappings within each other, at most; aliases count each time.
MOST_VALUES, MOST_LEVELS = 20_000, 50
#: Whole numbers are of 64 bits, as JSON's readers have them.
MOST_INTEGER = 2**63 - 1

_WORDS = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_INTEGER = re.compile(r"[-+]?(0|[1-9][0-9]*)")
# 1e-3 is text to YAML 1.1, which wants a dot and a sign, and a number to YAML 1.2 and to everyone who reads it.
_FLOAT = re.compile(r"[-+]?(([0-9]+\.[0-9]*|\.[0-9]+)([eE][-+]?[0-9]+)?|[0-9]+[eE][-+]?[0-9]+)")
_NUMBER_OF_1_2 = re.compile(r"[-+]?0[0-9]+|0o[0-7]+")
_FAST: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_RESOLVER_OF_1_1: Any = yaml.resolver.Resolver()


def read_yaml(path: Path, ours: bool = False) -> Section:
    """Return the top mapping of a YAML file; one of ``ours`` by libyaml, in a fifth of the time.

    Of what is not quite YAML libyaml refuses other things, in other words, than PyYAML does.

    Raises:
        UserError: the file cannot be read or is too large, is not YAML, holds what is ambiguous or not allowed (with
            its line), or is not a mapping.
    """
    try:
        with path.open("rb") as file:
            content = file.read(MOST_BYTES + 1)
        if len(content) > MOST_BYTES:
            raise UserError(f"{path}: must be at most {MOST_BYTES:,} bytes long")
        text = content.decode()
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: cannot be read as text: {error}") from error
    try:
        value = _Builder(text, str(path), _FAST if ours else yaml.SafeLoader).document()
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise UserError(f"{path}, line {line}: the character {chr(error.character)!r} is not allowed") from error
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f", line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        begun = error.context_mark
        context = f" ({error.context} begun in line {begun.line + 1})" if error.context and begun else ""
        raise UserError(f"{path}{where}: not valid YAML: {error.problem or error.context}{context}") from error
    if not isinstance(value, Section):
        raise UserError(f"{path}: must hold a mapping (key: value) at its top")
    return value


class _Builder:
    """What the events of a YAML text mean, with a limit to how much they are."""

    def __init__(self, text: str, file: str, loader: Any) -> None:
        self._events: Any = loader(text)  # its parser alone
        self._file = file
        self._anchors: dict[str, tuple[Any, int]] = {}
        self._line = self._values = self._levels = 0

    def document(self) -> Any:
        """Return the only document's value; None for an empty file."""
        self._next(yaml.StreamStartEvent)
        if self._next(yaml.StreamEndEvent):
            return None
        self._next()  # the document's start
        value = self._value()
        self._next()
        if not self._next(yaml.StreamEndEvent):
            self._next()
            raise self._error("a second document begins; a file must hold exactly one")
        return value

    def _error(self, reason: str) -> UserError:
        return UserError(f"{self._file}, line {self._line}: {reason}")

    def _next(self, *kinds: type[yaml.Event]) -> Any:
        """Return the next event and go on; None if it is of none of these kinds."""
        try:
            if kinds and not self._events.check_event(*kinds):
                return None
            event = self._events.get_event()
        except (ValueError, OverflowError) as error:  # PyYAML does not check "\U00110000"
            self._line = self._events.line + 1
            raise self._error("an escape \\U stands for no character") from error
        self._line = event.start_mark.line + 1
        return event

    def _value(self) -> Any:
        if alias := self._next(yaml.AliasEvent):
            if alias.anchor not in self._anchors:
                raise self._error(f"the alias *{alias.anchor} has no anchor before it")
            value, size = self._anchors[alias.anchor]
            self._count(size)
            return copy.deepcopy(value)
        before, event = self._values, self._next()
        self._count(1)
        if event.tag is not None:
            tag = event.tag.replace("tag:yaml.org,2002:", "!!")
            raise self._error(f"YAML's tag {tag} is not allowed: write the value alone")
        if isinstance(event, yaml.ScalarEvent):
            value = self._scalar(event)
        else:
            self._levels += 1
            if self._levels > MOST_LEVELS:
                raise self._error(f"is nested too deeply: at most {MOST_LEVELS} levels")
            value = self._list() if isinstance(event, yaml.SequenceStartEvent) else self._mapping()
            self._levels -= 1
        if event.anchor is not None:
            self._anchors[event.anchor] = value, self._values - before
        return value

    def _count(self, more: int) -> None:
        self._values += more
        if self._values > MOST_VALUES:
            raise self._error(f"must hold at most {MOST_VALUES:,} values, aliases written out")

    def _list(self) -> list[Any]:
        values = []
        while not self._next(yaml.SequenceEndEvent):
            values.append(self._value())
        return values

    def _mapping(self) -> Section:
        own, merged = Section(file=self._file), Section(file=self._file)
        while not self._next(yaml.MappingEndEvent):
            event = self._events.peek_event()
            is_merge = isinstance(event, yaml.ScalarEvent) and event.value == "<<" and not event.style
            key, line = self._value(), self._line
            if not isinstance(key, str):
                raise self._error(f"a key must be text, in quotes if it looks like something else, got {shown(key)}")
            if key in own.lines:
                raise self._error(f"'{key}' is already given in line {own.lines[key]}")
            own.lines[key] = line
            value = self._value()
            if not is_merge:
                own[key] = value
                continue
            # The first of several is the strongest.
            for section in reversed(value if isinstance(value, list) else [value]):
                if not isinstance(section, Section):
                    raise self._error(f"'<<' must be a mapping or a list of mappings, got {shown(section)}")
                merged.lay(section)
        merged.lay(own)
        return merged

    def _scalar(self, event: yaml.ScalarEvent) -> Any:
        text = event.value
        for character in text:
            if unicodedata.category(character) in ("Cc", "Cs") and character not in "\n\t":
                raise self._error(f"the character {character!r} is not allowed in text")
        return text if event.style else self._plain(text)

    def _plain(self, text: str) -> Any:
        """Return what a scalar without quotes means."""
        if text in _WORDS:
            return _WORDS[text]
        if _INTEGER.fullmatch(text):
            # The length first: to convert thousands of digits takes long, and Python refuses it.
            if len(text) > 20 or abs(int(text)) > MOST_INTEGER:
                raise self._error(f"{shown(text)} must be a whole number of at most 64 bits")
            return int(text)
        if _FLOAT.fullmatch(text):
            value = float(text)
            if math.isinf(value) or (value == 0 and re.search("[1-9]", re.split("[eE]", text)[0])):
                raise self._error(f"{shown(text)} must be from 1e-307 to 1e308 in size, or 0")
            return value
        tag = _RESOLVER_OF_1_1.resolve(yaml.ScalarNode, text, (True, False)).rpartition(":")[2]
        if tag in ("bool", "int", "float") or _NUMBER_OF_1_2.fullmatch(text):
            form = "true or false" if tag == "bool" else "a finite decimal number without leading zeros"
            raise self._error(f"{shown(text)} must be {form}, or in quotes if it is text")
        return text
