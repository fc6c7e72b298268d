"""The stability measure, and the setting of a recipe that keeps an experiment stable."""

from __future__ import annotations

import functools
import math
from pathlib import Path

import pytest

from rnnbench.benchmark.config.construct import check_experiment
from rnnbench.benchmark.config.experiment import Experiment
from rnnbench.benchmark.config.options import TrainOptions
from rnnbench.benchmark.config.recipe import Recipe
from rnnbench.benchmark.config.validation import validated
from rnnbench.benchmark.errors import UserError
from rnnbench.benchmark.measures.specs import resolve_measures
from rnnbench.benchmark.measures.stability import Stability
from rnnbench.benchmark.run.job import Job, Member
from rnnbench.benchmark.run.train import train
from rnnbench.leaderboard.record import read_record
from rnnbench.lit_models.contraction import contraction
from rnnbench.lit_models.recurrences.elman import ElmanRNN
from rnnbench.lit_models.recurrences.gated import GRU, LSTM
from tests.lit_models.small_runs import subject_of


@pytest.mark.parametrize("recurrence", [ElmanRNN, LSTM])
def test_summary_holds_the_constants(recurrence) -> None:
    subject = subject_of(functools.partial(recurrence, hidden_size=6))
    measured = Stability(input_bound=2.0).take(subject)
    expected = contraction(subject.network.recurrence, 2.0)
    assert measured.summary == {
        "contraction": expected.constant,
        "norm": "2" if recurrence is ElmanRNN else "inf",
        "forget_bound": expected.forget_bound,
        "input_lipschitz": expected.input_lipschitz,
        "contractive": int(expected.constant < 1),
    }
    assert not measured.arrays


def test_a_recurrence_without_a_known_constant_is_refused() -> None:
    with pytest.raises(ValueError, match=r"recurrence must be an ElmanRNN or an LSTM, .* got GRU"):
        Stability().take(subject_of(functools.partial(GRU, hidden_size=6)))


def experiment_of(class_path: str, bound: float | None, **settings: float) -> Experiment:
    sizes = {"length": 6, "train_size": 96, "val_size": 20, "test_size": 20, "fresh": False}
    settings |= {"learning_rate": 0.1, "batch_size": 32, "max_steps": 6, "validate_every": 3}
    recipe = Recipe(stability_input_bound=bound, **settings)
    config = {
        "task": {"class_path": "Adding", "init_args": sizes},
        "recurrence": {"class_path": class_path, "init_args": {"hidden_size": 4}},
        "training": recipe.model_dump(),
        "seed": 1,
    }
    measures = resolve_measures([{"stability": {"at": ["start", "end"]}}])
    return Experiment("s", "smoke", "ADD6", class_path, config, {}, None, measures)


@pytest.mark.parametrize(("bound", "contractive"), [(None, 0), (1.0, 1)])
def test_a_run_is_kept_stable_if_its_recipe_says_so(tmp_path: Path, bound: float | None, contractive: int) -> None:
    experiment = experiment_of("LSTM", bound)
    check_experiment(experiment)
    job = Job(experiment, tuple(Member(experiment.points()[0].id, instance) for instance in range(2)), tmp_path)
    train(job, TrainOptions(accelerator="cpu"))
    for member in job.members:
        taken = read_record(job.record_path(member)).measures["stability"]
        assert [taken[moment].summary["contractive"] for moment in ("start", "end")] == [contractive] * 2
        assert (taken["end"].summary["forget_bound"] <= 0.64) == bool(contractive)


def test_a_recurrence_that_cannot_be_kept_stable_is_refused_before_training() -> None:
    message = r"training.stability_input_bound is 1.0, but recurrence must be ElmanRNN or LSTM, .* got GRU"
    with pytest.raises(UserError, match=message):
        check_experiment(experiment_of("GRU", 1.0))
    check_experiment(experiment_of("GRU", None))


def test_contraction_and_forget_gate_are_settings_of_a_recipe(tmp_path: Path) -> None:
    experiment = experiment_of("LSTM", 1.0, stability_contraction=0.5, stability_forget_bound=0.2)
    check_experiment(experiment)
    job = Job(experiment, (Member(experiment.points()[0].id, 0),), tmp_path)
    train(job, TrainOptions(accelerator="cpu"))
    summary = read_record(job.record_path(job.members[0])).measures["stability"]["end"].summary
    assert summary["contraction"] <= 0.5
    assert summary["forget_bound"] <= 0.2
    with pytest.raises(UserError, match=r"stability_forget_bound must be at most 0.99 of stability_contraction, 0.5"):
        check_experiment(experiment_of("LSTM", 1.0, stability_contraction=0.5, stability_forget_bound=0.6))
    with pytest.raises(ValueError, match="stability_contraction has no effect without stability_input_bound"):
        experiment_of("LSTM", None, stability_contraction=0.5)


@pytest.mark.parametrize("bound", [0.0, -1.0, math.inf, math.nan])
def test_impossible_settings_of_a_recipe_are_refused(bound: float) -> None:
    message = f"training.stability_input_bound must be (above 0|a finite number), got {bound}"
    with pytest.raises(UserError, match=message):
        validated(Recipe, {"max_steps": 1, "stability_input_bound": bound}, name="training")
