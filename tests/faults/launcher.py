"""What the harness asks of a launcher. One of another kind is a class like those of ``local.py`` and ``slurm.py``.

The harness does the rest: ``kinds.py`` says what happens to a command, ``trial.py`` what holds afterwards.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from tests.benchmark.small_jobs import ROOT

SUITE = "suite.yaml"
#: Runs of two instances each, with a file of arrays beside each record and checkpoints on the way.
ONE_RUN = """
instances: 2
tasks:
  ADD8: {class_path: Adding, init_args: {length: 8, train_size: 48, val_size: 12, test_size: 12}}
training: {batch_size: 16, max_steps: 4, validate_every: 2}
measures: [{gradient_flow: {at: [end], samples: 2}}]
networks:
  N3: {class_path: ElmanRNN, init_args: {hidden_size: 3}}
"""
TWO_RUNS = f"{ONE_RUN}  N4: {{class_path: ElmanRNN, init_args: {{hidden_size: 4}}}}\n"


@dataclass(frozen=True)
class Ended:
    """How a command ended: its exit code, or the negative number of the signal that ended it, and what it printed."""

    code: int
    printed: str


@dataclass(frozen=True)
class Reached:
    """The process that halts at the place of a fault, which is about to write ``path``."""

    pid: int
    parent: int
    path: str


class Command(Protocol):
    """A command that was started, with all processes that it started, wherever they run."""

    def ended(self) -> Ended | None:
        """Return how it ended; None while anything of it runs, or is still to run."""


class Launcher(Protocol):
    """A way to train what is missing of the suite in a folder, whose records go to ``runs`` in it."""

    #: Whether one run may come by fewer places than another, as files are written when they are found.
    places_vary: bool

    def start(self, folder: Path, environment: Mapping[str, str], *options: str) -> Command:
        """Start the command, with more options; all its processes get the environment and the fault of ``injected.py``.

        A process forked from the tests' template calls ``injected.install``; one with a new interpreter gets
        `site_environment`.
        """

    def main_process(self, command: Command, reached: Reached) -> int:
        """Return the process that started the training that is done on the machine of the one that halts."""

    def kill_node(self, command: Command, reached: Reached) -> None:
        """Kill all that runs of a command on the machine of the process that halts."""

    def cut_off_node(self) -> None:
        """Let a machine of several answer nobody, until the others take it for lost and it is back."""

    def restore_node(self) -> None:
        """Let the machine come back, so that commands can end and be started again."""


def site_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """Return this process's environment with more, in which every Python imports the fault."""
    paths = f"{ROOT / 'tests/faults/site'}{os.pathsep}{ROOT}"
    kept = {name: value for name, value in os.environ.items() if name != "RNNBENCH_DATA"}
    return {**kept, **environment, "PYTHONPATH": paths}
