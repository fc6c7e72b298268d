"""What holds for every task of ``datamodules/``, ours or one that was added."""

import importlib
import inspect
import math

import pytest
import torch
from torch.nn.functional import one_hot

from rnnbench import datamodules
from rnnbench.datamodules.real_data import DataMissingError
from rnnbench.datamodules.synthetic import SyntheticDataModule
from tests.datamodules.small_images import write_sets
from tests.datamodules.small_texts import write_texts

TASKS = datamodules.registered_tasks()
SPLITS = ("train", "val", "test")
SMALL = {"train_size": 48, "val_size": 10, "test_size": 12, "batch_size": 8, "vocabulary_size": 20}


@pytest.fixture(autouse=True, scope="module")
def made_data(tmp_path_factory):
    """Tasks that need data find small made files."""
    folder = write_texts(write_sets(tmp_path_factory.mktemp("data")))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RNNBENCH_DATA", str(folder))
        patch.setenv("RNNBENCH_CACHE", str(folder / "cache"))
        yield folder


def load(name):
    return getattr(importlib.import_module(TASKS[name].module), name)


def make(name, **settings):
    accepted = {argument.name for argument in TASKS[name].arguments}
    data = load(name)(**{key: value for key, value in {**SMALL, **settings}.items() if key in accepted})
    data.check_available()
    data.setup()
    return data


def whole(data, split):
    source = data._sources[split]
    return source.read(0, torch.arange(len(source)))


def test_the_tasks_of_this_project_are_found():
    assert {"Adding", "CopyMemory", "DelayedCopy", "Polynomial", "StateTracking"} <= TASKS.keys()
    assert {"SequentialDigits", "SequentialMNIST", "SequentialCIFAR10"} <= TASKS.keys()
    assert {"WikiText2", "Shakespeare", "Music", "ATIS", "LinearSystem"} <= TASKS.keys()


@pytest.mark.parametrize("name", TASKS)
def test_every_argument_has_a_default_and_is_documented(name):
    cls = load(name)
    documented = inspect.getdoc(cls)
    for argument in TASKS[name].arguments:
        assert argument.default is not None, argument.name
        assert f"\n    {argument.name}: " in documented, argument.name
    assert ">>>" in documented
    assert [argument.name for argument in TASKS[name].arguments][-3:] == ["batch_size", "eval_batch_size", "seed"]


@pytest.mark.parametrize("name", TASKS)
def test_the_task_is_known_before_the_data_and_consistent(name):
    task = load(name)().task
    assert task == load(name)().task
    assert task.metrics
    for metric in task.metrics:
        low, high = sorted([metric.chance, metric.best])
        assert low < high
        assert (metric.direction == "max") == (metric.best > metric.chance)
        assert metric.minimal_performance is None or low < metric.minimal_performance < high
        if metric.name == "normalized_mse":
            assert task.target_variance > 0
    if task.tokens is not None:
        assert task.input_size == (task.tokens.embedding_size or task.tokens.vocabulary_size)
    assert not task.labels or len(task.labels) == task.output_size
    for scored in (task.loss_steps, *(metric.steps for metric in task.metrics)):
        assert scored is None or (task.readout == "every" and 0 <= scored[0] < scored[1] <= task.steps)


@pytest.mark.parametrize("name", TASKS)
def test_batches_have_the_shapes_of_the_task(name):
    data = make(name)
    task = data.task
    loaders = {"train": data.train_dataloader(), "test": data.test_dataloader()}
    loaders["val"], _ = data.val_dataloader()
    assert set(data._sources) == set(SPLITS)
    for loader in loaders.values():
        batches = list(loader)
        assert len(batches) == len(loader)
        for inputs, targets, lengths in batches:
            size, steps = inputs.shape[:2]
            if task.tokens is None:
                assert inputs.shape[2:] == (task.input_size,)
                assert inputs.dtype == torch.float32
                assert inputs.isfinite().all()
            else:
                assert inputs.dim() == 2
                assert inputs.dtype == torch.int64
                assert 0 <= inputs.min() <= inputs.max() < task.tokens.vocabulary_size
            if lengths is not None:
                assert lengths.shape == (size,)
                assert lengths.dtype == torch.int64
                assert 0 <= lengths.min() <= lengths.max() <= steps
            elif not task.carries_state:
                assert steps == task.steps or hasattr(loader.source, "lengths")
            if loader is loaders["train"]:
                assert steps <= task.steps
            leading = (size,) if task.readout == "last" else (size, steps)
            if task.loss == "cross_entropy":
                assert targets.shape == leading
                assert targets.dtype == torch.int64
                assert 0 <= targets.min() <= targets.max() < task.output_size
            else:
                assert targets.shape == (*leading, task.output_size)
                assert targets.dtype == torch.float32
                assert targets.isfinite().all()


