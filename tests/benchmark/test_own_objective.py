"""A loss and a metric of one's own: one class in a package outside of the clone, named by a task and by a suite."""

import dataclasses
import sys
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F

from rnnbench.benchmark.command.check_class import class_problems
from rnnbench.benchmark.config.construct import check_experiment
from rnnbench.benchmark.config.options import TrainOptions
from rnnbench.benchmark.config.recipe import Recipe
from rnnbench.benchmark.config.suite import load_suite
from rnnbench.benchmark.errors import UserError
from rnnbench.benchmark.launchers import worker
from rnnbench.benchmark.run.train import build
from rnnbench.datamodules.adding import Adding
from rnnbench.datamodules.task import Batch
from rnnbench.lit_models.objective import instance_metrics, scored_sum, training_loss
from tests.benchmark.small_jobs import adding_experiment, job_of, train

PACKAGE = '''
import dataclasses
from torch.nn.functional import huber_loss, one_hot
from rnnbench import Adding, DelayedCopy, Metric, Objective


class Huber(Objective):
    """Mean over outputs of the Huber loss."""

    def terms(self, outputs, targets):
        return huber_loss(outputs, targets.expand_as(outputs), reduction="none").mean(-1)

    def value(self, mean):
        return 100 * mean


class Brier(Objective):
    classes = True

    def terms(self, outputs, targets):
        return (outputs.softmax(-1) - one_hot(targets, outputs.shape[-1])).square().sum(-1)


class Wrong(Objective):
    def terms(self, outputs, targets):
        return outputs - targets


class Late(Huber):
    def terms(self, outputs, targets):
        raise OSError("gone")


class HuberAdding(Adding):
    """Adding, trained and ranked by the Huber loss."""

    def __init__(self, length: int = 6, batch_size: int = 8, eval_batch_size: int = 20, seed: int = 0, **sizes: int):
        sizes = {"train_size": 40, "val_size": 20, "test_size": 20, **sizes}
        super().__init__(length, batch_size=batch_size, eval_batch_size=eval_batch_size, seed=seed, **sizes)

    @property
    def task(self):
        task = super().task
        mine = Metric("huber", "min", chance=8.0, best=0.0, minimal_performance=7.5, score=Huber())
        return dataclasses.replace(task, loss=Huber(), metrics=(mine, *task.metrics))
'''
SUITE = """
title: Adding under a loss of one's own
instances: 1
tasks:
  ADD: {class_path: Adding, init_args: {length: 6, loss: LOSS, train_size: 40, val_size: 20, test_size: 20}}
networks:
  Elman: {class_path: ElmanRNN, init_args: {hidden_size: 4}}
training: {optimizer: adam, learning_rate: 0.01, batch_size: 8, max_steps: 4, validate_every: 2}
"""


