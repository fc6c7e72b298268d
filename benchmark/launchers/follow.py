"""What follows once pilots have ended: the runs in full at the point that they chose."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from rnnbench.benchmark.config.experiment import Experiment
from rnnbench.benchmark.config.options import RunOptions
from rnnbench.benchmark.launchers.plan import Plan, make_plan
from rnnbench.benchmark.launchers.stale import move_records
from rnnbench.leaderboard.record import write_record


def after_pilots(
    experiment: Experiment, instances: tuple[int, ...], options: RunOptions, largest: Callable[[Experiment], int]
) -> Plan | None:
    """Return what is to be trained in full now that a pilot has ended; None if it was not the last of its cell."""
    plan = make_plan((experiment,), instances, options.runs_dir, largest, any_source=options.any_source)
    if any(left.experiment.is_pilot for left in plan.jobs):
        return None
    prepare(plan, options.runs_dir)
    return plan


def prepare(plan: Plan, runs_dir: Path) -> None:
    """Set aside and take back what the source of a user's own decides, and write what today's pilots choose again."""
    move_records(runs_dir, plan.moves)
    for path, record in plan.restated.items():
        write_record(path, record)
