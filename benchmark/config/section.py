"""A mapping of a suite's file that knows in which lines its keys are, for messages."""

from __future__ import annotations

from typing import Any


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
        self.file: str = file or (content.file if isinstance(content, Section) else "")

    def at(self, *path: object) -> str:
        """Return ``file, line n`` of the innermost key of a path whose line is known; ``file`` if none is."""
        found, value = self.file, self
        for key in path:
            if isinstance(value, Section) and isinstance(key, str):
                found = f"{value.file}, line {value.lines[key]}" if key in value.lines else found
            try:
                value = value[key]  # type: ignore[index]
            except (KeyError, IndexError, TypeError):
                break
        return found

    def lay(self, update: Section) -> None:
        """Replace and add keys, with their lines."""
        self.update(update)
        self.lines |= update.lines

    def merged(self, update: Section) -> Section:
        """Return a copy with ``update`` laid over it, sections within sections too."""
        result = Section(self, update.file or self.file)
        result.lay(update)
        for key, value in update.items():
            mine = self.get(key)
            if isinstance(mine, Section) and isinstance(value, Section):
                result[key] = mine.merged(value)
        return result


def as_sections(value: Any) -> Any:
    """Return plain nested data with its mappings as sections (of no file) and its tuples as lists."""
    if isinstance(value, dict):
        return Section({key: as_sections(inner) for key, inner in value.items()})
    return [as_sections(inner) for inner in value] if isinstance(value, list | tuple) else value
