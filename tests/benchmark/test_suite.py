"""Suite files: layers, defaults, presets, sweeps, and that every shipped one can be built."""

import csv
import itertools
import json
from pathlib import Path

import pytest
import torch

from rnnbench.benchmark.config.construct import build_data_module, check_experiment, recurrence_factory
from rnnbench.benchmark.config.experiment import Experiment
from rnnbench.benchmark.config.options import BUDGETS
from rnnbench.benchmark.config.suite import Suite, load_suite, suite_files
from rnnbench.benchmark.errors import UserError
from rnnbench.leaderboard.literature import find_published
from rnnbench.lit_models.network import Network
from rnnbench.lit_models.parameter_budget import count_parameters
from rnnbench.lit_models.recurrences import registered_recurrences

SUITE = """
title: A suite
published: {source: "somebody2024:Table1", tasks: {ADD: ADD100}}
instances: 4
seed: 3
tasks:
  ADD: {class_path: Adding, init_args: {length: 10}}
  COPY: {class_path: DelayedCopy, init_args: {delay: 2}}
networks:
  LSTM: {class_path: LSTM, init_args: {hidden_size: 3}}
  Clipped: Elman_res+clip
  Small: {preset: WCRNN_best, init_args: {hidden_size: 4}}
  Deep:
    class_path: StackedRNN
    init_args: {layer: {class_path: ElmanRNN, init_args: {hidden_size: 3}}, num_layers: 2}
training: {learning_rate: 1e-3, gradient_clip_norm: 7.0, max_epochs: 9}
overrides:
  - {networks: [LSTM], training: {learning_rate: 0.5, momentum: 0.1}}
  - {tasks: [ADD], networks: [Deep], recurrence: {layer: {init_args: {hidden_size: 5}}}, task: {length: 12}}
budgets:
  smoke:
    instances: 1
    tasks: [ADD]
    networks: [Clipped, LSTM]
    training: {max_steps: 2, momentum: 0.2}
    overrides: [{networks: [LSTM], training: {momentum: 0.3}}]
  cpu: {sweep: {training.learning_rate: [1e-2, 1.e-3]}}
  paper: {}
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    (tmp_path / "mine.yaml").write_text(SUITE, encoding="utf-8")
    return tmp_path / "mine.yaml"


def cells(suite: Suite) -> dict:
    return {experiment.name: experiment for experiment in suite.experiments}


@pytest.fixture
def paper(path: Path) -> dict[str, Experiment]:
    return cells(load_suite(path, "paper"))


def test_layers_are_laid_over_each_other_in_the_documented_order(path: Path, paper: dict) -> None:
    training = paper["ADD/LSTM"].config["training"]
    assert training["learning_rate"] == 0.5
    assert training["momentum"] == 0.1
    assert training["gradient_clip_norm"] == 7.0
    # A preset's own training is stronger than the suite's.
    assert paper["ADD/Clipped"].config["training"]["gradient_clip_norm"] == 1.0
    smoke = cells(load_suite(path, "smoke"))
    assert smoke["ADD/LSTM"].config["training"]["momentum"] == 0.3
    assert smoke["ADD/Clipped"].config["training"]["momentum"] == 0.2
    assert smoke["ADD/LSTM"].config["training"]["learning_rate"] == 0.5
    # A number of steps replaces one of epochs.
    assert training["max_epochs"] == 9
    assert [smoke["ADD/LSTM"].config["training"][name] for name in ("max_epochs", "max_steps")] == [None, 2]


def test_budget_chooses_instances_tasks_and_networks_in_the_order_of_the_file(path: Path) -> None:
    smoke = load_suite(path, "smoke")
    assert smoke.instances == 1
    assert [experiment.name for experiment in smoke.experiments] == ["ADD/LSTM", "ADD/Clipped"]
    paper = load_suite(path, "paper")
    assert paper.instances == 4
    assert len(paper.experiments) == 8
    with pytest.raises(UserError, match="did you mean paper"):
        load_suite(path, "papr")


def test_configuration_is_plain_json_with_all_defaults_and_without_what_is_given_elsewhere(paper: dict) -> None:
    config = paper["COPY/Deep"].config
    assert json.loads(json.dumps(config)) == config
    assert config["seed"] == 3
    assert config["task"]["init_args"]["width"] == 5
    assert not {"batch_size", "seed"} & set(config["task"]["init_args"])
    layer = config["recurrence"]["init_args"]["layer"]
    assert layer["class_path"] == "ElmanRNN"
    assert layer["init_args"] == {"hidden_size": 3, "time_activation": "tanh", "initialisation": "pytorch"}
    assert config["recurrence"]["init_args"]["depth_activation"] == "identity"


def test_overrides_reach_the_task_and_recurrences_inside_recurrences(paper: dict) -> None:
    assert paper["ADD/Deep"].config["recurrence"]["init_args"]["layer"]["init_args"]["hidden_size"] == 5
    assert paper["ADD/Deep"].config["task"]["init_args"]["length"] == 12
    assert paper["ADD/LSTM"].config["task"]["init_args"]["length"] == 10
    assert paper["COPY/Deep"].config["recurrence"]["init_args"]["layer"]["init_args"]["hidden_size"] == 3


def test_numbers_such_as_1e_3_are_numbers(path: Path, paper: dict) -> None:
    assert paper["ADD/Small"].config["training"]["learning_rate"] == 0.001
    assert cells(load_suite(path, "cpu"))["ADD/LSTM"].grid == {"training.learning_rate": (0.01, 0.001)}


def test_published_names_default_to_the_short_names(paper: dict) -> None:
    published = paper["ADD/LSTM"].published
    assert (published.source, published.task, published.model) == ("somebody2024:Table1", "ADD100", "LSTM")
    assert paper["COPY/Deep"].published.task == "COPY"


def test_match_finds_the_largest_size_with_so_many_parameters_on_each_task(path: Path) -> None:
    matched = """networks:
  Matched: {preset: LSTM_47, match: {parameters: 1000}}
  Rotated: {class_path: WCRNN, init_args: {residual: rotation}, match: {parameters: 1000}}
  Inner:
    class_path: StackedRNN
    init_args: {layer: {class_path: LSTM, init_args: {}}, num_layers: 2}
    match: {parameters: 1000}
