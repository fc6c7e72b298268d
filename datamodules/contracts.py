"""What every task keeps, ours or a user's: ``rnnbench check`` and the tests call the same functions."""

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
from torch import Tensor

from rnnbench.datamodules.own_code import reason_of
from rnnbench.datamodules.sequence_data_module import SPLITS, SequenceDataModule
from rnnbench.datamodules.source_scan import constructor_parameters
from rnnbench.datamodules.synthetic import SyntheticDataModule
from rnnbench.datamodules.task import UNLABELLED, Batch, Metric, Task

#: Sizes at which tasks are checked, where their constructors have such arguments.
SMALL = {"train_size": 48, "val_size": 10, "test_size": 12, "batch_size": 8, "vocabulary_size": 20}
Case = TypeVar("Case")


class BrokenContract(ValueError):
    """A contract is broken; the message says how, in plain words."""


def expect(condition: bool | Tensor, message: str) -> None:
    """Raise ``BrokenContract`` with the message unless the condition holds."""
    if not condition:
        raise BrokenContract(message)


def broken(contracts: Iterable[Callable[[Case], None]], case: Case) -> Iterator[str]:
    """Yield what is broken of some contracts; the others build on the first two and are left out if one of these is."""
    for number, contract in enumerate(contracts):
        try:
            contract(case)
            continue
        except BrokenContract as error:
            yield str(error)
        except (Exception, SystemExit) as error:
            # The class is the user's, and may fail in any way.
            rule = (contract.__doc__ or contract.__name__).split("\n")[0].rstrip(".")
            yield f"{reason_of(error)} (while checking: {rule})"
        if number < 2:
            return


@dataclass(frozen=True)
class TaskCase:
    """A task's class and the arguments of its constructor."""

    cls: type[SequenceDataModule]
    arguments: dict[str, Any]

    def build(self, **settings: Any) -> SequenceDataModule:
        """Return the data module with its data, small where it can be, and with those settings that it takes."""
        accepted = constructor_parameters(self.cls)
        small = {name: value for name, value in {**SMALL, **settings}.items() if name in accepted}
        data = self.cls(**{**small, **self.arguments})
        data.check_available()
        data.setup()
        return data


def _whole(data: SequenceDataModule, split: str) -> Batch:
    source = data.source(split)
    return Batch(*source.read(0, torch.arange(len(source))))


def batches_fit_the_task(case: TaskCase) -> None:
    """Batches of all three splits have the shapes and types that the task states."""
    data = case.build()
    loaders = (data.train_dataloader(), *data.val_dataloader(), data.test_dataloader())
    for split, loader in zip((*SPLITS, "test"), loaders, strict=True):
        batches = list(loader)
        expect(len(batches) == len(loader), f"{split} gives {len(batches)} batches and says {len(loader)}")
        for batch in batches:
            check_batch(data.task, batch, split, hasattr(loader.source, "lengths"))


def check_batch(task: Task, batch: Batch, split: str, unequal: bool) -> None:
    """Raise ``BrokenContract`` unless a batch of a split has the shapes and types that the task states.

    ``unequal`` is whether the source's sequences may have other lengths than the task's.
    """
    inputs, targets, lengths = batch
    found = list(inputs.shape) if isinstance(inputs, Tensor) else type(inputs).__name__
    expect(isinstance(found, list) and len(found) > 1, f"inputs of {split} must be a tensor [B, T, D], got {found}")
    size, steps = inputs.shape[:2]
    expected = (size, steps) if task.tokens else (size, steps, task.input_size)
    _check_tensor(inputs, expected, task.tokens.vocabulary_size if task.tokens else None, f"inputs of {split}")
    leading = (size,) if task.readout == "last" else (size, steps)
    classes = task.output_size if task.targets_are_classes else None
    expected = leading if classes else (*leading, task.output_size)
    _check_shape(targets, expected, f"targets of {split}")
    if task.loss_steps == "labelled":
        labelled = targets != UNLABELLED
        expect(labelled.any(1).all(), f"every sequence of {split} must have a label")
        past = lengths is not None and (labelled & (torch.arange(steps) >= lengths[:, None])).any()
        expect(not past, f"steps of {split} past a sequence's length must have no label")
        targets = torch.where(labelled, targets, 0)
    _check_tensor(targets, expected, classes, f"targets of {split}")
    if lengths is not None:
        _check_tensor(lengths, (size,), steps + 1, f"lengths of {split}")
    elif not (task.carries_state or unequal or task.lengths):
        expect(steps == task.steps, f"sequences of {split} must have the task's {task.steps} steps, got {steps}")
    if split == "train":
        expect(steps <= task.steps, f"sequences of train must have at most {task.steps} steps, got {steps}")


def _check_shape(tensor: Tensor, shape: tuple[int, ...], what: str) -> None:
    found = list(tensor.shape) if isinstance(tensor, Tensor) else type(tensor).__name__
    expect(found == list(shape), f"{what} must have the shape {list(shape)}, got {found}")


def _check_tensor(tensor: Tensor, shape: tuple[int, ...], below: int | None, what: str) -> None:
    dtype = torch.float32 if below is None else torch.int64
    _check_shape(tensor, shape, what)
    expect(tensor.dtype == dtype, f"{what} must be {dtype}, got {tensor.dtype}")
    if below is None:
        expect(tensor.isfinite().all(), f"{what} must be finite")
    else:
        low, high = int(tensor.min()), int(tensor.max())
        expect(low >= 0 and high < below, f"{what} must be from 0 to {below - 1}, got {low} to {high}")


