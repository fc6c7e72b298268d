"""What the README shows: an architecture, found by the scan and true to the contract, and measures to be taken."""

from __future__ import annotations

import doctest
import importlib.util
import re
import runpy
from pathlib import Path
from types import ModuleType

import pytest
import torch

from benchmark.measures import MEASURES
from benchmark.suite import load_suite
from datamodules.source_scan import find_classes
from lit_models.recurrence import Recurrence

README = Path(__file__).parents[1] / "README.md"
LONGEST_EXAMPLE = 30


def block(language: str, word: str) -> str:
    """The one block of a language that holds a word."""
    pattern = rf"^```{language}\n(.*?)^```"
    blocks = re.findall(pattern, README.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)
    (found,) = [text for text in blocks if word in text]
    return found


@pytest.fixture(scope="module")
def example_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    code = block("python", "AntisymmetricRNN")
    path = tmp_path_factory.mktemp("recurrences") / "antisymmetric.py"
    path.write_text(code, encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def example(example_file: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location("antisymmetric", example_file)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def recurrence(example: ModuleType) -> Recurrence:
    return example.AntisymmetricRNN(input_size=2, hidden_size=5, epsilon=0.2, gamma=0.3).double()


def test_is_at_most_thirty_lines(example_file: Path) -> None:
    assert len(example_file.read_text(encoding="utf-8").splitlines()) <= LONGEST_EXAMPLE


def test_is_found_by_the_scan(example_file: Path) -> None:
    found = find_classes(example_file.parent, "lit_models.recurrences", "Recurrence")["AntisymmetricRNN"]
    assert found.module == "lit_models.recurrences.antisymmetric"
    assert [(a.name, a.default) for a in found.arguments] == [
        ("input_size", None),
        ("hidden_size", None),
        ("epsilon", "0.1"),
        ("gamma", "0.01"),
    ]


def test_worked_example_holds(example: ModuleType) -> None:
    assert doctest.testmod(example) == (0, 1)


def test_step_is_its_formula_written_out_over_units(recurrence: Recurrence) -> None:
    x, h = torch.randn(1, 2).double(), torch.randn(1, 5).double()
    weight, v, b = recurrence.weight, recurrence.input_map.weight, recurrence.input_map.bias
    for i in range(5):
        drive = sum((weight[i, j] - weight[j, i]) * h[0, j] for j in range(5)) - 0.3 * h[0, i]
        drive = drive + sum(v[i, k] * x[0, k] for k in range(2)) + b[i]
        expected = h[0, i] + 0.2 * torch.tanh(drive)
        torch.testing.assert_close(recurrence.step(x, h)[0, i], expected, rtol=0, atol=1e-12)


def test_forward_equals_the_loop_over_step_in_values_and_gradients(recurrence: Recurrence) -> None:
    inputs, lengths = torch.randn(7, 3, 2).double(), torch.tensor([7, 4, 1])
    state, outputs = recurrence.initial_state(3), []
    for t, x in enumerate(inputs):
        state = torch.where((t < lengths)[:, None], recurrence.step(x, state), state)
        outputs.append(recurrence.output(state))
    fast_outputs, fast_state = recurrence(inputs, lengths=lengths)
    torch.testing.assert_close(fast_outputs, torch.stack(outputs), rtol=0, atol=1e-12)
    torch.testing.assert_close(fast_state, state, rtol=0, atol=1e-12)
    parameters = list(recurrence.parameters())
    slow = torch.autograd.grad(torch.stack(outputs).square().sum(), parameters)
    fast = torch.autograd.grad(fast_outputs.square().sum(), parameters)
    torch.testing.assert_close(fast, slow, rtol=0, atol=1e-10)


def test_suite_beside_it_is_valid(example_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = block("yaml", "AntisymmetricRNN")
    # Here the example's file is not in lit_models/recurrences/ but on the path of imports.
    monkeypatch.syspath_prepend(example_file.parent)
    path = example_file.parent / "suite.yaml"
    path.write_text(text.replace("class_path: Anti", "class_path: antisymmetric.Anti"), encoding="utf-8")
    names = [experiment.name for experiment in load_suite(path).experiments]
    assert names == ["ADD100/AntisymmetricRNN", "ADD100/LSTM"]


def test_measures_beside_the_suite_can_be_resolved(tmp_path: Path) -> None:
    path = tmp_path / "suite.yaml"
    suite = block("yaml", "AntisymmetricRNN").replace("AntisymmetricRNN", "ElmanRNN")
    path.write_text(suite + block("yaml", "measures:"), encoding="utf-8")
    measures = load_suite(path).experiments[0].measures
    assert [spec["measure"] for spec in measures] == ["lyapunov", "hessian", "gradient_flow"]
    assert measures[1]["settings"]["at"] == ["start", "end"]


def test_every_measure_is_explained() -> None:
    rows = re.findall(r"^\| `(\w+)` \|", README.read_text(encoding="utf-8"), flags=re.MULTILINE)
    assert rows == list(MEASURES)


def test_spectrum_example_runs(tmp_path: Path) -> None:
    path = tmp_path / "example.py"
    path.write_text(block("python", "lyapunov_spectrum"), encoding="utf-8")
    assert runpy.run_path(str(path))["spectrum"].exponents.shape == (4, 16)