"""
    override = "  smoke:\n    overrides: [{networks: [Matched], recurrence: {hidden_size: 5}}]\n    instances"
    text = SUITE.replace("networks:\n", matched, 1).replace("  smoke:\n    instances", override)
    path.write_text(text.replace("    overrides: [{networks: [LSTM], training: {momentum: 0.3}}]\n", ""))
    found = cells(load_suite(path, "cpu"))
    for name, step in (("Matched", 1), ("Rotated", 2), ("Inner", 1)):
        for task in ("ADD", "COPY"):
            config = found[f"{task}/{name}"].config
            inner = config["recurrence"]["init_args"].get("layer", config["recurrence"])["init_args"]
            counts = []
            for size in (inner["hidden_size"], inner["hidden_size"] + step):
                inner["hidden_size"] = size
                of_task = build_data_module(config).task
                recurrence = recurrence_factory(config["recurrence"])(of_task.input_size)
                counts.append(count_parameters(Network.of(recurrence, of_task)))
            assert counts[0] <= 1000 < counts[1]
    sizes = [found[f"{task}/Matched"].config["recurrence"]["init_args"]["hidden_size"] for task in ("ADD", "COPY")]
    assert sizes[0] != sizes[1]
    text = text.replace("networks: [Clipped, LSTM]", "networks: [Matched]")
    path.write_text(text.replace("    overrides: [{networks: [LSTM], training: {momentum: 0.3}}]\n", ""))
    assert cells(load_suite(path, "smoke"))["ADD/Matched"].config["recurrence"]["init_args"]["hidden_size"] == 5


def test_a_range_can_be_swept(path: Path) -> None:
    text = SUITE.replace(
        "  paper: {}", "  paper: {networks: [Small], sweep: {recurrence.init_args.r: [0.9, [0.95, 1.0]]}}"
    )
    path.write_text(text, encoding="utf-8")
    experiment = cells(load_suite(path, "paper"))["ADD/Small"]
    assert [point.config["recurrence"]["init_args"]["r"] for point in experiment.points()] == [0.9, [0.95, 1.0]]


def test_data_modules_and_recurrences_of_recurrences_are_built(path: Path, paper: dict) -> None:
    module = build_data_module(paper["ADD/LSTM"].config, data_dir=path.parent)
    assert (module.batch_size, module.seed, module.task.steps) == (128, 3, 10)
    deep = recurrence_factory(paper["ADD/Deep"].config["recurrence"])(2)
    assert [layer.input_size for layer in deep.layers] == [2, 5]


def test_check_leaves_the_random_generator_alone(paper: dict) -> None:
    before = torch.random.get_rng_state()
    check_experiment(paper["ADD/Small"])
    assert torch.equal(torch.random.get_rng_state(), before)


CELLS = '''
import torch
from torch import nn
from rnnbench.lit_models.recurrences.gated import GRU

class MyCell(GRU):
    """Mine."""

    def __init__(self, input_size: int, leak: float = 0.5, **others: int) -> None:
        super().__init__(input_size, **others)
        self.leak = leak

class Chosen(GRU):
    def __init__(self, input_size, hidden_size, act=torch.tanh, module=nn.Tanh, names={1}, size=float("inf")):
        super().__init__(input_size, hidden_size)
        self.chosen = (act, module, names, size)
'''


def test_users_classes_by_their_import_paths(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path.with_name("my_cells.py").write_text(CELLS, encoding="utf-8")
    monkeypatch.syspath_prepend(path.parent)
    found = {}
    for name in ("MyCell", "Chosen"):
        path.write_text(SUITE.replace("class_path: LSTM", f"class_path: my_cells.{name}"), encoding="utf-8")
        experiment = cells(load_suite(path, "paper"))["ADD/LSTM"]
        assert check_experiment(experiment).task.steps == 10
        found[name] = experiment.config["recurrence"]
    assert found["MyCell"] == {"class_path": "my_cells.MyCell", "init_args": {"hidden_size": 3, "leak": 0.5}}
    assert recurrence_factory(found["MyCell"])(2).leak == 0.5
    # A default that is no literal is left to the class.
    assert found["Chosen"]["init_args"] == {"hidden_size": 3}
    assert recurrence_factory(found["Chosen"])(2).chosen == (torch.tanh, torch.nn.Tanh, {1}, float("inf"))


def test_full_path_of_a_registered_class_is_its_name(path: Path, paper: dict) -> None:
    dotted = SUITE.replace("class_path: LSTM", "class_path: rnnbench.lit_models.recurrences.LSTM")
    path.write_text(dotted, encoding="utf-8")
    assert cells(load_suite(path, "paper"))["ADD/LSTM"].family_id == paper["ADD/LSTM"].family_id


@pytest.mark.parametrize("name", suite_files())
def test_every_shipped_suite_can_be_built_under_every_budget(name: str) -> None:
    for budget in BUDGETS:
        suite = load_suite(name, budget)
        assert suite.experiments
        for experiment in suite.experiments:
            check_experiment(experiment)


def classes_in(spec: object) -> set[str]:
    if not isinstance(spec, dict):
        return set()
    own = {spec["class_path"]} if "class_path" in spec else set()
    return own.union(*map(classes_in, spec.values()))


def parameters_of(experiment: Experiment) -> int:
    task = build_data_module(experiment.config).task
    with torch.device("meta"):
        return count_parameters(Network.of(recurrence_factory(experiment.config["recurrence"])(task.input_size), task))


def test_digits_have_a_row_of_every_architecture_at_about_ten_thousand_parameters() -> None:
    experiments = load_suite("digits", "cpu").experiments
    found = set().union(*(classes_in(experiment.config["recurrence"]) for experiment in experiments))
    assert found == set(registered_recurrences())
    assert all(9_500 < parameters_of(experiment) < 10_600 for experiment in experiments)


PUBLISHED = Path(__file__).parents[2] / "leaderboard" / "published" / "results.csv"


@pytest.mark.parametrize(("name", "columns"), [("table1", 6), ("table2", 8)])
def test_tables_of_the_wcrnn_paper_have_its_rows_and_columns(name: str, columns: int) -> None:
    suite = load_suite(name, "paper")
    with PUBLISHED.open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["source"] == f"dubinin2024:{name.capitalize()}"]
    # A dash is a cell without a number.
    printed = {(row["model"], row["task"].split("(")[0]) for row in rows if row["value"] != "NA(dash)"}
    ours = {(e.published.model, e.published.task) for e in suite.experiments}
    assert printed <= ours
    assert len({task for _, task in ours}) == columns
    # Beyond the table: UR-LSTM on the lengths on which the others are.
    assert {(model, task[:3]) for model, task in ours - printed} <= {("UR-LSTM", "ADD")}


def table_2_parameters(budget: str, row: str) -> dict[str, int]:
    return {e.task: parameters_of(e) for e in load_suite("table2", budget).experiments if e.network == row}


@pytest.mark.parametrize("row", ["UR-LSTM", "S4"])
def test_rows_have_about_ten_thousand_parameters_under_cpu(row: str) -> None:
    assert all(9_500 < count < 10_500 for count in table_2_parameters("cpu", row).values())


def test_ur_lstm_and_s4_have_the_published_sizes_under_paper() -> None:
    paper = table_2_parameters("paper", "UR-LSTM")
    assert {paper["sMNIST"], paper["psMNIST"]} == {4_212_746}
    assert paper["ADD2000"] == 265_473
    assert paper["sCIFAR10-gray"] == pytest.approx(32e6, rel=0.01)
    s4 = table_2_parameters("paper", "S4")
    assert s4 == {"sMNIST": 299_978, "psMNIST": 299_978, "sCIFAR10-gray": 3_369_226}


def test_cells_that_are_left_out_are_no_experiments(path: Path) -> None:
    text = SUITE.replace(
        "training: {learning_rate", "leave_out: [{tasks: [COPY], networks: [LSTM, Deep]}]\ntraining: {learning_rate", 1
    )
    path.write_text(text, encoding="utf-8")
    whole = {f"{task}/{network}" for task in ("ADD", "COPY") for network in ("LSTM", "Clipped", "Small", "Deep")}
    assert set(cells(load_suite(path, "paper"))) == whole - {"COPY/LSTM", "COPY/Deep"}


def test_regular_languages_stand_beside_their_published_values() -> None:
    found = {(e.task, e.network) for e in load_suite("regular", "cpu").experiments if find_published(e.published)}
    rows = {"LSTM", "sLSTM", "DeltaNet", "DeltaNet(-1,1)", "GatedDeltaNet", "GatedDeltaProduct(-1,1)", "S4D"}
    tasks = ("ParityCheck", "EvenPairs", "CycleNavigation", "ModularArithmetic")
    assert found == set(itertools.product(tasks, rows | {"D-SLiCE", "BD-SLiCE", "mLSTM", "RWKV-7", "S6"}))
