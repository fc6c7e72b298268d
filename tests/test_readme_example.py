"""What README and docs show: an architecture that fulfils the contract, measures, and the quick suite's table."""

import doctest
import importlib.util
import os
import re
import runpy
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest
import torch

from rnnbench.benchmark.command.cli import main
from rnnbench.benchmark.config.suite import load_suite
from rnnbench.benchmark.measures import MEASURES
from rnnbench.datamodules.source_scan import find_classes
from rnnbench.lit_models.contracts import CONTRACTS
from rnnbench.lit_models.recurrence import Recurrence

README = Path(__file__).parents[1] / "README.md"
MEASURES_PAGE = README.parent / "docs" / "measures.md"
DOCS = sorted(MEASURES_PAGE.parent.rglob("*.md"))
LONGEST_EXAMPLE = 30
MOST_WORDS = 1500


def block(language: str, word: str, page: Path = README) -> str:
    """The one block of a language that holds a word."""
    pattern = rf"^```{language}\n(.*?)^```"
    blocks = re.findall(pattern, page.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)
    (found,) = [text for text in blocks if word in text]
    return found


@pytest.fixture(scope="module")
def example_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    code = block("python", "IndRNN")
    path = tmp_path_factory.mktemp("recurrences") / "independent.py"
    path.write_text(code, encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def example(example_file: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location("independent", example_file)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def recurrence(example: ModuleType) -> Recurrence:
    return example.IndRNN(input_size=2, hidden_size=5).double()


def test_is_at_most_thirty_lines(example_file: Path) -> None:
    assert len(example_file.read_text(encoding="utf-8").splitlines()) <= LONGEST_EXAMPLE


def test_is_found_by_the_scan(example_file: Path) -> None:
    found = find_classes(example_file.parent, "rnnbench.lit_models.recurrences", "Recurrence")["IndRNN"]
    assert found.module == "rnnbench.lit_models.recurrences.independent"
    assert [(a.name, a.default) for a in found.arguments] == [
        ("input_size", None),
        ("hidden_size", None),
        ("strongest", "1.0"),
    ]


def test_worked_example_holds(example: ModuleType) -> None:
    assert doctest.testmod(example) == (0, 1)


def test_step_is_its_formula_written_out_over_units(recurrence: Recurrence) -> None:
    x, h = torch.randn(1, 2).double(), torch.randn(1, 5).double()
    u, w, b = recurrence.recurrent, recurrence.input_map.weight, recurrence.input_map.bias
    for i in range(5):
        expected = torch.relu(u[i] * h[0, i] + sum(w[i, k] * x[0, k] for k in range(2)) + b[i])
        torch.testing.assert_close(recurrence.step(x, h)[0, i], expected, rtol=0, atol=1e-12)


def test_fulfils_the_contract(example_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(example_file.parent)
    assert main(["check", "independent.IndRNN"]) == 0


def test_suite_beside_it_is_valid(example_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = block("yaml", "IndRNN")
    # Here the example's file is not in lit_models/recurrences/ but on the path of imports.
    monkeypatch.syspath_prepend(example_file.parent)
    path = example_file.parent / "suite.yaml"
    path.write_text(text.replace("class_path: Ind", "class_path: independent.Ind"), encoding="utf-8")
    names = [experiment.name for experiment in load_suite(path).experiments]
    assert names == ["ADD100/IndRNN", "ADD100/LSTM"]


@pytest.fixture(scope="module")
def extended(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the sources with the example's file in its place, and a suite beside it."""
    root = tmp_path_factory.mktemp("extended")
    ignored = shutil.ignore_patterns("records", "__pycache__")
    for name in ("rnnbench", "tests"):
        shutil.copytree(README.parent / name, root / name, ignore=ignored)
    for name in ("benchmark", "datamodules", "leaderboard", "lit_models"):
        shutil.copytree(README.parent / name, root / "rnnbench" / name, ignore=ignored)
    shutil.copy(README.parent / "pyproject.toml", root)
    code = block("python", "IndRNN")
    (root / "rnnbench" / "lit_models" / "recurrences" / "independent.py").write_text(code, encoding="utf-8")
    return root


def run(root: Path, *arguments: str) -> str:
    environment = {**os.environ, "PYTHONPATH": str(root)}
    command = [sys.executable, "-m", *arguments]
    done = subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_one_file_and_no_other_edit_add_an_architecture(extended: Path) -> None:
    assert "IndRNN" in run(extended, "rnnbench", "list", "recurrences")


@pytest.mark.slow
def test_added_architecture_is_trained_measured_and_shown(extended: Path) -> None:
    suite = block("yaml", "IndRNN") + "measures: [{lyapunov: {samples: 2}}]\n"
    shorter = {"max_steps: 2000, validate_every: 200": "max_steps: 2, batch_size: 8"}
    for published, short in {**shorter, "{length: 100}": "{length: 6, train_size: 64}"}.items():
        assert published in suite
        suite = suite.replace(published, short)
    (extended / "suite.yaml").write_text(suite, encoding="utf-8")
    quiet = ("pytest", "-q", "-n", "0", "-p", "no:cacheprovider")
    contracts = run(extended, *quiet, "tests/contracts", "-k", "IndRNN")
    assert int(re.search(r"(\d+) passed", contracts)[1]) > len(CONTRACTS) >= 10
    run(extended, "rnnbench", "run", "suite.yaml", "--only", "IndRNN", "--workers", "1")
    run(extended, "rnnbench", "leaderboard", "--records-dir", "runs", "--output", "board")
    assert "IndRNN" in (extended / "board" / "LEADERBOARD.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("page", [README, MEASURES_PAGE], ids=lambda page: page.name)
def test_measures_beside_the_suite_can_be_resolved(page: Path, tmp_path: Path) -> None:
    path = tmp_path / "suite.yaml"
    suite = block("yaml", "IndRNN").replace("IndRNN", "ElmanRNN")
    path.write_text(suite + block("yaml", "measures:", page), encoding="utf-8")
    measures = load_suite(path).experiments[0].measures
    assert [spec["measure"] for spec in measures] == ["lyapunov", "hessian", "gradient_flow"]
    assert measures[1]["settings"]["at"] == ["start", "end"]


def test_every_measure_is_explained() -> None:
    rows = re.findall(r"^\| `(\w+)` \|", MEASURES_PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE)
    assert rows == list(MEASURES)


def test_spectrum_example_runs(tmp_path: Path) -> None:
    path = tmp_path / "example.py"
    path.write_text(block("python", "lyapunov_spectrum", MEASURES_PAGE), encoding="utf-8")
    assert runpy.run_path(str(path))["spectrum"].exponents.shape == (4, 16)


def test_readme_is_short() -> None:
    assert len(README.read_text(encoding="utf-8").split()) <= MOST_WORDS


def test_quick_table_is_the_leaderboards() -> None:
    shown = README.read_text(encoding="utf-8").partition("<!-- quick table -->")[2].partition("<!-- /")[0]
    board = (README.parent / "leaderboard" / "LEADERBOARD.md").read_text(encoding="utf-8")
    scores = board.partition("## quick, budget `cpu`")[2].partition("### Scores")[2].partition("###")[0]

    def table(text: str) -> list[str]:
        return [line for line in text.splitlines() if line.startswith("|")]

    assert len(table(shown)) > 5
    assert table(shown) == table(scores)


@pytest.mark.parametrize(
    "page", ["README.md", "CONTRIBUTING.md", *(page.relative_to(README.parent).as_posix() for page in DOCS)]
)
def test_links_and_paths_lead_to_files(page: str) -> None:
    path = README.parent / page
    text = path.read_text(encoding="utf-8")
    links = [path.parent / link for link in re.findall(r"\]\(([^)#:]+)\)", text)]
    folders = "benchmark|datamodules|lit_models|leaderboard|rnnbench|tests"
    named = [README.parent / name for name in re.findall(rf"`((?:{folders})/[\w/.]+)`", text) if "NAME" not in name]
    assert [missing for missing in links + named if not missing.exists()] == []