def takes_the_loading_settings(case: TaskCase) -> None:
    """The constructor takes ``batch_size``, ``eval_batch_size`` and ``seed``, which every run sets."""
    for name in ("batch_size", "eval_batch_size", "seed"):
        expect(name in constructor_parameters(case.cls), f"the constructor must take {name}")


def task_is_consistent(case: TaskCase) -> None:
    """The task is known before the data and the same each time."""
    task = case.cls(**case.arguments).task
    expect(task == case.cls(**case.arguments).task, "two data modules of the same arguments state other tasks")
    # Loaded data may make chance better known, and nothing else.
    for before, metric in zip(task.metrics, case.build().task.metrics, strict=True):
        same = (metric.name, metric.direction, metric.best) == (before.name, before.direction, before.best)
        expect(same, f"metric {before.name} changes its direction or best value with the data")


def seed_decides_the_data(case: TaskCase) -> None:
    """The same seed gives the same data, another one others, and no global generator is used."""
    state = torch.get_rng_state()
    first, again, other = case.build(seed=5), case.build(seed=5), case.build(seed=6)
    list(first.train_dataloader())
    expect(torch.equal(torch.get_rng_state(), state), "the global generator of random numbers is used")
    for split in SPLITS:
        pairs = zip(_whole(first, split), _whole(again, split), strict=True)
        same = all(a is b if a is None or b is None else torch.equal(a, b) for a, b in pairs)
        expect(same, f"the same seed gives other data of {split}")
    expect(first.fingerprint() == again.fingerprint(), "the same data have other fingerprints")
    same = first.fingerprint() == other.fingerprint()
    message = "another seed must give other data" if same else "with fixed_splits, seeds must give the same data"
    expect(same == first.fixed_splits, message)


def splits_share_no_sequence(case: TaskCase) -> None:
    """No sequence stands in two splits."""
    data = case.build()
    rows = [_whole(data, split).inputs.flatten(1).tolist() for split in SPLITS]
    # Sequences of unequal lengths are padded to the longest of their split.
    longest = max(len(row) for part in rows for row in part)
    distinct = [{tuple(row + [0.0] * (longest - len(row))) for row in part} for part in rows]
    remedy = "draw each from a generator of its own, over more possible sequences, or leave out what another holds"
    expect(len(set().union(*distinct)) == sum(map(len, distinct)), f"the same sequence stands in two splits: {remedy}")


def chance_is_the_best_blind_score(case: TaskCase) -> None:
    """Chance of a synthetic task is what the best prediction that knows the step but not the inputs scores.

    Metrics of one's own are passed over: their best prediction is not known.
    """
    if not issubclass(case.cls, SyntheticDataModule):
        return
    task = case.cls(**case.arguments).task
    # The rarer a class, the more sequences show how rare.
    data = case.build(test_size=max(10_000, 2_000 * task.output_size) if task.targets_are_classes else 10_000)
    for metric in (metric for metric in data.task.metrics if metric.score is None):
        errors, bias = _blind_errors(metric, data.task, _whole(data, "test").targets)
        chance = metric.chance**2 if metric.name == "rmse" else metric.chance
        tolerance = 5 * errors.std().item() / math.sqrt(len(errors)) + bias * chance
        found = errors.mean().item()
        expect(tolerance < 0.2 * chance, f"chance of {metric.name} needs more than {len(errors)} test sequences")
        scored = math.sqrt(found) if metric.name == "rmse" else found
        message = f"chance of {metric.name} is {metric.chance:.4g}, but the best blind prediction scores {scored:.4g}"
        expect(abs(found - chance) <= tolerance, message)


def _blind_errors(metric: Metric, task: Task, targets: Tensor) -> tuple[Tensor, float]:
    """Return errors [size] of the best prediction that knows the step alone, and their bias from being fitted."""
    if task.readout == "every" and isinstance(metric.steps, tuple):
        targets = targets[:, slice(*metric.steps)]
    targets = targets.reshape(len(targets), -1)
    if metric.name in ("accuracy", "cross_entropy"):
        return _blind_answers(metric.name, targets, task.output_size)
    errors = (targets.double() - targets.double().mean(0)).square().mean(1)
    return errors / (task.target_variance if metric.name == "normalized_mse" else 1), 1 / len(targets)


def _blind_answers(name: str, targets: Tensor, classes: int) -> tuple[Tensor, float]:
    """Return errors [size / 2] of classes [size, steps], by frequencies that the other half of the sequences show."""
    known, asked = targets.chunk(2)
    steps = torch.arange(targets.shape[1]) * classes
    cells = (known + steps)[known != UNLABELLED]
    counts = cells.bincount(minlength=classes * len(steps)).view(-1, classes).double()
    seen = counts.sum(1)
    labelled = asked != UNLABELLED
    answers = counts.argmax(1).expand(asked.shape)
    if name == "accuracy":
        terms = (asked == answers).double()
    else:
        likely = (counts + 1 / classes) / (seen + 1).unsqueeze(1)
        terms = -likely.log().flatten()[asked.clamp_min(0) + steps]
    terms = torch.where(labelled, terms, 0.0)
    # A step of few labels fits badly, and counts as little: classes that are nearly as likely are taken for each other.
    bias = (seen * classes).sqrt().sum() / seen.sum() / 2
    return terms.sum(1) / labelled.sum() * len(asked), bias.item()


CONTRACTS: tuple[Callable[[TaskCase], None], ...] = (
    takes_the_loading_settings,
    batches_fit_the_task,
    task_is_consistent,
    seed_decides_the_data,
    splits_share_no_sequence,
    chance_is_the_best_blind_score,
)
