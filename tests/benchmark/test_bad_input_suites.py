"""Bad suite files, given to the command line as a user would: one clear line, exit code 2, no traceback."""

import subprocess
from pathlib import Path

import pytest

from rnnbench.benchmark.command.cli import main
from tests.benchmark.small_jobs import rnnbench

GOOD = """title: Mine
tasks:
  ADD: {class_path: Adding, init_args: {length: 10, train_size: 500}}
networks:
  LSTM: {class_path: LSTM, init_args: {hidden_size: 3}}
  WC: {class_path: WCRNN, init_args: {hidden_size: 4, gamma: 0.01}}
training: {learning_rate: 1e-3, batch_size: 16, max_steps: 4}
budgets:
  cpu: {instances: 2}
"""
# name: what is replaced -> by what -> fragments of the message
_TABLE = r"""
suite_key: training: -> trainin: -> line 7 | unknown key of a suite 'trainin' | did you mean training?
budget_key: {instances: 2} -> {instanes: 2} -> line 9 | 'instanes' | did you mean instances?
budget_name:   cpu: ->   cpuu: -> line 9 | unknown budget 'cpuu' | did you mean cpu?
clip_none: max_steps: 4 -> max_steps: 4, gradient_clip_norm: None -> ADD/LSTM | gradient_clip_norm must be a number,
    got 'None': YAML writes None as null
training_key: max_steps: 4 -> max_step: 4 -> line 7 | 'max_step' | did you mean max_steps?
task_class: Adding -> Ading -> line 3 | unknown task 'Ading' | did you mean Adding?
recurrence_class: class_path: LSTM -> class_path: LTSM -> line 5 | 'LTSM' | did you mean LSTM?
argument: {hidden_size: 3} -> {hiden_size: 3} -> line 5 | no argument 'hiden_size' | did you mean hidden_size?
missing_argument: {hidden_size: 3} -> {} -> line 5 | LSTM needs the argument 'hidden_size'
preset: {class_path: LSTM, init_args: {hidden_size: 3}} -> WCRNN_bst -> line 5 | did you mean WCRNN_best?
override_name: budgets: -> overrides: [{networks: [LSMT], training: {max_steps: 1}}]\nbudgets: -> line 8 | unknown
    name 'LSMT' | did you mean LSTM?
override_argument: budgets: -> overrides: [{recurrence: {gama: 0.1}, networks: [WC]}]\nbudgets: -> line 8 | WCRNN has
    no argument 'gama' | did you mean gamma?
user_class: class_path: LSTM -> class_path: nowhere.LSTM -> line 5 | nowhere.LSTM | cannot be imported
no_recurrence: class_path: LSTM -> class_path: collections.OrderedDict -> line 5 | is not a Recurrence subclass
malformed: max_steps: 4} -> max_steps: 4 -> line 8, column 8 | not valid YAML | begun in line 7
tab:   cpu:  -> \tcpu:  -> line 9, column 1 | not valid YAML
twice:   WC: ->   LSTM: -> line 6 | 'LSTM' is already given in line 5
capitals:   WC: ->   lstm: -> line 6 | 'lstm' must differ from 'LSTM' in more than capitals
newline:   WC: ->   "W\\n": -> line 6 | the name 'W\\n' must be of printable characters
slash:   WC: ->   W/C: -> line 6 | 'W/C'
list_for_mapping: training: {learning_rate: 1e-3, batch_size: 16, max_steps: 4} -> training: [1] -> line 7 | mapping
leave_out_mapping: budgets: -> leave_out: {tasks: [ADD]}\nbudgets: -> line 8 | leave_out must be a list
leave_out_text: budgets: -> leave_out: [ADD]\nbudgets: -> line 8 | leave_out.0 must be a mapping
leave_out_name: budgets: -> leave_out: [{tasks: [AD]}]\nbudgets: -> line 8 | 'AD' | did you mean ADD?
instances_zero: {instances: 2} -> {instances: 0} -> line 9 | budgets.cpu.instances must be at least 1, got 0
batch_in_task: {length: 10, -> {batch_size: 10, -> line 3 | batch_size | training.batch_size
length_zero: length: 10 -> length: 0 -> line 3 | ADD/LSTM | length must be at least 2, got 0
length_text: length: 10 -> length: ten -> line 3 | ADD/LSTM | length must be a whole number, got 'ten'
gamma_negative: gamma: 0.01 -> gamma: -0.01 -> line 6 | ADD/WC | gamma must be at least 0, got -0.01
choice: gamma: 0.01 -> form: C -> line 6 | ADD/WC | form must be 'linear', 'A' or 'B', got 'C'
hidden_zero: hidden_size: 3 -> hidden_size: 0 -> line 5 | ADD/LSTM | hidden_size must be at least 1, got 0
rank_zero: class_path: LSTM, init_args: {hidden_size: 3 -> class_path: SecondOrderRNN, init_args: {hidden_size: 3,
    rank: 0 -> line 5 | ADD/LSTM | rank must be at least 1, got 0
k_beyond_length: {class_path: LSTM, init_args: {hidden_size: 3}} -> {class_path: FeedForwardTruncation, init_args: {k:
    11, recurrence: {preset: LSTM_47}}} -> line 5 | ADD/LSTM | k of FeedForwardTruncation must be at most 10 | got 11
batch_beyond_data: batch_size: 16 -> batch_size: 501 -> ADD/LSTM | training.batch_size must be at most the train_size,
    500, got 501
rate_negative: learning_rate: 1e-3 -> learning_rate: -1e-3 -> line 7 | ADD/LSTM: training.learning_rate must be above
    0, got -0.001
rate_text: learning_rate: 1e-3 -> learning_rate: fast -> line 7 | training.learning_rate must be a number, got 'fast'
rate_infinite: learning_rate: 1e-3 -> learning_rate: .inf -> line 7 | '.inf' must be a finite decimal number
optimizer: learning_rate: 1e-3 -> optimizer: adamm -> line 7 | optimizer must be 'sgd', 'adam' or 'adamw', got 'adamm'
no_end: , max_steps: 4 ->  -> no_end.yaml: ADD/LSTM: training needs exactly one of max_epochs and max_steps
sweep_size: budgets: -> sweep: {recurrence.init_args.hidden_size: [3, 4]}\nbudgets: -> line 8 | hidden_size is int |
    can be swept
match_too_small: {class_path: LSTM, init_args: {hidden_size: 3}} -> {preset: LSTM_47, match: {parameters: 9}} -> line 5
    | network LSTM (ADD/LSTM): match: parameters must be at least 22, those at hidden size 1, got 9
match_of_no_size: {class_path: LSTM, init_args: {hidden_size: 3}} -> {class_path: StackedRNN, init_args: {layer: 3,
    num_layers: 2}, match: {parameters: 99}} -> line 5 | match needs a recurrence with the argument hidden_size
match_and_size: init_args: {hidden_size: 3}} -> init_args: {hidden_size: 3}, match: {parameters: 99}} -> line 5 |
    network LSTM needs exactly one of hidden_size and match
match_key: {class_path: LSTM, init_args: {hidden_size: 3}} -> {preset: LSTM_47, match: {parameter: 9}} -> line 5 |
    unknown key of 'match' 'parameter': did you mean parameters?
plateau_without_patience: max_steps: 4 -> max_steps: 4, schedule: plateau -> ADD/LSTM: training.plateau_patience must be
    given for schedule 'plateau'
plateau_without_schedule: max_steps: 4 -> max_steps: 4, plateau_patience: 2 -> ADD/LSTM: training.plateau_patience has
    no effect without schedule 'plateau'
sweep_of_no_point: budgets: -> sweep: [{}]\nbudgets: -> line 8 | must be a mapping of settings to their values
sweep_point_value: budgets: -> sweep: [{training.optimizer: adamm}]\nbudgets: -> line 8 | optimizer must be 'sgd',
sweep_optimizers: budgets: -> sweep: {training.optimizer: [sgd, adamm]}\nbudgets: -> line 8 | optimizer must be 'sgd',
sweep_point_twice: budgets: -> sweep: [{training.momentum: 0.9}, {training.learning_rate: 1e-3}]\nbudgets: -> line 8 |
    lists the point {'training.momentum': 0.9, 'training.learning_rate': 0.001} twice
pilot_share: budgets: -> sweep: {training.momentum: [0.9, 0]}\npilot: {share: 0.1, instances: 1}\nbudgets: -> line 9 |
    pilot.share of max_steps 4 must give at least 1 step, got 0.1: write a larger share
pilot_key: budgets: -> sweep: {training.momentum: [0.9, 0]}\npilot: {share: 0.5, instance: 1}\nbudgets: -> line 9 |
    unknown key of 'pilot' 'instance': did you mean instances?
sweep_batch: budgets: -> sweep: {training.batch_size: [3, 4]}\nbudgets: -> line 8 | training.learning_rate
sweep_value: budgets: -> sweep: {training.learning_rate: [0.1, 0]}\nbudgets: -> line 8 | sweep of
    training.learning_rate | must be above 0, got 0
sweep_empty: budgets: -> sweep: {training.learning_rate: []}\nbudgets: -> line 8 | must be a list of at least 1
preset_like_a_class: {class_path: LSTM, init_args: {hidden_size: 3}} -> LTSM -> line 5 | unknown preset 'LTSM' | did
    you mean LSTM? | {class_path: NAME, init_args: {...}}
class_as_preset: {class_path: LSTM, init_args: {hidden_size: 3}} -> LSTM -> line 5 | 'LSTM' is a class, not a preset |
    {class_path: LSTM, init_args: {...}}
preset_list: {class_path: LSTM, init_args: {hidden_size: 3}} -> {preset: [a]} -> line 5 | unknown preset
hidden_set: hidden_size: 3 -> hidden_size: !!set {a} -> line 5 | YAML's tag !!set is not allowed
hidden_beyond_memory: hidden_size: 3 -> hidden_size: 1000000000000000 -> ADD/LSTM | LSTM must have at most 268,435,456
    parameters
layer_no_spec: {class_path: LSTM, init_args: {hidden_size: 3}} -> {class_path: StackedRNN, init_args: {layer: {},
    num_layers: 2}} -> ADD/LSTM | layer must be a mapping with class_path and init_args, got {}
override_list_name: budgets: -> overrides: [{networks: [[a]]}]\nbudgets: -> line 8 | unknown name ['a'] in 'networks'
override_mapping_name: budgets: -> overrides: [{tasks: [{}]}]\nbudgets: -> line 8 | unknown name {} in 'tasks'
instances_many: {instances: 2} -> {instances: 10000000000000} -> line 9 | at most 10000
seed_many: title: Mine -> title: Mine\nseed: 4294967296 -> line 2 | seed must be at most 4294967295, got 4294967296
measure: budgets: -> measures: [lyapunof]\nbudgets: -> line 8 | 'lyapunof' | did you mean lyapunov?
measure_no_list: budgets: -> measures: lyapunov\nbudgets: -> line 8 | measures must be a list, got 'lyapunov'
measure_setting: budgets: -> measures: [{lyapunov: {smaples: 3}}]\nbudgets: -> line 8 | measure lyapunov: unknown
    setting 'smaples' | did you mean samples?
measure_type: budgets: -> measures: [{hessian: {samples: many}}]\nbudgets: -> line 8 | measure hessian: samples must
    be a whole number, got 'many'
measure_value: {instances: 2} -> {measures: [{lyapunov: {samples: 0}}]} -> line 9 | samples must be at least 1, got 0
measure_moment: {instances: 2} -> {measures: [{truncation: {at: [begin]}}]} -> line 9 | at.0 must be 'start' or 'end',
    got 'begin'
measure_twice_then: {instances: 2} -> {measures: [{truncation: {at: [end, end]}}]} -> line 9 | at must name each
    moment once, got ['end', 'end']
measure_indented: budgets: -> measures:\n  - lyapunov:\n    samples: 4\nbudgets: -> line 8 | is not a measure |
    settings indented below it
measure_too_late: max_steps: 4} -> max_epochs: 2}\nmeasures: [{stability: {at: [], every_epochs: 3}}] -> ADD/LSTM |
    every_epochs of stability must be at most max_epochs, 2, got 3
measure_count: budgets: -> measures: [{lyapunov: {count: 7}}]\nbudgets: -> ADD/LSTM | measure lyapunov: count must be
    at most the size of the state, 6, got 7
measure_transient: budgets: -> measures: [{lyapunov: {state_transient: 10}}]\nbudgets: -> ADD/LSTM | less than the 10
    steps
measure_never: {instances: 2} -> {measures: [{truncation: {at: []}}]} -> line 9 | at is empty
measure_twice: {instances: 2} -> {measures: [stability, stability]} -> line 9 | measure stability is named twice
measure_samples: budgets: -> measures: [stability, {lyapunov: {samples: 1000000}}]\nbudgets: -> line 3 | ADD/LSTM
    | samples of lyapunov must be at most the test_size, 2000, got 1000000
measure_two_in_one: {instances: 2} -> {measures: [{stability: {}, hessian: {}}]} -> line 9 | is not a measure
betas: learning_rate: 1e-3 -> betas: [0.9, 1] -> ADD/LSTM | training.betas.1 must be below 1, got 1
warmup: learning_rate: 1e-3 -> warmup_steps: 5 -> ADD/LSTM | warmup_steps must be at most max_steps, 4, got 5
no_data: train_size: 500 -> train_size: 0 -> line 3 | ADD/LSTM | train_size must be at least 1, got 0
abstract_recurrence: class_path: LSTM -> class_path: rnnbench.lit_models.recurrence.Recurrence -> line 5 | is abstract
    | advance
abstract_task: class_path: Adding -> class_path: rnnbench.datamodules.sequence_data_module.SequenceDataModule -> line
    3 | is abstract | make_sources, task
published_name: budgets: -> published: {source: x, tasks: {AD: y}}\nbudgets: -> line 8 | did you mean ADD?
validate_never: max_steps: 4 -> max_steps: 4, validate_every: 5 -> ADD/LSTM | training.validate_every must be at most
    max_steps, 4, got 5
batch_size: batch_size: 16 -> batch_size: 501 -> line 7 | ADD/LSTM: training.batch_size must be at most the
    train_size, 500, got 501
validate_late: max_steps: 4 -> max_epochs: 2, validate_every: 65 -> line 7 | ADD/LSTM | must be at most 64, all
    steps, got 65
task_text: {class_path: Adding, init_args: {length: 10, train_size: 500}} -> Adding -> line 3 | 'ADD' must be a mapping
k_text: {class_path: LSTM, init_args: {hidden_size: 3}} -> {class_path: FeedForwardTruncation, init_args: {k: x,
    recurrence: {preset: LSTM_47}}} -> line 5 | ADD/LSTM | k must be a whole number, got 'x'
layers_many: {class_path: LSTM, init_args: {hidden_size: 3}} -> {class_path: StackedRNN, init_args: {layer: {preset:
    LSTM_47}, num_layers: 100000}} -> ADD/LSTM | StackedRNN must have at most
"""


