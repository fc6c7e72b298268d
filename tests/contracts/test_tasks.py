"""What holds for every task of ``datamodules/``, ours or one that was added."""

import importlib
import inspect
import math
import re

import pytest
import torch

from rnnbench import datamodules
from rnnbench.datamodules.adding import Adding
from rnnbench.datamodules.contracts import CONTRACTS, TaskCase, broken
from rnnbench.datamodules.real_data import DataMissingError
from rnnbench.datamodules.synthetic import SyntheticDataModule
from rnnbench.datamodules.task import Metric, Task
from rnnbench.lit_models.task_trial import loss_and_metrics_work
from tests.datamodules.small_images import write_sets
from tests.datamodules.small_texts import write_texts

TASKS = datamodules.registered_tasks()


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


@pytest.mark.parametrize("contract", [*CONTRACTS, loss_and_metrics_work], ids=lambda contract: contract.__name__)
@pytest.mark.parametrize("name", TASKS)
def test_contract(name, contract):
    contract(TaskCase(load(name), {}))


@pytest.mark.parametrize("name", TASKS)
def test_every_argument_has_a_default_and_is_documented(name):
    text = inspect.getdoc(load(name))
    for argument in TASKS[name].arguments:
        assert argument.default is not None, argument.name
        assert re.search(rf"^    (\w+, )*{argument.name}(, \w+)*: ", text, re.MULTILINE), argument.name
    assert [argument.name for argument in TASKS[name].arguments][-3:] == ["batch_size", "eval_batch_size", "seed"]


@pytest.mark.parametrize("name", TASKS)
def test_no_argument_takes_what_it_cannot_mean(name):
    for argument in TASKS[name].arguments:
        kind = argument.annotation.split(" | ")[0]
        values = {"int": [-1, True, 1.5, "2", 10**40], "float": [-1.0, 0.0, True, "2", math.nan, 10**400], "str": []}
        if argument.name != "seed" and (argument.name != "delay" or name == "CopyMemory"):
            values["int"].append(0)
        for value in values.get(kind, [1, "no", 2.5]):
            message = rf"(unknown |{argument.name}|the embedding|the sequences of).* must |unknown {argument.name}"
            with pytest.raises(ValueError, match=message):
                load(name)(**{argument.name: value})


HUGE = {
    "Adding": ("length", "train_size", "test_size"),
    "CopyMemory": ("delay",),
    "DelayedCopy": ("length", "width"),
    "TokenCopy": ("length", "embedding_size", "symbols"),
    "Polynomial": ("length", "width"),
    "StateTracking": ("length",),
    "LinearSystem": ("length", "order", "width"),
    "Shakespeare": ("embedding_size", "vocabulary_size"),
    "ATIS": ("embedding_size", "vocabulary_size"),
}


@pytest.mark.parametrize(("name", "argument"), [(name, argument) for name in HUGE for argument in HUGE[name]])
def test_sizes_beyond_memory_are_refused_at_once(name, argument):
    with pytest.raises(ValueError, match=rf"(the sequences of {name}|the embedding) must fit in .* GB of memory"):
        load(name)(**{argument: 10**13})


@pytest.mark.parametrize("name", [name for name in TASKS if "data_dir" in {a.name for a in TASKS[name].arguments}])
def test_missing_data_are_found_out_before_training(name, tmp_path):
    with pytest.raises(DataMissingError, match="give data_dir or RNNBENCH_DATA"):
        load(name)(data_dir=str(tmp_path)).check_available()


class Last(SyntheticDataModule):
    """A task as a user writes one, of which each case below gets something wrong."""

    chance, classes = 1.0, 1

    @property
    def task(self):
        return Task("last", 1, self.classes, 3, "last", "mse", (Metric("mse", "min", chance=self.chance, best=0.0),))

    def sample(self, count, generator):
        inputs = torch.randn(count, 3, 1, generator=generator)
        return inputs, inputs[:, -1]


def fewer(data, split):
    return tuple(part[:10] for part in Adding.draw_split(data, "test" if split == "val" else split))


def without_batch_size(data, train_size: int = 48):
    SyntheticDataModule.__init__(data, train_size)


# the message: (the class, what is wrong in it)
BROKEN = {
    None: (Last, {}),
    "targets of train must have the shape [8, 2], got [8, 1]": (Last, {"classes": 2}),
    "chance of mse is 0.5, but the best blind prediction scores 0.97": (Last, {"chance": 0.5}),
    "the global generator of random numbers is used": (
        Last,
        {"sample": lambda data, count, generator: Last.sample(data, count, None)},
    ),
    "another seed must give other data": (
        Last,
        {"sample": lambda data, count, generator: Last.sample(data, count, torch.Generator().manual_seed(count))},
    ),
    "the same sequence stands in two splits: draw each from a generator of its own": (Adding, {"draw_split": fewer}),
    "the constructor must take batch_size": (Last, {"__init__": without_batch_size}),
}


@pytest.mark.parametrize("message", BROKEN)
def test_broken_task_is_named(message):
    cls, members = BROKEN[message]
    found = list(broken(CONTRACTS, TaskCase(type("Broken", (cls,), members), {})))
    assert any(message in line for line in found) if message else not found, found
