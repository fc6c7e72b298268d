"""The Makefile: what its help lists, what its suite targets would run, and the pins that it installs under."""

from __future__ import annotations

import os
import re
import subprocess
from importlib.metadata import requires, version
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

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


def listed_targets() -> set[str]:
    return set(re.findall(r"^  ([a-z0-9-]+) +\S", make("help").stdout, flags=re.MULTILINE))


def test_help_is_the_default_and_lists_every_documented_target() -> None:
    phony = re.findall(r"^\.PHONY: ([a-z-]+)$", (ROOT / "Makefile").read_text(encoding="utf-8"), flags=re.MULTILINE)
    assert "benchmark" in phony
    assert set(phony) <= listed_targets()
    assert make().stdout == make("help").stdout


def test_every_suite_has_a_target_in_the_help_with_its_title() -> None:
    files = {path.stem for path in (ROOT / "benchmark" / "suites").glob("*.yaml")}
    assert set(SUITES) <= files <= listed_targets()


@pytest.mark.parametrize("suite", SUITES)
def test_suite_target_runs_its_suite(suite: str) -> None:
    assert commands(suite) == [["run", suite, "--budget", "cpu", "--wandb", "off", "--runs-dir", "'runs'"]]


def test_variables_become_options() -> None:
    budget, folders = ("BUDGET=paper", "INSTANCES=0-4", "ONLY=LSTM GRU*"), ("DATA_DIR=/some/data", "RUNS_DIR=elsewhere")
    (command,) = commands("smnist", *budget, *folders, "DEVICES=2", "WORKERS=3", "WANDB=offline")
    assert " ".join(command) == (
        "run smnist --budget paper --only 'LSTM' 'GRU*' --instances 0-4 --data-dir '/some/data' --workers 3 --devices 2"
        " --wandb offline --runs-dir 'elsewhere'"
    )


def test_environment_does_not_set_options(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORKERS", "7")
    monkeypatch.setenv("BUDGET", "paper")
    assert commands("quick") == [["run", "quick", "--budget", "cpu", "--wandb", "off", "--runs-dir", "'runs'"]]


def test_benchmark_runs_the_quick_suite_and_makes_its_leaderboard() -> None:
    run, leaderboard = commands("benchmark", "RUNS_DIR=out")
    assert run[:2] == ["run", "quick"]
    assert leaderboard == ["leaderboard", "--records-dir", "'out'", "--output", "'out/LEADERBOARD.md'"]


def test_data_tests_ask_for_data(tmp_path: Path) -> None:
    """Run in a copy whose environment counts as made."""
    for name in ("Makefile", "pyproject.toml", "constraints.txt", "setup.py"):
        (tmp_path / name).write_bytes((ROOT / name).read_bytes())
    (tmp_path / ".venv").mkdir()
    (tmp_path / ".venv" / ".installed").touch()
    result = make("-C", str(tmp_path), "test-data")
    assert result.returncode == 2
    assert "make test-data DATA_DIR=" in result.stderr


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md", "docs/measures.md", "docs/speed.md"])
def test_targets_that_pages_name_exist(page: str) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    named = set(re.findall(r"(?:^|`)make ([a-z0-9-]+)", text, flags=re.MULTILINE))
    assert named
    assert named <= listed_targets()


def test_every_dependency_is_pinned_within_its_range() -> None:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    parsed = [Requirement(line) for line in lines if line and not line.startswith("#")]
    pins = {canonicalize_name(pin.name): next(iter(pin.specifier)) for pin in parsed}
    assert {pin.operator for pin in pins.values()} == {"=="}
    for line in requires("rnnbench"):
        requirement = Requirement(line)
        if requirement.name != "rnnbench":
            assert requirement.specifier.contains(pins[canonicalize_name(requirement.name)].version), line


def test_version_is_the_installed_one() -> None:
    from rnnbench import __version__

    assert version("rnnbench") == __version__
