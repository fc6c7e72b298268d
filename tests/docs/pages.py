"""Pages of the documentation as what a reader does: files that are written, and commands with what they print.

A block below a line that ends in a path, such as "`mylab/cells.py`:", is that file. Lines of a ``console`` block that
begin with "$ " are commands, and those below are what they print, with "..." for what differs from time to time.
"""

import re
from dataclasses import dataclass
from pathlib import Path

DOCS = Path(__file__).parents[2] / "docs"
_BLOCK = re.compile(r"^```(python|yaml|console)\n(.*?)^```$", re.DOTALL | re.MULTILINE)


@dataclass(frozen=True)
class File:
    path: str
    text: str


@dataclass(frozen=True)
class Command:
    line: str
    printed: str

    @property
    def code(self) -> int:
        """The exit code: a mistake's where one is printed."""
        return 2 if "error: " in self.printed else 0


def steps(page: Path) -> list[File | Command]:
    """What a page has its reader do, in order; a block that is neither a file nor commands is an error."""
    found: list[File | Command] = []
    text = page.read_text(encoding="utf-8")
    for block in _BLOCK.finditer(text):
        language, content = block.groups()
        if language == "console":
            parts = (part.partition("\n") for part in re.split(r"^\$ ", content, flags=re.MULTILINE)[1:])
            found.extend(Command(line, printed) for line, _, printed in parts)
        else:
            above = text[: block.start()].rstrip().rpartition("\n")[2]
            named = re.search(r"`([\w/.]+)`:$", above)
            assert named, f"{page.name}: a block of {language} below {above!r}, which names no file"
            found.append(File(named[1], content))
    return found
