"""Ids and grids of experiments."""

import copy

import pytest

from rnnbench.benchmark.config.experiment import Experiment
from rnnbench.benchmark.config.suite import load_suite
from rnnbench.leaderboard.settings import config_id, get_setting


@pytest.fixture
def config() -> dict:
    return copy.deepcopy(load_suite("quick", "cpu").experiments[0].config)


def test_id_is_twelve_hexadecimal_digits_and_does_not_depend_on_the_order_of_keys(config: dict) -> None:
    backwards = {key: dict(reversed(v.items())) if isinstance(v, dict) else v for key, v in reversed(config.items())}
    assert list(backwards) != list(config)
    assert config_id(backwards) == config_id(config)
    assert len(config_id(config)) == 12
    assert int(config_id(config), 16) >= 0


@pytest.mark.parametrize(
    ("key", "value"),
    [("learning_rate", 0.123), ("batch_size", 7), ("validate_every", 7), ("gradient_clip_norm", None)],
)
def test_every_training_setting_enters_the_id(config: dict, key: str, value: object) -> None:
    before = config_id(config)
    config["training"][key] = value
    assert config_id(config) != before


def test_seed_and_arguments_enter_the_id_but_evaluation_batches_do_not(config: dict) -> None:
    before = config_id(config)
    config["task"]["init_args"]["eval_batch_size"] = 17
    assert config_id(config) == before
    config["seed"] = 1
    with_seed = config_id(config)
    config["task"]["init_args"]["length"] = 31
    assert len({before, with_seed, config_id(config)}) == 3


def test_points_are_the_grid_and_share_a_family(config: dict) -> None:
    grid = {"training.learning_rate": (0.1, 0.01), "training.momentum": (0.0, 0.5, 0.9)}
    experiment = Experiment("suite", "cpu", "task", "network", config, grid)
    points = experiment.points()
    assert [tuple(point.values.values()) for point in points] == [
        (rate, momentum) for rate in (0.1, 0.01) for momentum in (0.0, 0.5, 0.9)
    ]
    assert len({point.id for point in points}) == 6
    assert all(get_setting(point.config, path) == value for point in points for path, value in point.values.items())
    assert [point.recipe.momentum for point in points] == [0.0, 0.5, 0.9] * 2
    families = {Experiment("suite", "cpu", "task", "network", point.config, grid).family_id for point in points}
    assert families == {experiment.family_id}
    assert experiment.family_id not in {point.id for point in points}


def test_without_a_grid_there_is_one_point_whose_id_is_the_family_and_which_is_a_copy(config: dict) -> None:
    experiment = Experiment("suite", "cpu", "task", "network", config, {})
    (point,) = experiment.points()
    assert point.id == experiment.family_id == config_id(config)
    assert point.values == {}
    point.config["training"]["learning_rate"] = 5.0
    assert experiment.family_id == point.id
