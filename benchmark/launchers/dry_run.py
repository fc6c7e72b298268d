"""What ``--dry-run`` prints: the runs of a plan, and what every budget of the suite would cost on this machine."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING

from rnnbench.benchmark.config.options import BUDGETS, RunOptions
from rnnbench.benchmark.errors import UserError, message_of
from rnnbench.benchmark.launchers.machine import default_workers
from rnnbench.benchmark.launchers.plan import Plan
from rnnbench.benchmark.launchers.time_left import Kind, remember
from rnnbench.benchmark.run.job import Job
from rnnbench.leaderboard.plan import MOST_NAMED

if TYPE_CHECKING:
    from rnnbench.datamodules.sequence_data_module import SequenceDataModule, Sizes


def steps_of(job: Job, module: SequenceDataModule, train_size: int | None = None) -> int:
    """Return the optimiser steps of a run, on as many training sequences as there are unless a number is given."""
    recipe = job.point(job.members[0]).recipe
    if recipe.max_steps is not None:
        return recipe.max_steps
    epoch = module.steps_per_epoch() if train_size is None else -(-train_size // module.batch_size)
    return (recipe.max_epochs or 1) * epoch


class KnownSizes:
    """The sizes of data modules: of their data or, where these are missing, the published ones.

    Attributes:
        missing: why data are missing, by class and task; asked for once, since a search may try a network.
    """

    def __init__(self) -> None:
        """Know nothing yet."""
        self.missing: dict[tuple[type, str], str] = {}

    def of(self, module: SequenceDataModule) -> Sizes:
        """Return the sizes of the splits.

        Raises:
            ValueError: the data are there and do not suit the module, or are missing and no sizes are published.
        """
        from rnnbench.datamodules.real_data import DataMissingError

        key, published = (type(module), module.task.name), module.published_sizes
        if key not in self.missing:
            try:
                return module.split_sizes()
            except DataMissingError as error:
                if published is None:
                    raise
                self.missing[key] = str(error)
        assert published is not None  # noqa: S101
        return published

    def steps_of(self, job: Job, module: SequenceDataModule) -> int:
        """Return the optimiser steps of a run."""
        size = self.of(module).train
        return steps_of(job, module, size if (type(module), module.task.name) in self.missing else None)


def print_jobs(plan: Plan, modules: Mapping[Job, SequenceDataModule], sizes: KnownSizes) -> None:
    """Print one line for each run that a plan would train, and which data are missing."""
    for reason in sizes.missing.values():
        print(f"note: {reason}\nIt is planned with the published sizes of these data", file=sys.stderr)
    print(f"{'run':<64} {'steps':>9} {'T':>6}  experiment ids")
    later = set(plan.later)
    for job in plan.runs:
        ids = ", ".join(dict.fromkeys(member.experiment_id for member in job.members))
        going_on = " (goes on)" if job.checkpoint.exists() else ""
        if job in later:
            ids, going_on = "chosen by its pilots", ""
        print(f"{job.name:<64} {sizes.steps_of(job, modules[job]):>9} {modules[job].task.steps:>6}  {ids}{going_on}")
    grids: dict[str, list[str]] = {}
    # Of several runs of an experiment the first.
    for experiment, grid in {job.experiment.name: job.experiment.grid for job in reversed(plan.runs)}.items():
        swept = "; ".join(f"{path} from {', '.join(map(str, values))}" for path, values in grid.items())
        grids.setdefault(swept, []).append(experiment)
    for swept, names in grids.items():
        if swept:
            print(f"grid of {', '.join(names[:MOST_NAMED])}{', …' * (len(names) > MOST_NAMED)}: {swept}")


def print_costs(plans: Mapping[str, Plan], options: RunOptions, sizes: KnownSizes) -> None:
    """Print what is still to be done under each budget: runs, records, optimiser steps and estimated hours."""
    from rnnbench.benchmark.config.construct import build_data_module
    from rnnbench.benchmark.launchers.estimate import Estimator
    from rnnbench.benchmark.launchers.progress import makespan

    print("timing a few short steps of each kind of run (a minute or two) ...", file=sys.stderr, flush=True)
    estimator = Estimator(options.scan, options.checkpoint_every)
    paces: dict[Kind, float] = {}
    lines, workers = [], options.workers or default_workers()
    for budget, plan in sorted(plans.items(), key=lambda item: BUDGETS.index(item[0])):
        steps, seconds = 0, []
        modules: dict[int, SequenceDataModule] = {}
        for job in plan.runs:
            key = id(job.experiment)
            module = modules[key] = modules.get(key) or build_data_module(job.experiment.config, options.data_dir)
            try:
                of_job = sizes.steps_of(job, module)
                whole = estimator.seconds(job, module, of_job, sizes.of(module))
                seconds.append(whole / options.devices)
                paces[Kind.of(job.experiment.config)] = whole / max(1, of_job) / len(job.members)
                steps += of_job
            except ValueError as error:
                raise UserError(f"suite {job.experiment.suite} ({budget}), {job.experiment.name}: {error}") from error
        hours = makespan(seconds, workers if options.devices == 1 else 1) / 3600
        records = sum(len(job.members) for job in plan.runs if not job.experiment.is_pilot)
        lines.append(f"{budget:<8} {len(plan.runs):>6} {records:>8} {steps:>12,} {hours_text(hours):>10}")
    where = f"{options.devices} devices a run" if options.devices > 1 else f"{workers} at a time"
    print(f"\nStill to be done on this machine, {where}:")
    print(f"{'budget':<8} {'runs':>6} {'records':>8} {'steps':>12} {'hours':>10}")
    print("\n".join(lines))
    print(
        f"Hours are estimated for free cores: a few short steps of each of {estimator.kinds} kinds of runs were timed "
        "now and scaled to their lengths. Starting up, loading data and measures of dynamics come on top."
    )
    try:
        remember(options.runs_dir, paces)
    except OSError as error:
        print(f"note: status will not know what was timed: {message_of(error)}", file=sys.stderr)


def hours_text(hours: float) -> str:
    """Write a number of hours.

    >>> hours_text(0.0), hours_text(0.004), hours_text(1.234), hours_text(1234.5)
    ('0.00', 'under 0.01', '1.23', '1,234')
    """
    return "under 0.01" if 0 < hours < 0.01 else f"{hours:.2f}" if hours < 10 else f"{hours:,.0f}"
