"""The stability measure, and the setting of a recipe that keeps an experiment stable."""

import functools
import math
from pathlib import Path

import pytest

from rnnbench.benchmark.config.construct import check_experiment
from rnnbench.benchmark.config.experiment import Experiment
from rnnbench.benchmark.config.recipe import Recipe
from rnnbench.benchmark.config.validation import validated
from rnnbench.benchmark.errors import UserError
from rnnbench.benchmark.measures.stability import Stability
from rnnbench.lit_models.contraction import contraction
from rnnbench.lit_models.recurrences.elman import ElmanRNN
from rnnbench.lit_models.recurrences.gated import GRU, LSTM
from tests.benchmark.small_jobs import adding_experiment, job_of, train
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
    settings |= {"learning_rate": 0.1, "batch_size": 32, "max_steps": 6, "validate_every": 3}
    recipe, measures = Recipe(stability_input_bound=bound, **settings), [{"stability": {"at": ["start", "end"]}}]
    return adding_experiment(recipe, class_path, measures=measures, train_size=96, fresh=False)


@pytest.mark.parametrize(("bound", "contractive"), [(None, 0), (1.0, 1)])
def test_a_run_is_kept_stable_if_its_recipe_says_so(tmp_path: Path, bound: float | None, contractive: int) -> None:
    experiment = experiment_of("LSTM", bound)
    check_experiment(experiment)
    for record in train(job_of(experiment, tmp_path)):
        taken = record.measures["stability"]
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
    (record,) = train(job_of(experiment, tmp_path, instances=(0,)))
    summary = record.measures["stability"]["end"].summary
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
