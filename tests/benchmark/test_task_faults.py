"""What a task of one's own gets wrong: one message with cause and fix, in check and before training, exit code 2."""

import itertools
import sys
from pathlib import Path

import pytest

from rnnbench.benchmark.command.cli import main
from rnnbench.datamodules.adding import Adding
from rnnbench.datamodules.parity_check import ParityCheck

TASKS = """
import numpy as np
import torch
from rnnbench import Metric, Objective, SequenceDataModule, SyntheticDataModule, Task
from rnnbench.datamodules.sources import FixedSource


class Squares(Objective):
    def terms(self, outputs, targets):
        return (outputs - targets).square().mean(-1)


class Share(Squares):
    classes = True


def objective(function=Squares.terms, value=Squares.value):
    return type("Made", (Squares,), {"terms": function, "value": value})()


def metric(name="near", direction="min", chance=1.0, best=0.0, score=Squares(), **more):
    return Metric(name, direction, chance, best, score=score, **more)


class Last(SyntheticDataModule):
    def __init__(self, **drawn):
        super().__init__(**{"train_size": 40, "val_size": 20, "test_size": 20, **drawn})

    settings = {}
    metrics = (metric(),)

    @property
    def task(self):
        metrics = self.metrics() if callable(self.metrics) else self.metrics
        settings = {"input_size": 1, "output_size": 1, "steps": 3, "readout": "last", "loss": "mse", "metrics": metrics}
        return Task("last", **{**settings, **self.settings})

    def sample(self, count, generator):
        inputs = torch.randn(count, 3, 1, generator=generator)
        return inputs, inputs[:, -1]


class Loaded(SequenceDataModule):
    task = Last.task
    settings, metrics, fixed_splits = {}, Last.metrics, True
    targets = torch.linspace(-1, 1, 40)[:, None]

    def make_sources(self):
        inputs = torch.randn(120, 3, 1, generator=torch.Generator().manual_seed(0))
        return {name: FixedSource(part, self.targets) for name, part in zip(self.splits, inputs.split(40))}

    splits = ("train", "val", "test")
"""
SUITE = """
tasks: {last: {class_path: PACKAGE.Case}}
networks: {Elman: {class_path: ElmanRNN, init_args: {hidden_size: 2}}}
training: {learning_rate: 0.01, batch_size: 8, max_steps: 2, validate_every: 1}
"""
# What stands in the class, by what the message says.
FAULTS = {
    "metrics must have different names, got 'near' 2 times": "metrics = (metric(), metric())",
    "direction of metric near must be 'min' or 'max', got 'up'": "metrics = lambda _: (metric(direction='up'),)",
    "chance of metric near must be a finite number, got nan": "metrics = lambda _: (metric(chance=float('nan')),)",
    "direction of metric mse must be 'min', got 'max'": "metrics = lambda _: (Metric('mse', 'max', 0.1, 1.0),)",
    "metric mse is one of rnnbench's": "metrics = lambda _: (metric('mse'),)",
    "chance of metric near must be below its best value": "metrics = lambda _: (metric(direction='max'),)",
    "minimal_performance of metric near must lie between 1.0 and 0.0": (
        "metrics = lambda _: (metric(minimal_performance=2.0),)"
    ),
    "unknown metric 'rmsee': did you mean 'rmse'?": "metrics = lambda _: (metric('rmsee', score=None),)",
    "unknown metric 'near': known are 'mse'": "metrics = lambda _: (metric(score=None),)",
    "score of metric near must be an instance of an Objective, got the class: write Squares()": (
        "metrics = lambda _: (metric(score=Squares),)"
    ),
    "score of metric near must be an Objective or the import path of one, got <function": (
        "metrics = lambda _: (metric(score=lambda outputs, targets: 0),)"
    ),
    "score of metric near 'PACKAGE.Square' cannot be built: AttributeError": (
        "metrics = lambda _: (metric(score='PACKAGE.Square'),)"
    ),
    "did you mean 'Squares'?": "settings = {'loss': 'PACKAGE.Square'}",
    "metrics must be a tuple of at least one Metric": "metrics = ()",
    "metrics must be a tuple of at least one Metric, such as (Metric": "metrics = metric()",
    "metric accuracy needs targets that are classes, but under loss mse they are values": (
        "metrics = (metric('accuracy', 'max', 0.5, 1.0, None),)"
    ),
    "metric near needs targets that are classes": "metrics = (metric(score=Share()),)",
    "unknown loss 'mes': did you mean 'mse'?": "settings = {'loss': 'mes'}",
    "loss must be an instance of an Objective, got the class: write Squares()": "settings = {'loss': Squares}",
    "unknown readout 'lastt': did you mean 'last'?": "settings = {'readout': 'lastt'}",
    "loss_steps must be None for a readout at the last step": "settings = {'loss_steps': (0, 2)}",
    "output_size must be at least 1, got 0": "settings = {'output_size': 0}",
    "sign and detach have no gradient; compute the terms of Made without them (PACKAGE.py, line LINE)": (
        "settings = {'loss': objective(lambda self, o, t: ((o - t).abs() < 1).all(-1).float())}"
    ),
    "loss Made must be differentiable, but its gradient is 0": (
        "settings = {'loss': objective(lambda self, o, t: (o - t).round().mean(-1))}"
    ),
    "loss Made and its gradient must be finite": "settings = {'loss': objective(lambda self, o, t: o.log().mean(-1))}",
    "terms of Made must have the shape [2, 3], got [2, 3, 1]": (
        "settings = {'loss': objective(lambda self, o, t: o - t)}"
    ),
    "terms of Made must have the shape [2, 3], got [2]": (
        "metrics = (metric(score=objective(lambda self, o, t: (o - t).mean((1, 2)))),)"
    ),
    "metric near must score each sequence and instance by itself": (
        "metrics = (metric(score=objective(lambda self, o, t: ((o - t) / o.norm(dim=1, keepdim=True)).sum(-1))),)"
    ),
    "value of metric near must return [2], one an instance, got []": (
        "metrics = (metric(score=objective(value=lambda self, mean: mean.sum())),)"
    ),
    "metric near must be finite, got [nan, nan]": (
        "metrics = (metric(score=objective(value=lambda self, mean: (-mean).log())),)"
    ),
    "metric near must not change outputs or targets in place": (
        "metrics = (metric(score=objective(lambda self, o, t: o.sub_(t).mean(-1))),)"
    ),
    "loss Made fails: ZeroDivisionError: division by zero (PACKAGE.py, line LINE)": (
        "settings = {'loss': objective(lambda self, o, t: 1 / 0)}"
    ),
    "sample fails: ZeroDivisionError: division by zero (PACKAGE.py, line LINE)": (
        "sample = lambda self, count, generator: 1 / 0"
    ),
    "ZeroDivisionError: division by zero (PACKAGE.py, line LINE)": "task = property(lambda self: 1 / 0)",
    "sample must return as many inputs as it is asked for, 3, got 2": (
        "sample = lambda self, count, generator: Last.sample(self, count - 1, generator)"
    ),
    "sample must return a tuple of inputs, targets": "sample = lambda self, count, generator: torch.zeros(count, 3, 1)",
    "targets of train must have the shape [3, 2], got [3, 1]": "settings = {'output_size': 2}",
    "make_sources must return a dict of the splits train, val, test, got ['train', 'valid', 'test']": (
        "splits = ('train', 'valid', 'test')"
    ),
    "the source of split train must have read and __len__": "make_sources = lambda self: dict.fromkeys(self.splits, 1)",
    "targets of train must have the shape [3, 1], got [3]": "targets = torch.zeros(40)",
    "FileNotFoundError: [Errno 2] No such file or directory: 'gone.npz' (PACKAGE.py, line LINE)": (
        "make_sources = lambda self: np.load('gone.npz')"
    ),
}
_numbers = itertools.count()


