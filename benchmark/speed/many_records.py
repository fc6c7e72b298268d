"""Commands on very many records: copies of published ones, under other suites, learning rates and instance numbers.

Each command is timed as a process of its own, start and imports included: the first time, when nothing is known of the
records, and again. What an index holds was then read from it; figures that are there are kept.
"""

import copy
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from rnnbench.benchmark.errors import UserError
from rnnbench.benchmark.speed.contender import Contender, Measured, Report
from rnnbench.leaderboard.files import side_path
from rnnbench.leaderboard.settings import config_id
from rnnbench.leaderboard.store import record_path, shipped_records

_RATE = "training.learning_rate"
#: Between the numbers of an instance and of its copy: more than a cell has instances.
_BLOCK = 100
#: Seconds after which the index counts a file as one that is no longer being written, with some to spare.
_SETTLED = 3.0
#: What is run: the command's own peak of memory, as the system counts it, goes where the first argument says.
_COMMAND = """
import sys
from rnnbench.benchmark.command.cli import main
code = main(sys.argv[2:])
with open("/proc/self/status") as status, open(sys.argv[1], "w") as peak:
    peak.write(next(line.split()[1] for line in status if line.startswith("VmHWM:")))
sys.exit(code)
"""
_COMMANDS = {
    "status": ("status", "depth-degree", "--budget", "paper", "--runs-dir", "records"),
    "status --all": ("status", "--all", "--runs-dir", "records"),
    "leaderboard": ("leaderboard", "--records-dir", "records", "--output", "out"),
    "page": ("page", "--records-dir", "records", "--output", "out/page.html"),
}


@dataclass(frozen=True)
class Copies:
    """So many records: published ones, and copies of them under other suites, learning rates and instance numbers.

    Copies have no measures of dynamics, and so no arrays beside them.
    """

    records: int = 100_000
    suites: int = 2
    rates: int = 2

    def write(self, source: Path, root: Path) -> None:
        """Write them below a folder, and beside the published ones their arrays."""
        files = sorted(source.rglob("*.json"))
        for number, file in enumerate(files):
            content = json.loads(file.read_bytes())
            wanted = max(0, -(-(self.records - number) // len(files)))
            for changed in [content, *self._copies(content, wanted - 1)][:wanted]:
                cell = (changed[name] for name in ("suite", "budget", "task", "network"))
                path = record_path(root, cell, changed["experiment_id"], changed["instance"])
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(json.dumps(changed, sort_keys=True), encoding="utf-8")
                if changed is content and side_path(file).exists():
                    shutil.copyfile(side_path(file), side_path(path))

    def _copies(self, content: dict[str, Any], count: int) -> Iterator[dict[str, Any]]:
        by_rate = []
        rate = content["config"]["training"].get("learning_rate")
        # A point of a grid is what the grid says.
        for index in range(1 if _RATE in content["grid"] or not rate else self.rates):
            config = copy.deepcopy(content["config"])
            if index:
                config["training"]["learning_rate"] = rate / 2**index
            names = {"experiment_id": (), "family_id": tuple(content["grid"])}
            ids = {name: config_id(config, without) if index else content[name] for name, without in names.items()}
            by_rate.append({"config": config, **ids})
        for number in range(1, count + 1):
            block, place = divmod(number, self.suites * len(by_rate))
            suite, index = place % self.suites, place // self.suites
            yield {
                **content,
                **by_rate[index],
                "suite": f"{content['suite']}-{suite}" if suite else content["suite"],
                "instance": content["instance"] + _BLOCK * block,
                "measures": {},
            }


def build(case: Copies, command: str, again: bool) -> Callable[[], Measured]:
    """Prepare a command on records that nothing was read of yet or, ``again``, that it was run on before."""

    def work() -> Measured:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            case.write(shipped_records(), folder / "records")
            time.sleep(_SETTLED)
            if again:
                _run(command, folder)
            return _run(command, folder)

    return work


def _run(command: str, folder: Path) -> Measured:
    before, wall = os.times(), time.perf_counter()
    words = [sys.executable, "-c", _COMMAND, str(folder / "peak"), *_COMMANDS[command]]
    ended = subprocess.run(words, cwd=folder, capture_output=True, check=False)  # noqa: S603
    wall, after = time.perf_counter() - wall, os.times()
    if ended.returncode:
        raise UserError(f"{command} ended with exit code {ended.returncode}: {ended.stderr.decode()[-300:]}")
    files = sorted(path for path in folder.glob("out/**/*") if path.suffix in (".md", ".html", ".svg"))
    contents = [path.read_bytes() for path in files] or [ended.stdout]
    result = np.array([[len(content), zlib.crc32(content)] for content in contents], dtype=float)
    process = after.children_user + after.children_system - before.children_user - before.children_system
    return Measured({"output": result}, process, wall, 1024 * int((folder / "peak").read_text()))


def _report(command: str, seconds: float) -> Report[Copies]:
    first = Contender("the first time", partial(build, command=command, again=False), largest_memory=2.0)
    again = Contender("again", partial(build, command=command, again=True), largest_memory=2.0, largest_seconds=seconds)
    return Report(
        title=f"rnnbench {command} on very many records; one unit is a gigabyte",
        case=_CASE,
        quick=_SMALL,
        contenders=(first, again),
        tolerance=0.0,
        agreement=_SMALL,
        memory_unit=lambda case: 1e9,
        once=True,
        note="Writing the records is not timed. The first time the index is written too, and all figures are drawn.",
    )


_CASE = Copies()
_SMALL = replace(_CASE, records=40)
REPORTS = tuple(
    _report(*each) for each in (("status", 2.0), ("status --all", 2.0), ("leaderboard", 30.0), ("page", 60.0))
)