@pytest.mark.parametrize("name", TASKS)
def test_the_seed_decides_the_data(name):
    first, again, other = make(name, seed=5), make(name, seed=5), make(name, seed=6)
    for split in SPLITS:
        for ours, theirs in zip(whole(first, split), whole(again, split), strict=True):
            assert torch.equal(ours, theirs)
    assert first.fingerprint() == again.fingerprint()
    assert (first.fingerprint() == other.fingerprint()) == first.fixed_splits


@pytest.mark.parametrize("name", TASKS)
def test_no_global_generator_is_used(name):
    state = torch.get_rng_state()
    data = make(name)
    list(data.train_dataloader())
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize("name", TASKS)
def test_splits_share_no_sequence(name):
    data = make(name)
    rows = [whole(data, split)[0].flatten(1).tolist() for split in SPLITS]
    # Sequences of unequal lengths are padded to the longest of their split.
    distinct = [set(map(tuple, padded_alike(part, rows))) for part in rows]
    assert len(set().union(*distinct)) == sum(map(len, distinct))


def padded_alike(part, rows):
    longest = max(len(row) for other in rows for row in other)
    return [row + [0.0] * (longest - len(row)) for row in part]


@pytest.mark.parametrize("name", TASKS)
def test_chance_is_known_better_with_the_data_or_stays(name):
    before, after = load(name)().task, make(name).task
    for unloaded, loaded in zip(before.metrics, after.metrics, strict=True):
        assert (loaded.name, loaded.direction, loaded.best) == (unloaded.name, unloaded.direction, unloaded.best)
        assert math.isfinite(loaded.chance)
        assert loaded.chance != loaded.best


def best_blind_errors(metric, task, targets):
    """Errors [size] of the best prediction that knows the step but not the inputs, and their bias from being fitted."""
    if task.readout == "every" and metric.steps:
        targets = targets[:, slice(*metric.steps)]
    targets = targets.reshape(len(targets), -1)
    if metric.name in ("accuracy", "cross_entropy"):
        hits = one_hot(targets, task.output_size).double()
        frequencies = hits.mean(0, keepdim=True)
        if metric.name == "cross_entropy":
            errors = -(hits * frequencies.clamp_min(1e-300).log()).sum(-1)
        else:
            errors = (hits * one_hot(frequencies.argmax(-1), task.output_size)).sum(-1)
        return errors.mean(1), task.output_size / math.sqrt(len(targets))
    errors = (targets.double() - targets.double().mean(0)).square().mean(1)
    return errors / (task.target_variance if metric.name == "normalized_mse" else 1), 1 / len(targets)


@pytest.mark.parametrize("name", [name for name in TASKS if issubclass(load(name), SyntheticDataModule)])
def test_chance_is_what_the_best_blind_prediction_scores(name):
    data = make(name, test_size=10_000)
    for metric in data.task.metrics:
        errors, bias = best_blind_errors(metric, data.task, data._sources["test"].targets)
        chance = metric.chance**2 if metric.name == "rmse" else metric.chance
        tolerance = 5 * errors.std().item() / math.sqrt(len(errors)) + bias * chance
        assert tolerance < 0.2 * chance
        assert errors.mean().item() == pytest.approx(chance, abs=tolerance)


@pytest.mark.parametrize("name", [name for name in TASKS if "data_dir" in {a.name for a in TASKS[name].arguments}])
def test_missing_data_are_found_out_before_training(name, tmp_path):
    with pytest.raises(DataMissingError, match="give data_dir or RNNBENCH_DATA"):
        load(name)(data_dir=str(tmp_path)).check_available()
