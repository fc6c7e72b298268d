"""A folder in which commands suffer a fault, and what holds whenever one of them ends.

The records, and the files beside them, are in the end those of an undisturbed run (time and provenance aside); a record
that was finished once is never written again; and what could not be done is said, with exit code 2 or 3.
"""

from __future__ import annotations

import json
import random
import re
import shutil
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rnnbench.leaderboard.store import find_records
from tests.faults.injected import VARIABLE
from tests.faults.launcher import SUITE, Command, Ended, Launcher, Reached
from tests.faults.results import finished, is_close, results

#: Seconds after which something never happens, however busy the machine.
_NEVER = 3600.0
#: Starts until all is done; each may name one more file that is damaged.
_STARTS = 8
#: A file that a message says is to be moved away.
_TO_MOVE = re.compile(r"(runs/[^:\s]+\.(?:json|ckpt|yaml)).*move it away")


@dataclass(frozen=True)
class Undisturbed:
    """What a run of a suite without a fault gives: its files by their places, and the number of places it comes by."""

    suite: str
    results: dict[Path, Any]
    places: int


@dataclass
class Trial:
    """A folder in which commands suffer one fault."""

    launcher: Launcher
    seed: int
    folder: Path
    undisturbed: Undisturbed
    torn: set[Path] = field(default_factory=set)
    kept: dict[Path, bytes] = field(default_factory=dict)
    faults: int = 0
    #: How the last command ended, if nothing is left to do.
    last: Ended | None = None
    afterwards: ExitStack = field(default_factory=ExitStack)

    def __post_init__(self) -> None:
        (self.folder / SUITE).write_text(self.undisturbed.suite, encoding="utf-8")
        self.draw = random.Random(self.seed)  # noqa: S311
        self.at = self.draw.randint(1, max(1, self.undisturbed.places))

    @property
    def runs(self) -> Path:
        return self.folder / "runs"

    def start(
        self, kind: str = "none", *options: str, more: Mapping[str, str] | None = None, **settings: Any
    ) -> Command:
        """Start a command that suffers a kind of fault at the drawn place."""
        self.faults += 1
        where = self.where
        where.mkdir()
        content = {"runs": str(self.runs), "kind": kind, "at": self.at, "seed": self.seed, "settings": settings}
        (where / "fault.json").write_text(json.dumps(content), encoding="utf-8")
        return self.launcher.start(self.folder, {**(more or {}), VARIABLE: str(where)}, *options)

    @property
    def where(self) -> Path:
        """The folder of the last fault."""
        return self.folder / f"fault-{self.faults}"

    def reach(self, **settings: Any) -> tuple[Command, Reached, Path]:
        """Start a command, wait until one of its processes halts, and return what lets it go on."""
        command = self.start("halt", **settings)
        reached = self.where / "reached"
        wait_for(lambda: reached.exists() or command.ended())
        if not reached.exists():
            ended = command.ended()
            may_be = self.launcher.places_vary and self.at > 1 and ended.code == 0
            assert may_be, f"place {self.at} was not reached: {ended}"
            shutil.rmtree(self.runs)
            self.at //= 2
            return self.reach(**settings)
        return command, Reached(**json.loads(reached.read_text(encoding="utf-8"))), self.where / "go"

    def end(self, command: Command, *also: int) -> Ended:
        """Wait for the end of a command, whose exit code may be others than 0, 2 and 3 too."""
        ended = wait_for(command.ended)
        assert ended.code in {0, 2, 3, *also}, ended
        assert "Traceback" not in ended.printed, ended.printed
        if ended.code == 0:
            assert results(self.runs).keys() >= self.undisturbed.results.keys(), "success although something is left"
        if ended.code in (2, 3):
            assert re.search(r"^(.*\r)?(error|note): .", ended.printed, re.MULTILINE), f"nothing is said: {ended}"
        now = finished(self.runs)
        for path, content in self.kept.items():
            assert path in self.torn or now.get(path) == content, f"{path} was finished, and is lost or written again"
        self.kept, self.last = now, ended if ended.code == 0 else None
        return ended

    def finish(self) -> None:
        """Start commands, moving away what they say is damaged, until nothing is left; and compare."""
        for _ in range(_STARTS):
            ended = self.last or self.end(self.start())
            self.last = None
            if ended.code == 0:
                break
            named = [self.folder / name for line in ended.printed.splitlines() for name in _TO_MOVE.findall(line)]
            assert named if self.torn and ended.code == 2 else ended.code == 3, ended.printed
            for path in filter(Path.exists, named):
                path.rename(self.folder / f"moved-{path.name}")
                self.kept.pop(path, None)
        assert ended.code == 0, ended.printed
        assert find_records(self.runs)[1] == [], "what was finished is not believed"
        found = results(self.runs)
        assert found.keys() == self.undisturbed.results.keys()
        for path, expected in self.undisturbed.results.items():
            # An instance whose record was moved away is trained alone, which is the same to float tolerance; and
            # nothing reads weights until they are wanted.
            is_torn = path.suffix == ".safetensors" and self.runs / path in self.torn
            assert found[path] == expected or is_torn or (self.torn and is_close(found[path], expected)), path


def wait_a_while(command: Command) -> None:
    """Wait until a command has ended, or for some seconds: it may wait for another that halts."""
    end = time.monotonic() + 3.0
    while time.monotonic() < end and not command.ended():
        time.sleep(0.02)


def wait_for(look: Callable[[], Any]) -> Any:
    """Return what is true in the end."""
    end = time.monotonic() + _NEVER
    while not (found := look()):
        assert time.monotonic() < end, "it never ends"
        time.sleep(0.02)
    return found