def _cases(table: str) -> dict[str, tuple[str, str, list[str]]]:
    cases = {}
    for line in table.strip().replace("\n    ", " ").splitlines():
        name, _, case = line.partition(": ")
        old, new, message = (part.encode().decode("unicode_escape") for part in case.split(" -> "))
        cases[name] = (old, new, message.split(" | "))
    return cases


BAD = {
    **_cases(_TABLE),
    "no_mapping": (GOOD, "just text\n", ["must hold a mapping"]),
    "no_tasks": (GOOD[GOOD.index("tasks") : GOOD.index("networks")], "", ["tasks is missing"]),
    "nul_byte": ("Mine", "\0", ["line 1", "the character '\\x00' is not allowed"]),
    "too_long": ("title: Mine", f"title: {'x' * 100_000}", ["must be at most 100,000 bytes long"]),
    "points_of_all": (
        "networks:\n",
        f"sweep: {{training.learning_rate: {list(range(1, 1001))}}}\nnetworks:\n"
        + "".join(f"  N{i}: LSTM_47\n" for i in range(10)),
        ["at most 10,000 points together"],
    ),
    "cells_many": (
        "networks:\n",
        "networks:\n" + "".join(f"  N{i}: LSTM_47\n" for i in range(1000)),
        ["at most 1,000 experiments, got 1,002"],
    ),
    "points_many": (
        "budgets:",
        f"sweep: {{training.learning_rate: {list(range(1, 1002))}}}\nbudgets:",
        ["line 8", "ADD/LSTM: sweep must have at most 1,000 points"],
    ),
}
CELLS = """
import torch
from torch import nn
from rnnbench.lit_models.recurrence import Recurrence

class Base(Recurrence):
    def __init__(self, input_size: int, hidden_size: int = 4):
        super().__init__(input_size, hidden_size)
        self.inputs = nn.Linear(input_size, hidden_size)

    def project(self, inputs):
        return self.inputs(inputs)

    def advance(self, projected, state):
        return torch.tanh(projected + state)

class Divides(Base):
    def __init__(self, input_size: int, hidden_size: int = 4):
        1 / 0

class Unstarted(Base):
    def __init__(self, input_size: int, hidden_size: int = 4):
        self.inputs = nn.Linear(input_size, hidden_size)

class Key(Base):
    def advance(self, projected, state):
        return {}["x"]

class Exits(Base):
    def advance(self, projected, state):
        raise SystemExit(3)

class Nothing(Base):
    def advance(self, projected, state):
        return None

class Wide(Base):
    def advance(self, projected, state):
        return torch.cat([projected, state], -1)

class WideOutput(Base):
    def output(self, state):
        return torch.cat([state, state], -1)
"""
MODULES = {"cells": CELLS, "halved": "def f(:\n", "raising": "raise RuntimeError('boom')\n", "leaving": "exit(5)\n"}
# class of a user: fragments of the message
BAD_CLASSES = {
    "cells.Divides": ["cells.Divides cannot be built: ZeroDivisionError: division by zero"],
    "cells.Unstarted": ["cells.Unstarted cannot be built: AttributeError"],
    "cells.Key": ["cells.Key: a step of 2 sequences fails: KeyError: 'x'"],
    "cells.Exits": ["cells.Exits: a step of 2 sequences fails: SystemExit: 3"],
    "cells.Nothing": ["cells.Nothing: the state", "must have the shape [2, 3], got NoneType"],
    "cells.Wide": ["cells.Wide: the state", "must have the shape [2, 3], got [2, 6]"],
    "cells.WideOutput": ["cells.WideOutput: the output", "must have the shape [2, 3], got [2, 6]"],
    "halved.X": ["line 5", "recurrence 'halved.X' cannot be imported: SyntaxError"],
    "raising.X": ["line 5", "recurrence 'raising.X' cannot be imported: RuntimeError: boom"],
    "leaving.X": ["line 5", "recurrence 'leaving.X' cannot be imported: SystemExit: 5"],
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("suites")
    (folder / "good.yaml").write_text(GOOD, encoding="utf-8")
    for name, (old, new, _) in BAD.items():
        assert GOOD.count(old) >= 1, name
        (folder / f"{name}.yaml").write_text(GOOD.replace(old, new, 1), encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def checked(folder: Path) -> subprocess.CompletedProcess[str]:
    return rnnbench(folder, "check", "good.yaml", *(f"{name}.yaml" for name in BAD))


@pytest.mark.parametrize("name", BAD)
def test_check_names_what_is_wrong_and_what_is_allowed(name: str, checked: subprocess.CompletedProcess[str]) -> None:
    lines = [line for line in checked.stderr.splitlines() if f"{name}.yaml" in line or f"suite {name}," in line]
    assert any(all(fragment in line for fragment in BAD[name][2]) for line in lines), lines
    assert f"{name}.yaml: good" not in checked.stdout


def test_check_goes_through_all_and_praises_the_good(checked: subprocess.CompletedProcess[str]) -> None:
    assert checked.returncode == 2
    assert checked.stdout == "good.yaml: good\n"
    assert "Traceback" not in checked.stderr
    assert all(line.startswith("error: ") for line in checked.stderr.splitlines())


def test_mistakes_in_a_users_class(tmp_path: Path) -> None:
    for name, source in MODULES.items():
        (tmp_path / f"{name}.py").write_text(source, encoding="utf-8")
    for name in ("cells.Base", *BAD_CLASSES):
        (tmp_path / f"{name}.yaml").write_text(GOOD.replace("class_path: LSTM", f"class_path: {name}"), "utf-8")
    result = rnnbench(tmp_path, "check", "cells.Base.yaml", *(f"{name}.yaml" for name in BAD_CLASSES))
    assert result.returncode == 2
    assert result.stdout == "cells.Base.yaml: good\n"
    lines = result.stderr.splitlines()
    assert len(lines) == len(BAD_CLASSES), lines
    for line, fragments in zip(lines, BAD_CLASSES.values(), strict=True):
        assert line.startswith("error: ")
        assert all(fragment in line for fragment in fragments), line


@pytest.mark.parametrize("name", ["k_beyond_length", "malformed", "recurrence_class", "batch_beyond_data"])
def test_run_says_the_same_before_it_trains(name, folder, monkeypatch, capsys) -> None:
    monkeypatch.chdir(folder)
    assert main(["run", f"{name}.yaml", "--runs-dir", f"runs-{name}"]) == 2
    message = capsys.readouterr().err
    assert all(fragment in message for fragment in BAD[name][2])
    assert message.startswith("error: ")
    assert not list((folder / f"runs-{name}").rglob("*.json"))


def test_check_says_what_is_wrong_with_several_cells_once(tmp_path: Path, capsys) -> None:
    text = GOOD.replace("tasks:\n", "tasks:\n  B: {class_path: Adding, init_args: {length: 5}}\n")
    (tmp_path / "both.yaml").write_text(text.replace("hidden_size: 3", "hidden_size: 0"), encoding="utf-8")
    assert main(["check", str(tmp_path / "both.yaml")]) == 2
    (error,) = capsys.readouterr().err.splitlines()
    assert error.startswith("error: suite both, B/LSTM and 1 more cell: ")
    assert "hidden_size must be at least 1, got 0" in error


def test_a_misspelt_task_hides_no_misspelt_network(tmp_path: Path, capsys) -> None:
    text = GOOD.replace("Adding", "Ading").replace("class_path: LSTM", "class_path: LTSM").replace("gamma", "gama")
    (tmp_path / "three.yaml").write_text(text, encoding="utf-8")
    assert main(["check", str(tmp_path / "three.yaml")]) == 2
    (error,) = capsys.readouterr().err.splitlines()
    for line, fragment in ((3, "did you mean Adding?"), (5, "did you mean LSTM?"), (6, "WCRNN has no argument 'gama'")):
        assert f"three.yaml, line {line}: " in error
        assert fragment in error
