"""Measures of dynamics in a run: they change nothing, survive interruptions, and may fail."""

import sys
import types
from dataclasses import replace
from unittest import mock

import numpy as np
import pytest
import torch
from lightning.pytorch.loggers import Logger

from rnnbench.benchmark.config.recipe import Recipe
from rnnbench.benchmark.measures import MEASURES
from rnnbench.benchmark.measures.base import Measured, MeasureOptions, Moments
from rnnbench.benchmark.run.callbacks.take_measures import TakeMeasures
from rnnbench.leaderboard.files import read_arrays, side_path
from rnnbench.lit_models.lit_sequence_model import LitSequenceModel
from tests.benchmark.small_jobs import adding_experiment, interrupt, job_of, train
from tests.leaderboard.factory import comparable
from tests.lit_models import small_runs

RECIPE = Recipe(optimizer="adam", learning_rate=0.01, batch_size=32, max_steps=6, validate_every=2)


class Probe(MeasureOptions):
    """Records what it was given, does what no measure should do, and fails on request."""

    at: Moments = ("start", "end")
    samples: int = 5
    fail: str | None = None

    def take(self, subject):
        if self.fail == "memory":
            torch.empty(2**55)
        if self.fail == "singular":
            torch.linalg.inv(torch.zeros(2, 2))
        loss = subject.network(subject.batch.inputs).square().mean()
        loss.backward()
        torch.rand(3)
        weights = subject.network.readout.weight.detach().flatten().double().numpy().copy()
        with torch.no_grad():
            subject.network.readout.weight.zero_()
        subject.batch.inputs.zero_()
        return Measured(
            {"loss": loss.item(), "first": float(weights[0]), "endless": -np.inf, "word": "yes"},
            {"weights": weights, "inputs_seen": np.arange(3)},
        )


@pytest.fixture(autouse=True)
def probes(monkeypatch):
    """Offers the probe to suites under its own name."""
    module = types.ModuleType("rnnbench.benchmark.measures.probe")
    module.Probe = Probe
    monkeypatch.setitem(sys.modules, "rnnbench.benchmark.measures.probe", module)
    monkeypatch.setitem(MEASURES, "probe", "Probe")


def make_job(runs_dir, measures, instances=(0, 1), rates=(0.01,), recipe=RECIPE):
    grid = {"training.learning_rate": rates}
    return job_of(
        adding_experiment(recipe, grid=grid, measures=measures, train_size=96, fresh=False), runs_dir, instances
    )


def arrays_of(job, index=0):
    return read_arrays(side_path(job.record_path(job.members[index])))


def test_what_is_trained_does_not_depend_on_measures(tmp_path):
    plain = train(make_job(tmp_path / "without", []))
    measured = train(make_job(tmp_path / "with", [{"probe": {"every_epochs": 1}}]))
    for without, with_measures in zip(plain, measured, strict=True):
        assert without.measures == {}
        assert set(with_measures.measures["probe"]) == {"start", "epoch-1", "epoch-2", "end"}
        assert comparable(with_measures) | {"measures": {}} == comparable(without)
    assert not list((tmp_path / "without").rglob("*.npz"))


def test_each_moment_sees_the_weights_of_its_time_and_the_same_sequences(tmp_path):
    job = make_job(tmp_path, [{"probe": {"every_epochs": 1}}])
    first, second = train(job)
    moments = first.measures["probe"]
    assert [moments[moment].step for moment in ("start", "epoch-1", "epoch-2", "end")] == [0, 4, 6, 6]
    losses = [moments[moment].summary["loss"] for moment in ("start", "epoch-1", "epoch-2", "end")]
    assert len(set(losses[:3])) == 3
    assert losses[2] == losses[3]
    assert first.measures != second.measures
    assert moments["start"].summary["endless"] is None
    assert moments["start"].settings["samples"] == 5
    arrays = arrays_of(job)
    assert set(moments["start"].arrays) == {"probe/start/weights", "probe/start/inputs_seen"}
    assert set(arrays) == {name for moment in moments.values() for name in moment.arrays}
    assert arrays["probe/start/weights"][0] == moments["start"].summary["first"]


