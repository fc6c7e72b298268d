"""A suite that was edited between two runs: which records are of another version, and what has changed since."""

import copy
import dataclasses
from pathlib import Path

import pytest

from rnnbench.benchmark.config.experiment import Experiment, set_setting
from rnnbench.benchmark.config.pilot import PilotSettings
from rnnbench.benchmark.config.plans import plan_of
from rnnbench.benchmark.config.suite import load_suite
from rnnbench.benchmark.config.versions import changed_settings, other_versions
from rnnbench.leaderboard.schema import Record, plain
from rnnbench.leaderboard.store import find_records

#: Suites whose rows got one protocol, and whose records are of the suite as it was before.
TO_BE_TRAINED_AGAIN = {"digits", "language"}
RECORDS = Path(__file__).parents[2] / "leaderboard" / "records"


@pytest.fixture(scope="module")
def records() -> list[Record]:
    """The records of Adding's only learning rate, as if it had not been swept."""
    adding = [
        record
        for record in find_records(RECORDS, Path("adding"))[0]
        if record.config["training"]["learning_rate"] == 0.03
    ]
    return [record.model_copy(update={"grid": {}, "point": {}}) for record in adding]


@pytest.fixture
def experiments() -> list[Experiment]:
    cells = [e for e in load_suite("adding", "cpu").experiments if e.task == "ADD100"]
    return [dataclasses.replace(e, grid={}) for e in cells]


def test_published_records_are_of_the_shipped_suites_as_they_are() -> None:
    records = find_records(RECORDS)[0]
    of_others = {
        name
        for name, budget in {(record.suite, record.budget) for record in records}
        if other_versions(load_suite(name, budget).experiments, records)
    }
    assert of_others == TO_BE_TRAINED_AGAIN


def test_edited_setting_is_named_for_the_records_of_its_row_alone(records, experiments) -> None:
    lstm = next(e for e in experiments if e.network == "LSTM")
    set_setting(lstm.config, "training.learning_rate", 0.003)
    set_setting(lstm.config, "recurrence.init_args.hidden_size", 48)
    (found,) = other_versions(experiments, records)
    assert found.changes == ("recurrence.hidden_size 47 → 48", "learning_rate 0.03 → 0.003")
    assert [record.network for record in found.records] == ["LSTM"] * 3
    assert str(found).startswith("ADD100/LSTM: 3 of another version of the suite: recurrence.hidden_size 47 → 48; ")


def test_nearest_point_of_a_sweep_is_compared(records: list[Record], experiments: list[Experiment]) -> None:
    lstm = next(e for e in experiments if e.network == "LSTM")
    set_setting(lstm.config, "training.batch_size", 7)
    swept = dataclasses.replace(lstm, grid={"training.learning_rate": (0.1, 0.03)})
    records = [record.model_copy(update={"grid": plain(swept.grid)}) for record in records if record.network == "LSTM"]
    (found,) = other_versions([swept], records)
    assert found.changes == ("batch_size 128 → 7",)


def test_records_of_a_grid_trained_in_full_are_of_another_version_of_one_with_pilots(records, experiments) -> None:
    rates = {"training.learning_rate": (0.1, 0.03)}
    (lstm,) = [e for e in experiments if e.network == "LSTM"]
    swept = dataclasses.replace(lstm, grid=rates)
    in_full = [r.model_copy(update={"grid": plain(rates)}) for r in records if r.network == "LSTM"]
    assert other_versions([swept], in_full) == []
    (found,) = other_versions([dataclasses.replace(swept, pilot=PilotSettings(share=0.2, instances=1))], in_full)
    assert found.changes == ("no pilots → pilots of 20% with 1 each",)
    (found,) = other_versions([dataclasses.replace(lstm, grid={"training.learning_rate": (0.03,)})], in_full)
    assert found.changes == ("grid of learning_rate [0.1, 0.03] → grid of learning_rate [0.03]",)


def test_removed_row_is_said_to_be_gone(records: list[Record], experiments: list[Experiment]) -> None:
    (found,) = other_versions([e for e in experiments if e.network != "LSTM"], records)
    assert str(found) == "ADD100/LSTM: 3 of another version of the suite: the suite no longer has this row and task"


def test_changes_are_those_of_what_can_change_a_result(experiments: list[Experiment]) -> None:
    old = experiments[0].config
    new = copy.deepcopy(old)
    del old["training"]["stability_input_bound"]  # as before there was such a setting
    set_setting(new, "task.init_args.eval_batch_size", 17)
    assert changed_settings(old, new) == []
    new["recurrence"] = {"class_path": "LSTM", "init_args": {"hidden_size": 3}}
    new["seed"] = 1
    new["training"]["max_steps"] = None
    assert changed_settings(old, new) == ["recurrence WCRNN → LSTM", "max_steps 2000 → none", "seed 0 → 1"]


def test_plans_hold_the_ids_of_all_points_and_the_reasons_of_overrides(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text(
        "tasks: {D: {class_path: SequentialDigits}}\n"
        "networks: {A: &gru {class_path: GRU, init_args: {hidden_size: 4}}, B: *gru}\n"
        "training: {max_epochs: 2}\nsweep: {training.learning_rate: [0.1, 0.01]}\n"
        "overrides: [{networks: [B], training: {max_epochs: 4}, reason: B learns slowly.}]\n"
    )
    suite = load_suite(path)
    plan = plan_of(suite)
    assert {cell: (len(one.ids), one.reason) for cell, one in plan.cells.items()} == {
        ("D", "A"): (2, ""),
        ("D", "B"): (2, "B learns slowly."),
    }
    path.write_text(path.read_text().replace("B learns slowly.", "another"))
    assert {one.ids for one in plan_of(load_suite(path)).cells.values()} == {one.ids for one in plan.cells.values()}
