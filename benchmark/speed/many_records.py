"""Very many records, for timing what reads them: copies of published ones, under other suites, rates and instances."""

import copy
import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rnnbench.benchmark.config.experiment import config_id
from rnnbench.leaderboard.files import side_path
from rnnbench.leaderboard.store import record_path

_RATE = "training.learning_rate"
#: Between the numbers of an instance and of its copy: more than a cell has instances.
_BLOCK = 100


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
            by_rate.append(
                {"config": config, "experiment_id": config_id(config) if index else content["experiment_id"]}
            )
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
