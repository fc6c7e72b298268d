"""Let a command suffer the fault of a seed, and check that it survives."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from tests.faults.kinds import KINDS, Fault
from tests.faults.launcher import TWO_RUNS, Launcher
from tests.faults.results import results
from tests.faults.trial import Trial, Undisturbed


def survive(
    launcher: Launcher, seed: int, folder: Path, undisturbed: Undisturbed, kinds: Mapping[str, Fault] | None = None
) -> None:
    """Let a command suffer the fault of a seed, and check what holds afterwards."""
    trial = Trial(launcher, seed, folder, undisturbed)
    with trial.afterwards:
        (kinds or KINDS)[kind_of(seed, kinds)](trial)
        trial.finish()


def kind_of(seed: int, kinds: Mapping[str, Fault] | None = None) -> str:
    """Return the kind of a seed's fault."""
    names = list(kinds or KINDS)
    return names[seed % len(names)]


def undisturbed_run(launcher: Launcher, folder: Path, suite: str = TWO_RUNS) -> Undisturbed:
    """Return what a run without a fault gives."""
    trial = Trial(launcher, 0, folder, Undisturbed(suite, {}, 1))
    command = trial.start()
    assert trial.end(command).code == 0
    return Undisturbed(suite, results(trial.runs), (trial.where / "places").stat().st_size)