@pytest.fixture
def suite(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A suite of a task that lies in a module of a name of its own, since modules stay imported."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    package = f"faulty{next(_numbers)}"
    Path("faulty.yaml").write_text(SUITE.replace("PACKAGE", package), encoding="utf-8")
    return package


@pytest.mark.parametrize("message", FAULTS)
def test_each_fault_is_named_before_training(message: str, suite: str, capsys: pytest.CaptureFixture[str]) -> None:
    fault = FAULTS[message].replace("PACKAGE", suite)
    base = "Loaded" if "splits" in fault or "targets =" in fault or "make_sources" in fault else "Last"
    source = f"{TASKS}\n\nclass Case({base}):\n    {fault}\n"
    Path(f"{suite}.py").write_text(source, encoding="utf-8")
    expected = message.replace("PACKAGE", suite).replace("LINE", str(source.count("\n")))
    for command in (["check", f"{suite}.Case"], ["check", "faulty.yaml"], ["run", "faulty.yaml"]):
        assert main(command) == 2
        errors = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error: ")]
        assert expected in "\n".join(errors), command
        assert command[0] != "run" or len(errors) == 1
    assert not list(Path().rglob("*.json"))


def test_what_own_code_raises_elsewhere_names_its_line(suite: str, capsys: pytest.CaptureFixture[str]) -> None:
    source = f"{TASKS}\n\nclass Case(Last):\n    steps_per_epoch = lambda self: 1 / 0\n"
    Path(f"{suite}.py").write_text(source, encoding="utf-8")
    by_epochs = Path("faulty.yaml").read_text(encoding="utf-8").replace("max_steps: 2, validate_every", "max_epochs")
    Path("faulty.yaml").write_text(by_epochs, encoding="utf-8")
    assert main(["run", "faulty.yaml"]) == 2
    expected = f"error: ZeroDivisionError: division by zero ({suite}.py, line {source.count(chr(10))})\n"
    assert capsys.readouterr().err.endswith(expected)


def test_samples_need_no_setup_and_name_the_split_meant() -> None:
    data = Adding(length=4, train_size=40, batch_size=8)
    assert len(data.samples("val", 3).targets) == 3
    for other in (data, ParityCheck()):
        with pytest.raises(ValueError, match=r"unknown split 'vall': did you mean 'val'\?"):
            other.samples("vall", 3)


@pytest.mark.parametrize("base", ["Last", "Loaded"])
def test_a_task_without_fault_is_good(base: str, suite: str, capsys: pytest.CaptureFixture[str]) -> None:
    Path(f"{suite}.py").write_text(f"{TASKS}\n\nclass Case({base}):\n    pass\n", encoding="utf-8")
    assert main(["check", f"{suite}.Case", "faulty.yaml"]) == 0, capsys.readouterr().err
