"""Settings that came after records had been published: ids and configurations of before stay what they were."""

import copy
import hashlib
import inspect
import json
from pathlib import Path

import pytest

from rnnbench.benchmark.config.experiment import Experiment, set_setting
from rnnbench.benchmark.config.options import BUDGETS
from rnnbench.benchmark.config.recipe import Recipe
from rnnbench.benchmark.config.suite import load_suite, suite_files
from rnnbench.leaderboard.settings import LATER_SETTINGS, config_id, get_setting
from rnnbench.lit_models.recurrences.stacked import StackedRNN

SHIPPED = {
    **{"adding": "63c68ede7a3a", "copy": "8c233114397c", "coupling": "e5323782c02a", "digits": "f820dd1f3c02"},
    **{"dynamics": "9a440345173a", "language": "9fcc96ef385b", "music": "53b5efb9bc86", "polynomial": "011e2aa01738"},
    **{"psmnist": "4386a5ba2e97", "quick": "ec53d694f385", "scifar10": "e773745d047c", "slots": "f61c06b18933"},
    **{"depth-copy": "bb4a4a67bd1e", "depth-degree": "0a24afa26fe5", "depth-limit": "281a019e50ce"},
    **{"depth-tracking": "7e9023d3bb1a", "heterogeneity": "0aea157da560", "residual-strength": "0aa65abeb95a"},
    **{"rotation": "cbd0955e05a9", "stable-system": "983a650cbadd", "transitions": "f9b4f52733f3"},
    **{"curvature": "9c46841006cf", "exponents": "39e8aeba4457", "learning-rates": "119e8ad4692d"},
    **{"depth-targets": "571cd2ee5b82", "residual-types": "30298ff81203", "depth-shakespeare": "b94bd58202eb"},
    **{"smnist": "adc02133980e", "table1": "c6e9db4c6299", "table2": "a3515802fccb"},
    **{"truncated-training": "c2a2c37defb2", "truncation": "6cc8935a1243"},
    **{"regular": "edb3a9a2280e", "groups": "448840b77d15", "recall": "5d23a67c8015", "parallel": "3dfdf737d925"},
}
RECORDS = Path(__file__).parents[2] / "leaderboard" / "records"


@pytest.fixture
def config() -> dict:
    return copy.deepcopy(load_suite("quick", "cpu").experiments[0].config)


def test_the_id_of_every_published_record_follows_from_its_configuration() -> None:
    paths = sorted(RECORDS.rglob("*.json"))
    assert len(paths) > 100
    for path in paths:
        record = json.loads(path.read_text())
        assert config_id(record["config"]) == record["experiment_id"], path


def test_shipped_suites_resolve_to_the_ids_of_before() -> None:
    """A suite that is edited on purpose gives its new hash; published records of it must stay (test_versions)."""
    found = {}
    for name in suite_files():
        resolved = [
            [budget, suite.instances, e.name, [p.id for p in e.points()], e.published and e.published.model_dump()]
            + [spec["settings"] for spec in e.measures]
            for budget in BUDGETS
            for suite in [load_suite(name, budget)]
            for e in suite.experiments
        ]
        found[name] = hashlib.sha256(json.dumps(resolved, sort_keys=True).encode()).hexdigest()[:12]
    assert found == SHIPPED


def test_configurations_of_before_the_bound_on_the_input_are_read_and_have_the_same_id_today() -> None:
    published = [json.loads(path.read_text())["config"] for path in sorted(RECORDS.rglob("*.json"))]
    unbound = [each for each in published if each["training"].get("stability_input_bound") is None]
    assert len(unbound) > 100
    for today in unbound:
        older = copy.deepcopy(today)
        older["training"].pop("stability_input_bound", None)
        assert Recipe(**older["training"]).stability_input_bound is None
        assert config_id(older) == config_id(today)


def test_later_settings_are_known_by_their_defaults(config: dict) -> None:
    config["recurrence"] = {"init_args": {each.name: each.default for each in arguments_of_a_stack()}}
    defaults = {f"training.{name}": setting.default for name, setting in Recipe.model_fields.items()}
    defaults |= {f"recurrence.init_args.{each.name}": each.default for each in arguments_of_a_stack()}
    for path, default in LATER_SETTINGS.items():
        assert default == defaults[path]
        assert get_setting(config, path) == default


def arguments_of_a_stack() -> list[inspect.Parameter]:
    return list(inspect.signature(StackedRNN).parameters.values())


@pytest.mark.parametrize("changed", [{"depth_form": "every"}, {"depth_residual": True}])
def test_the_form_of_a_stack_enters_the_id_where_it_is_not_the_first_one(changed: dict) -> None:
    before = load_suite("quick", "cpu").experiments
    (config,) = [e.config for e in before if e.name == "Digits/StackedRNN"]
    today, other = copy.deepcopy(config), copy.deepcopy(config)
    for name in ("depth_form", "depth_residual"):
        del config["recurrence"]["init_args"][name]
    other["recurrence"]["init_args"] |= changed
    assert config_id(config) == config_id(today) != config_id(other)


def test_a_later_setting_enters_the_id_where_it_is_not_at_its_default(config: dict) -> None:
    before = config_id(config)
    ids = set()
    for bound in (1.0, 2.0):
        set_setting(config, "training.stability_input_bound", bound)
        ids.add(config_id(config))
    assert len(ids | {before}) == 3
    stable = Experiment("s", "cpu", "t", "n", config, {"training.learning_rate": (0.1, 0.2)})
    free = copy.deepcopy(config)
    set_setting(free, "training.stability_input_bound", None)
    assert Experiment("s", "cpu", "t", "n", free, stable.grid).family_id != stable.family_id
