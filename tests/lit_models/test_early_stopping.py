"""Patience and the plateau schedule: per instance, as if it were alone, and through interruptions."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from rnnbench.benchmark.config.recipe import Recipe
from rnnbench.benchmark.run.callbacks.resume_checkpoint import ResumeCheckpoint
from rnnbench.benchmark.run.job import Job
from rnnbench.leaderboard.schema import Record
from rnnbench.lit_models.lit_sequence_model import LitSequenceModel
from tests.benchmark.small_jobs import adding_experiment, job_of, train
from tests.leaderboard.factory import comparable
from tests.lit_models.small_runs import ELMAN, adding, fit

RATE = "training.learning_rate"
STOPPING = {"patience": 30, "test_at": "last"}
PLATEAU = {"schedule": "plateau", "plateau_patience": 10, "plateau_factor": 0.5}


def job(runs_dir: Path, instances: tuple[int, ...] = (0, 1, 2), steps: int = 400, **settings) -> Job:
    """Two rates for each instance: one at which it improves for a while, and one at which it diverges."""
    recipe = Recipe(optimizer="sgd", batch_size=8, max_steps=steps, validate_every=5, **settings)
    one = adding_experiment(recipe, "ElmanRNN", {RATE: (0.3, 1e30)}, train_size=64, fresh=False)
    return job_of(one, runs_dir, instances)


def weights(of: Job) -> list[dict]:
    """Those of the members that did not diverge before any evaluation."""
    return [load_file(path) for path in map(of.weights_path, of.members) if path.exists()]


def assert_equal(found: tuple[list[Record], list[dict]], expected: tuple[list[Record], list[dict]]) -> None:
    assert list(map(comparable, found[0])) == list(map(comparable, expected[0]))
    for ours, theirs in zip(found[1], expected[1], strict=True):
        assert all(torch.equal(ours[name], theirs[name]) for name in theirs)


def test_an_instance_stops_when_its_patience_ends_and_the_run_with_the_last(tmp_path: Path) -> None:
    of = job(tmp_path, **STOPPING)
    records = train(of)
    stops = [record.stopped_at for record in records if record.status == "finished"]
    assert len(set(stops)) > 1
    assert max(stops) < 400
    whole = train(job(tmp_path / "whole", steps=max(stops)))
    for record, without in zip(records, whole, strict=True):
        if record.status == "diverged":
            assert record.stopped_at == record.steps == 5  # the first evaluation
            continue
        values = {point.step: point.val["mse"] for point in without.curve}
        best = min((value, step) for step, value in values.items() if step <= record.stopped_at)[1]
        assert record.stopped_at == record.steps == best + 30
        assert record.curve == [point for point in without.curve if point.step <= record.stopped_at]
        assert record.best_step == record.stopped_at
        assert record.scores.test == record.curve[-1].test


@pytest.mark.parametrize(
    "settings", [*(pytest.param(one, marks=pytest.mark.slow) for one in (STOPPING, PLATEAU)), {**STOPPING, **PLATEAU}]
)
def test_an_instance_of_an_ensemble_is_as_it_is_alone(settings: dict, tmp_path: Path) -> None:
    together, alone = job(tmp_path, **settings, steps=150), job(tmp_path / "alone", (1,), **settings, steps=150)
    found, expected = train(together)[2:4], train(alone)
    for ours, theirs in zip(found, expected, strict=True):
        assert (ours.stopped_at, ours.steps, ours.best_step) == (theirs.stopped_at, theirs.steps, theirs.best_step)
        assert [point.step for point in ours.curve] == [point.step for point in theirs.curve]
        scores = [{name: value or 0.0 for name, value in record.scores.val.items()} for record in (ours, theirs)]
        assert scores[0] == pytest.approx(scores[1], rel=1e-4)
    torch.testing.assert_close(weights(together)[1], weights(alone)[0], rtol=1e-4, atol=1e-5)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[Record], list[dict]]:
    of = job(tmp_path_factory.mktemp("undisturbed"), **STOPPING, **PLATEAU)
    return train(of), weights(of)


@pytest.mark.parametrize("kill_at", [17, pytest.param(60, marks=pytest.mark.slow), "end"])
def test_an_interrupted_run_goes_on_to_the_same_bits(
    kill_at: int | str, undisturbed: tuple[list[Record], list[dict]], tmp_path: Path, monkeypatch
) -> None:
    killed, expected = job(tmp_path, **STOPPING, **PLATEAU), undisturbed
    last = max(record.steps for record in expected[0])
    hook = "on_validation_end" if kill_at == "end" else "on_train_batch_end"
    original = getattr(ResumeCheckpoint, hook)

    def kill(self, trainer, *arguments) -> None:
        original(self, trainer, *arguments)
        if trainer.global_step == (last if kill_at == "end" else kill_at):
            raise SystemExit

    with monkeypatch.context() as patch:
        patch.setattr(ResumeCheckpoint, hook, kill)
        with pytest.raises(SystemExit):
            train(killed, checkpoint_seconds=0.0)
    assert killed.checkpoint.exists()
    assert_equal((train(killed), weights(killed)), expected)


def test_rates_fall_for_each_instance_by_itself() -> None:
    data = adding(fresh=False)
    rates = [0.003, 0.1, 0.3, 0.5]
    model = LitSequenceModel(ELMAN, data.task, range(4), "sgd", rates, momentum=0.0, **PLATEAU)
    fit(model, data, steps=100, validate_every=5)
    expected = []
    for index, rate in enumerate(rates):
        best, since = float("inf"), 0
        for point in model.curve:
            value = point["val"]["mse"][index]
            if value < best:
                best, since = value, point["step"]
            elif point["step"] - since >= 10:
                rate, since = rate / 2, point["step"]
        expected.append(rate)
    assert model.learning_rates.tolist() == pytest.approx(expected)
    assert len({rate / first for rate, first in zip(expected, rates, strict=True)}) > 1
