"""The table of a suite's keys holds what the models check, so that it cannot drift from them."""

from collections.abc import Iterator

import pytest

from rnnbench.benchmark.config.suite_file import Settings
from rnnbench.benchmark.config.suite_keys import MODELS, keys_of, keys_page
from rnnbench.benchmark.config.validation import Model


def derived(model: type[Model]) -> Iterator[type[Model]]:
    for one in model.__subclasses__():
        yield one
        yield from derived(one)


def test_every_model_of_a_suite_has_a_table() -> None:
    of_suites = {one for one in derived(Model) if one.__module__.startswith("rnnbench.benchmark.config.")}
    assert of_suites - {Settings} == set(MODELS.values())


@pytest.mark.parametrize("place", MODELS)
def test_every_key_has_a_type_a_default_and_a_meaning(place: str) -> None:
    keys = list(keys_of(MODELS[place]))
    assert [key.name for key in keys] == list(MODELS[place].model_fields)
    assert all(all(key) for key in keys)
    assert f"## {place}\n" in keys_page()


def test_types_limits_and_defaults_are_those_that_are_checked() -> None:
    found = {key.name: key[1:3] for place in ("In `training`", "At the top") for key in keys_of(MODELS[place])}
    assert found["schedule"] == ("`constant` or `cosine` or `plateau`", '`"constant"`')
    assert found["betas"] == ("list: number, ≥ 0, < 1", "`[0.9, 0.999]`")
    assert found["patience"] == ("whole number, ≥ 1 or null", "none")
    assert (found["tasks"], found["overrides"]) == (("mapping", "required"), ("list: mapping", "empty"))
