"""The Makefile: what its help lists, and what its suite targets would run."""

import functools
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SUITES = ("quick", "adding", "copy", "polynomial", "digits", "smnist", "psmnist", "scifar10", "table1", "table2")


def make(*arguments: str) -> subprocess.CompletedProcess[str]:
    # Under `make test` the outer make's flags and variables would reach the inner one.
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("MAKE", "MFLAGS", "RNNBENCH"))}
    return subprocess.run(["make", *arguments], cwd=ROOT, env=environment, capture_output=True, text=True, check=False)


def commands(*arguments: str) -> list[list[str]]:
    """The rnnbench commands that make would run."""
    lines = make("--dry-run", *arguments).stdout.splitlines()
    return [line.split()[1:] for line in lines if line.startswith(".venv/bin/rnnbench")]


@functools.cache
def help_text() -> str:
    return make("help").stdout


def listed_targets() -> set[str]:
    return set(re.findall(r"^  ([a-z0-9-]+) +\S", help_text(), flags=re.MULTILINE))


def test_help_is_the_default_and_lists_every_documented_target() -> None:
    phony = re.findall(r"^\.PHONY: ([a-z-]+)$", (ROOT / "Makefile").read_text(encoding="utf-8"), flags=re.MULTILINE)
    assert "benchmark" in phony
    assert set(phony) <= listed_targets()
    assert make().stdout == help_text()


def test_every_suite_has_a_target_in_the_help_with_its_title() -> None:
    files = {path.stem for path in (ROOT / "benchmark" / "suites").glob("*.yaml")}
    assert set(SUITES) <= files <= listed_targets()


@pytest.mark.parametrize("suite", SUITES)
def test_suite_target_runs_its_suite_whatever_the_environment_says(suite: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORKERS", "7")
    monkeypatch.setenv("BUDGET", "paper")
    assert commands(suite) == [["run", suite, "--budget", "cpu", "--wandb", "off", "--runs-dir", "'runs'"]]


def test_variables_become_options() -> None:
    budget, folders = ("BUDGET=paper", "INSTANCES=0-4", "ONLY=LSTM GRU*"), ("DATA_DIR=/some/data", "RUNS_DIR=elsewhere")
    (command,) = commands("smnist", *budget, *folders, "DEVICES=2", "WORKERS=3", "WANDB=offline")
    assert " ".join(command) == (
        "run smnist --budget paper --only 'LSTM' 'GRU*' --instances 0-4 --data-dir '/some/data' --workers 3 --devices 2"
        " --wandb offline --runs-dir 'elsewhere'"
    )


def test_benchmark_runs_the_quick_suite_and_makes_its_leaderboard() -> None:
    run, leaderboard = commands("benchmark", "RUNS_DIR=out")
    assert run[:2] == ["run", "quick"]
    assert leaderboard == ["leaderboard", "--records-dir", "'out'", "--output", "'out/LEADERBOARD.md'"]


@pytest.mark.parametrize(
    ("target", "suites", "budgets"),
    [
        ("papers-depth", {"depth-copy", "depth-shakespeare"}, ["paper", "cpu"]),
        ("papers-wcrnn", {"residual-strength", "rotation", "table1", "table2"}, ["cpu"]),
        ("papers-stable", {"music", "slots", "language", "stable-system"}, ["cpu"]),
        ("papers-deep", {"transitions"}, ["cpu"]),
        ("evidence", {"depth-copy", "table2", "music", "transitions"}, ["paper", "cpu"]),
    ],
)
def test_papers_run_their_suites_and_then_print_claims(target: str, suites: set[str], budgets: list[str]) -> None:
    (recipe,) = make("--dry-run", target, "TIME_LIMIT=2h", "RUNS_DIR=out").stdout.splitlines()
    runs = re.findall(r"rnnbench run ([^|]*?) --budget (\w+) ([^|]*)", recipe)
    assert [budget for _, budget, _ in runs] == budgets
    assert all("--time-limit 2h" in flags and "--runs-dir 'out'" in flags for *_, flags in runs)
    named = [name for names, *_ in runs for name in names.split()]
    assert suites <= set(named)
    assert len(named) == len(set(named))
    assert "psmnist" not in named
    assert recipe.index("run") < recipe.index("leaderboard --records-dir 'out'") < recipe.index("claims --records")
    assert "publish" not in recipe


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A copy of what decides the installation; it has no virtual environment."""
    for name in ("Makefile", "pyproject.toml", "constraints.txt", "setup.py"):
        (tmp_path / name).write_bytes((ROOT / name).read_bytes())
    return tmp_path


def test_data_tests_ask_for_data(copy: Path) -> None:
    (copy / ".venv").mkdir()
    (copy / ".venv" / ".installed").touch()
    result = make("-C", str(copy), "test-data")
    assert result.returncode == 2
    assert "make test-data DATA_DIR=" in result.stderr


def test_documentation_is_made_of_what_is_installed_and_not_of_the_folder_itself(copy: Path) -> None:
    # A clone's folder rnnbench holds a part of the package only.
    for name, text in {
        "rnnbench/__init__.py": "",
        ".venv/bin/sphinx-build": f"#!{sys.executable}\nimport rnnbench.benchmark\n",
        ".venv/bin/rnnbench": "#!/bin/sh\n",
        ".venv/.installed": "",
    }.items():
        path = copy / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        path.chmod(0o755)
    made = make("-C", str(copy), "docs")
    assert made.returncode == 0, made.stderr


def test_torch_may_come_from_the_index_for_cpus(copy: Path) -> None:
    index = "--extra-index-url https://download.pytorch.org/whl/cpu"
    for setting, expected in (("TORCH=", False), ("TORCH=cpu", True)):
        install = make("-C", str(copy), "--dry-run", "venv", setting).stdout
        assert "pip install" in install
        assert "-c constraints.txt -e '.[dev]'" in install
        assert (index in install) == expected
    assert "TORCH must be cpu or left out, got gpu" in make("venv", "TORCH=gpu").stderr


@pytest.mark.parametrize(
    "page", ["README.md", "CONTRIBUTING.md", "docs/measures.md", "docs/speed.md", "docs/tutorial.md"]
)
def test_targets_that_pages_name_exist(page: str) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    named = set(re.findall(r"(?:^|`)make ([a-z0-9-]+)", text, flags=re.MULTILINE))
    assert named
    assert named <= listed_targets()
