"""How long a run takes on this machine: a few short steps are timed and scaled to its whole length."""

import functools
import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from statistics import fmean

import torch

from rnnbench.benchmark.config.construct import recurrence_factory
from rnnbench.benchmark.run.job import Job
from rnnbench.datamodules.sequence_data_module import SequenceDataModule, Sizes
from rnnbench.datamodules.task import Task
from rnnbench.lit_models.ensemble import Ensemble
from rnnbench.lit_models.instance_optimisation import unit_rate_optimizer
from rnnbench.lit_models.network import make_network
from rnnbench.lit_models.parameter_budget import count_parameters
from rnnbench.lit_models.scan.policy import BackendName, CheckpointEvery, use_backend

#: Weights x sequences x steps of a timed step at most: about a second's work of one core.
_WORK = 5e8
_LONGEST, _REPEATS = 64, 2


@dataclass(frozen=True)
class _Line:
    """Seconds that grow linearly with the length of sequences."""

    start: float
    slope: float

    def at(self, steps: float) -> float:
        return self.start + self.slope * steps


@dataclass(frozen=True)
class _Rates:
    """Seconds of a batch: forward and backward, forward alone, and the optimiser's; for all members of a run."""

    training: _Line
    scoring: _Line
    optimiser: float


class Estimator:
    """Estimates runs, timing each kind once: recurrence, batch, ensemble and optimiser, whatever the length.

    What is timed is one thread's own time on the device that runs use, so that other work on the machine does not
    count; starting up, loading data and measures of dynamics are left out.

    Args:
        scan: backend of the scans.
        checkpoint_every: steps whose activations are kept at a time; None for all.
    """

    def __init__(self, scan: BackendName, checkpoint_every: CheckpointEvery = None) -> None:
        """Start with nothing timed."""
        self._scan, self._checkpoint_every = scan, checkpoint_every
        self._rates: dict[str, _Rates] = {}

    @property
    def kinds(self) -> int:
        """Number of kinds of runs that were timed."""
        return len(self._rates)

    def seconds(self, job: Job, module: SequenceDataModule, steps: int, sizes: Sizes) -> float:
        """Return the seconds that one worker trains and evaluates a run of so many steps, on data of such sizes."""
        recipe, task = job.point(job.members[0]).recipe, module.task
        shapes = [task.input_size, task.output_size, task.readout, module.batch_size, len(job.members)]
        key = json.dumps([job.experiment.config["recurrence"], shapes, recipe.optimizer])
        if key not in self._rates:
            with use_backend(self._scan, self._checkpoint_every), _one_thread():
                self._rates[key] = _measure(job, module)
        rates = self._rates[key]
        evaluations = (recipe.max_epochs or 1) if recipe.validate_every is None else -(-steps // recipe.validate_every)
        batches = (sizes.val + sizes.test) / module.batch_size
        training = steps * (rates.training.at(sizes.mean_steps) + rates.optimiser)
        scored = sizes.mean_steps if task.lengths is None else fmean((*task.lengths.val, *task.lengths.test))
        return training + (evaluations if steps else 1) * batches * rates.scoring.at(scored)


@contextmanager
def _one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def _measure(job: Job, module: SequenceDataModule) -> _Rates:
    task, device = module.task, torch.device("cuda" if torch.cuda.is_available() else "cpu")
    factory = recurrence_factory(job.point(job.members[0]).config["recurrence"])
    with torch.device("meta"):
        weights = max(1, count_parameters(make_network(factory, task, 0)))
    # Few large networks stand for many: their products, not what surrounds them, take the time.
    members = max(1, min(len(job.members), int(_WORK / (weights * module.batch_size * 8))))
    scale = len(job.members) / members
    longest = int(_WORK / (weights * module.batch_size * members))
    longest = min(max(longest, 4), _LONGEST, max(2, task.steps))
    lengths = max(1, longest // 4), longest
    ensemble = Ensemble([make_network(factory, task, member.instance) for member in job.members[:members]]).to(device)
    recipe = job.point(job.members[0]).recipe
    parameters = list(ensemble.parameters())
    optimiser = unit_rate_optimizer(recipe.optimizer, parameters, recipe.momentum, recipe.weight_decay, recipe.betas)

    def inputs(steps: int) -> torch.Tensor:
        return random_inputs(task, module.batch_size, steps, device)

    def train(steps: int) -> None:
        ensemble.zero_grad()
        ensemble(inputs(steps)).square().sum().backward()

    def score(steps: int) -> None:
        with torch.no_grad():
            ensemble(inputs(steps))

    return _Rates(
        _line(train, lengths, scale, device),
        _line(score, lengths, scale, device),
        scale * _seconds(optimiser.step, device),
    )


def random_inputs(task: Task, sequences: int, steps: int, device: torch.device) -> torch.Tensor:
    """Return inputs of a task's kind, which mean nothing: [B, T] tokens or [B, T, D] values."""
    if task.tokens is not None:
        return torch.randint(task.tokens.vocabulary_size, (sequences, steps), device=device)
    return torch.rand(sequences, steps, task.input_size, device=device)


def _line(run: Callable[[int], None], lengths: tuple[int, int], scale: float, device: torch.device) -> _Line:
    short, long = lengths
    first, last = (scale * _seconds(functools.partial(run, length), device) for length in (short, long))
    slope = (last - first) / (long - short)
    # Where noise is larger than the difference, everything counts as proportional.
    return _Line(max(0.0, first - slope * short), slope) if slope > 0 else _Line(0.0, last / long)


def _seconds(run: Callable[[], object], device: torch.device) -> float:
    """Return the least time of some runs after one that does not count."""
    clock = time.perf_counter if device.type == "cuda" else time.thread_time
    found = []
    for _ in range(1 + _REPEATS):
        _wait_for(device)
        start = clock()
        run()
        _wait_for(device)
        found.append(clock() - start)
    return min(found[1:])


def _wait_for(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
