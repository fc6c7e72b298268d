"""The script that a task of an array executes, and the options that it is made of."""

from __future__ import annotations

import re
import shlex
import sys
from dataclasses import dataclass
from pathlib import Path

#: Seconds before the wall clock at which a task is asked to end; SLURM may do so up to a minute earlier.
_WARNING = 60.0
#: Part of a short wall clock that this is at most.
_SHARE = 0.25
#: What a word of an option may be: names, lists and counts, nothing that a shell or SLURM would read otherwise.
WORD = re.compile(r"[\w.,:=+@/*\[\]()&|-]+", re.ASCII)


@dataclass(frozen=True)
class Resources:
    """What a task asks for.

    Attributes:
        time: seconds of its wall clock.
        cpus: cores of a task.
        partition: SLURM's own word, as ``account`` and ``gres`` are; None for the cluster's default.
        setup: lines of shell that come before the command, such as ``module load``; ``#SBATCH`` lines first.
    """

    time: float
    cpus: int = 1
    partition: str | None = None
    account: str | None = None
    gres: str | None = None
    setup: str = ""

    @property
    def gpus(self) -> int:
        """The GPUs of a task: of ``gpu``, ``gpu:2`` or ``gpu:a100:2`` among the generic resources.

        >>> [Resources(60, gres=gres).gpus for gres in (None, "gpu", "gpu:2", "gpu:a100:4,shard:2")]
        [0, 1, 2, 4]
        """
        counts = (re.fullmatch(r"gpu(?::[A-Za-z]\w*)?(?::(\d+))?", part) for part in (self.gres or "").split(","))
        return sum(int(found[1] or 1) for found in counts if found)


def as_duration(seconds: float) -> str:
    """Write a time as options take it, to the second below ten minutes and to the minute above.

    >>> [as_duration(seconds) for seconds in (0.2, 60, 90, 7199, 5400)]
    ['1s', '1m', '1m30s', '2h', '1h30m']
    """
    whole = max(1, round(seconds) if seconds < 600 else 60 * round(seconds / 60))
    parts = ((whole // 3600, "h"), (whole // 60 % 60, "m"), (whole % 60, "s"))
    return "".join(f"{count}{unit}" for count, unit in parts if count)


def script_text(command: str, resources: Resources, folder: Path) -> str:
    """Return the script of arrays whose bundles lie in a folder, with what was asked for in words.

    Its only argument is the number of the array's first bundle.
    """
    minutes = max(1, round(resources.time / 60))
    asked = {
        "partition": resources.partition,
        "account": resources.account,
        "gres": resources.gres,
        "ntasks": 1,
        "cpus-per-task": resources.cpus,
        "time": f"{minutes // 60}:{minutes % 60:02}:00",
        "signal": f"B:USR1@{round(min(_WARNING, _SHARE * resources.time))}",
        "open-mode": "append",
    }
    lines = [f"#SBATCH --{option}={value}" for option, value in asked.items() if value is not None]
    return "\n".join(
        [
            "#!/bin/bash",
            f"# {command}",
            *lines,
            "#SBATCH --requeue",
            *([resources.setup.rstrip()] if resources.setup else []),
            "",
            "# Each task does one bundle. It takes the place of this shell, so that SLURM's signals reach it.",
            f'exec {shlex.join(_rnnbench())} work {shlex.quote(str(folder))}/"$(($1 + SLURM_ARRAY_TASK_ID))".json',
            "",
        ]
    )


def _rnnbench() -> list[str]:
    """Return the words that start rnnbench as this process was: by its Python, wherever PATH leads on a node."""
    installed = Path(sys.executable).with_name("rnnbench")
    return [str(installed)] if installed.exists() else [sys.executable, "-m", "rnnbench"]