def test_alone_and_in_an_ensemble_measures_are_the_same(tmp_path):
    together = make_job(tmp_path / "two", ["probe"])
    train(together)
    alone = make_job(tmp_path / "one", ["probe"], instances=(1,))
    train(alone)
    for name, array in arrays_of(alone).items():
        np.testing.assert_allclose(array, arrays_of(together, 1)[name], rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(
    ("settings", "reason"),
    [({"fail": "memory"}, "alloc"), ({"fail": "singular"}, "singular"), ({"samples": 21}, "from 1 to 20")],
)
def test_a_failing_measure_says_so_and_the_rest_goes_on(tmp_path, settings, reason):
    job = make_job(tmp_path, [{"probe": settings}, {"gradient_flow": {"samples": 5}}])
    for record in train(job):
        failed = record.measures["probe"]["start"]
        assert failed.status == "failed"
        assert reason in failed.reason.lower()
        assert not failed.summary
        assert not failed.arrays
        assert record.measures["gradient_flow"]["start"].status == "finished"
        assert record.status == "finished"
        assert len(record.curve) == 3
    assert all(name.startswith("gradient_flow/") for name in arrays_of(job))


def test_a_diverged_instance_is_not_measured_after_its_end(tmp_path):
    good, diverged = train(make_job(tmp_path, ["probe"], instances=(0,), rates=(0.01, 1e38)))
    assert good.measures["probe"]["end"].status == "finished"
    assert diverged.status == "diverged"
    assert diverged.measures["probe"]["start"].status == "finished"
    assert diverged.measures["probe"]["end"].reason == f"the instance diverged at step {diverged.diverged_at}"


def test_what_was_taken_survives_an_interruption(tmp_path):
    measures = [{"probe": {"every_epochs": 1}}]
    whole = make_job(tmp_path / "whole", measures)
    expected = [comparable(record) for record in train(whole)]
    stopped = make_job(tmp_path / "stopped", measures)
    interrupted = interrupt(stopped, step=5)[0]
    assert interrupted.status == "interrupted"
    assert set(interrupted.measures["probe"]) == {"start", "epoch-1"}
    assert [comparable(record) for record in train(stopped)] == expected
    for name, array in arrays_of(whole).items():
        np.testing.assert_array_equal(array, arrays_of(stopped)[name])


def test_a_measure_asked_for_too_late_says_so(tmp_path):
    job = make_job(tmp_path, [])
    interrupt(job, step=5)
    late = replace(job, experiment=make_job(tmp_path, ["probe"]).experiment)
    assert late.experiment.points()[0].id == job.experiment.points()[0].id
    record = train(late)[0]
    assert "training was at step 4 already" in record.measures["probe"]["start"].reason
    assert record.measures["probe"]["end"].status == "finished"


def test_any_trainer_takes_them_and_logs_them():
    data = small_runs.adding()
    model = LitSequenceModel(small_runs.ELMAN, data.task, instances=(0, 1))
    callback, logger = TakeMeasures({"probe": Probe()}), mock.MagicMock(spec=Logger)
    small_runs.fit(model, data, steps=3, validate_every=3, callbacks=[callback], logger=logger, log_every_n_steps=1)
    assert [set(taken["probe"]) for taken in callback.taken] == [{"start", "end"}] * 2
    logged = {
        name: call.kwargs["step"]
        for call in logger.log_metrics.call_args_list
        for name in [*call.args, call.kwargs.get("metrics")][0]
    }
    assert (logged["probe/start/loss/1"], logged["probe/end/loss/0"]) == (0, 3)


@pytest.mark.parametrize("wanted", [None, 0.4])
def test_a_measure_projects_as_training_does(tmp_path, monkeypatch, wanted):
    seen = []

    def take(self, subject):
        with torch.no_grad():
            subject.network.recurrence.weight_hh.copy_(2 * torch.eye(len(subject.network.recurrence.weight_hh)))
        subject.project(subject.network)
        seen.append(subject.network.recurrence.weight_hh.abs().max().item())
        return Measured({})

    monkeypatch.setattr(Probe, "take", take)
    stability = {} if wanted is None else {"stability_input_bound": 1.0, "stability_contraction": wanted}
    train(make_job(tmp_path, [{"probe": {"at": ["start"]}}], recipe=Recipe(**RECIPE.model_dump() | stability)))
    assert [value < 0.4 if wanted else value == 2 for value in seen] == [True, True]