@pytest.fixture
def mylab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "mylab_of_a_user.py").write_text(PACKAGE, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    import mylab_of_a_user

    yield mylab_of_a_user
    del sys.modules["mylab_of_a_user"]


def own_experiment(**settings):
    experiment = adding_experiment(Recipe(learning_rate=0.01, batch_size=8, max_steps=4, validate_every=2), **settings)
    task = {"class_path": "mylab_of_a_user.HuberAdding", "init_args": {"length": 6}}
    return dataclasses.replace(experiment, config={**experiment.config, "task": task})


def test_a_run_is_trained_measured_and_recorded_under_them(mylab, tmp_path) -> None:
    measures = [{"hessian": {"samples": 4, "count": 2}}, {"gradient_flow": {"samples": 4}}]
    job = job_of(own_experiment(measures=measures), tmp_path / "runs")
    for record in train(job):
        assert [metric.name for metric in record.metrics] == ["huber", "rmse", "mse"]
        assert record.best_step == min(record.curve, key=lambda point: point.val["huber"]).step
        # Errors are below 1 here or nearly so: half the squares, in hundreds.
        assert record.scores.test["huber"] == pytest.approx(50 * record.scores.test["mse"], rel=0.05)
        assert record.minimal_performance.metric == "huber"
        assert [code.module for code in record.own_code] == ["mylab_of_a_user"]
        assert {one["start"].status for one in record.measures.values()} == {"finished"}
    assert list(class_problems("mylab_of_a_user.HuberAdding", {})) == []


def test_what_it_raises_in_training_is_the_users_to_fix(mylab, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(worker, "set_up_torch", lambda: None)
    experiment = own_experiment()
    task = {"class_path": "Adding", "init_args": {"length": 6, "loss": "mylab_of_a_user.Late", "train_size": 40}}
    job = job_of(dataclasses.replace(experiment, config={**experiment.config, "task": task}), tmp_path / "runs")
    outcome = worker.train_job(job, TrainOptions(accelerator="cpu"))
    line = PACKAGE[: PACKAGE.index("raise OSError")].count("\n") + 1
    assert (outcome.kind, outcome.message) == ("refused", f"OSError: gone (mylab_of_a_user.py, line {line})")
    assert str(job.folder / "error.log") in outcome.log


def test_loss_and_metric_are_torchs(mylab, tmp_path) -> None:
    data, model = build(job_of(own_experiment(), tmp_path), None)
    outputs, targets = 3 * torch.randn(2, 5, 1), torch.randn(5, 1)
    expected = torch.stack([F.huber_loss(each, targets) for each in outputs])
    values, terms = training_loss(model.task, outputs, Batch(torch.zeros(5, 6, 2), targets))
    torch.testing.assert_close(values, expected)
    torch.testing.assert_close(terms, expected)
    metric = instance_metrics(data.task, 2)[0]
    metric.update(outputs[:, :2], targets[:2])
    metric.update(outputs[:, 2:], targets[2:])
    torch.testing.assert_close(metric.compute(), 100 * expected.double(), rtol=1e-6, atol=0)


def test_classes_and_sequences_of_unequal_length(mylab) -> None:
    outputs, targets, lengths = torch.randn(2, 3, 4, 5), torch.randint(5, (3, 4)), torch.tensor([4, 1, 2])
    total, count = scored_sum(mylab.Brier(), outputs, targets, (1, 4), lengths)
    terms = (outputs.softmax(-1) - F.one_hot(targets, 5)).square().sum(-1)
    scored = [(0, 1), (0, 2), (0, 3), (2, 1)]
    torch.testing.assert_close(total, sum(terms[:, b, t] for b, t in scored))
    assert count == len(scored)
    with pytest.raises(ValueError, match=r"terms of Wrong must have the shape \[2, 3, 4\], got \[2, 3, 4, 5\]"):
        scored_sum(mylab.Wrong(), outputs, torch.zeros(3, 4, 5), None)


@pytest.mark.parametrize(
    ("loss", "message"),
    [
        ("mylab_of_a_user.Huber", ""),
        ("mylab_of_a_user.Hubert", "loss 'mylab_of_a_user.Hubert' cannot be built: AttributeError"),
        ("mylab_of_a_user.HuberAdding", "'mylab_of_a_user.HuberAdding' is not an Objective subclass"),
        ("nowhere.Huber", "loss 'nowhere.Huber' cannot be built: ModuleNotFoundError"),
        ("rmsee", "did you mean 'rmse'?"),
    ],
)
def test_a_suite_names_a_loss(mylab, tmp_path, loss, message) -> None:
    path = tmp_path / "own.yaml"
    path.write_text(SUITE.replace("LOSS", loss), encoding="utf-8")
    (experiment,) = load_suite(path).experiments
    if message:
        with pytest.raises(UserError, match=message.replace("?", r"\?")):
            check_experiment(experiment)
    else:
        assert check_experiment(experiment).task.loss == mylab.Huber()
        assert Adding(loss=loss).task == Adding(loss=loss).task
