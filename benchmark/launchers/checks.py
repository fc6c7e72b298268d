"""What is found before any training: experiments that cannot be built, data that are missing."""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING

from rnnbench.benchmark.errors import UserError
from rnnbench.benchmark.measures import measure_class

if TYPE_CHECKING:
    from rnnbench.benchmark.config.experiment import Experiment
    from rnnbench.benchmark.config.options import RunOptions
    from rnnbench.benchmark.launchers.dry_run import KnownSizes
    from rnnbench.benchmark.launchers.plan import Plan
    from rnnbench.benchmark.run.job import Job
    from rnnbench.datamodules.sequence_data_module import SequenceDataModule, Sizes


class TimeIsUpError(Exception):
    """The time limit came before any training."""


class Built:
    """Experiments built without their data, each of them once, until the time limit comes."""

    def __init__(self, options: RunOptions) -> None:
        self.deadline = time.monotonic() + (math.inf if options.time_limit is None else options.time_limit)
        self._options = options
        self._modules: dict[tuple[str, str, str], SequenceDataModule] = {}

    @property
    def is_late(self) -> bool:
        """Whether the time limit has come."""
        return time.monotonic() >= self.deadline

    def module(self, experiment: Experiment) -> SequenceDataModule:
        """Build an experiment, if that has not been done, and return its data module.

        Raises:
            UserError: it cannot be built.
            TimeIsUpError: the time limit has come.
        """
        if self.is_late:
            raise TimeIsUpError
        from rnnbench.benchmark.config.construct import check_experiment

        key = experiment.suite, experiment.budget, experiment.name
        if key not in self._modules:
            self._modules[key] = check_experiment(experiment, self._options.data_dir)
        return self._modules[key]

    def members_that_fit(self, experiment: Experiment) -> int:
        """Return how many members of an experiment one run trains at most, by this machine's memory."""
        # Before torch is imported, which may take longer than what is left of a time limit.
        module = self.module(experiment)
        from rnnbench.benchmark.launchers.memory import members_that_fit

        return members_that_fit(experiment, module, self._options)


def check_plan(plan: Plan, built: Built, sizes: KnownSizes | None) -> dict[Job, SequenceDataModule]:
    """Build every experiment without its data, and see that the data can be had, or their sizes where those will do."""
    # Runs of one experiment, which are many where its training is swept, share it.
    modules: dict[int, SequenceDataModule] = {}
    for experiment in (job.experiment for job in plan.runs):
        if id(experiment) in modules:
            continue
        module = modules[id(experiment)] = built.module(experiment)
        try:
            if sizes is None:
                module.check_available()
            if sizes is not None or experiment.measures:
                _check_samples(experiment, module.split_sizes() if sizes is None else sizes.of(module))
        except ValueError as error:
            raise UserError(f"suite {experiment.suite}, {experiment.name}: {error}") from error
    return {job: modules[id(job.experiment)] for job in plan.runs}


def _check_samples(experiment: Experiment, sizes: Sizes) -> None:
    for spec in experiment.measures:
        samples, split = spec["settings"]["samples"], spec["settings"]["split"]
        size = getattr(sizes, split)
        if measure_class(spec["measure"]).uses_sequences and samples > size:
            most = f"{size}, all of split '{split}'"
            raise ValueError(f"samples of {spec['measure']} must be at most {most}, got {samples}")
