"""rnnbench among other packages of the names of its folders: those of a user's project, and those of the index."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.benchmark.test_run_command import surroundings

ROOT = Path(__file__).parents[1]
ROOMS = ("benchmark", "datamodules", "leaderboard", "lit_models")
SUITE = """
tasks:
  ADD8: {class_path: Adding, init_args: {length: 8, train_size: 64, val_size: 20, test_size: 20}}
networks:
  Own: {class_path: own_cells.OwnCell, init_args: {hidden_size: 4}}
training: {batch_size: 32, max_steps: 4, validate_every: 2}
"""


def run(folder: Path, *command: str | Path, **surroundings: str) -> str:
    environment = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "RNNBENCH_DATA")}
    environment |= surroundings
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Warning" not in done.stderr
    return done.stdout


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A folder with a suite, a recurrence of its own, and packages of the names of rnnbench's that fail if imported."""
    folder = tmp_path / "project"
    for name in ROOMS:
        (folder / name).mkdir(parents=True)
        (folder / name / "__init__.py").write_text("raise ImportError('this is the project\\'s own')\n")
    (folder / "own_cells.py").write_text("from rnnbench import ElmanRNN\n\n\nclass OwnCell(ElmanRNN):\n    pass\n")
    (folder / "tiny.yaml").write_text(SUITE)
    return folder


def test_project_with_folders_of_the_same_names_is_read(project: Path) -> None:
    words = (sys.executable, "-m", "rnnbench", "check", "tiny.yaml", "own_cells.OwnCell")
    assert run(project, *words).count("good") == 2


@pytest.mark.slow
def test_project_with_folders_of_the_same_names_runs_a_suite(project: Path, tmp_path: Path) -> None:
    words = ("-m", "rnnbench", "run", "tiny.yaml", "--workers", "1")
    run(project, sys.executable, *words, **surroundings(tmp_path / "bin"))
    assert "1 records" in run(project, sys.executable, "-m", "rnnbench", "leaderboard", "--records-dir", "runs")


@pytest.fixture
def wheel(tmp_path: Path) -> Path:
    """A wheel, built from a copy of the sources."""
    copy = tmp_path / "source"
    left_out = shutil.ignore_patterns(".*", "build", "dist", "runs", "*.egg-info", "__pycache__", "*.so", "figures")
    shutil.copytree(ROOT, copy, ignore=left_out)
    build = (sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "-w", tmp_path, copy)
    run(tmp_path, *build)
    return next(tmp_path.glob("rnnbench-*.whl"))


@pytest.mark.slow
def test_wheel_works_beside_the_index_s_leaderboard(wheel: Path, project: Path, tmp_path: Path) -> None:
    run(tmp_path, sys.executable, "-m", "venv", "venv")
    bin_folder = tmp_path / "venv" / ("Scripts" if os.name == "nt" else "bin")
    python, rnnbench = bin_folder / "python", bin_folder / "rnnbench"
    (site,) = run(tmp_path, python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))").split()
    # What rnnbench needs is there already; editable installations in these folders have no effect from here.
    shared = [path for path in sys.path if path.endswith("site-packages")]
    (Path(site) / "shared.pth").write_text("\n".join(shared))
    install = [python, "-m", "pip", "install", "--quiet", "--no-deps"]
    run(tmp_path, *install, "--no-index", wheel)
    other = subprocess.run([*install, "leaderboard"], capture_output=True, text=True, check=False)
    if other.returncode and re.search("No matching distribution|Retrying|timed out|Failed to establish", other.stderr):
        pytest.skip(f"the package index serves no 'leaderboard': {other.stderr.splitlines()[0]}")
    assert other.returncode == 0, other.stderr
    places = "import rnnbench.leaderboard as ours, leaderboard; print(ours.__file__, leaderboard.__file__)"
    ours, theirs = (Path(file) for file in run(tmp_path, python, "-c", places).split())
    assert (ours.parts[-3:-1], theirs.parts[-2]) == (("rnnbench", "leaderboard"), "leaderboard")
    assert Path(site) in ours.parents

    assert "quick" in run(project, rnnbench, "list", "suites")
    assert run(project, rnnbench, "check", "quick", "own_cells.OwnCell").count("good") == 2
    run(project, rnnbench, "run", "tiny.yaml", "--workers", "1")
    published = len(list((ROOT / "leaderboard" / "records").rglob("*.json")))
    assert f"from {published} records" in run(project, rnnbench, "leaderboard", "--output", "board")
    here, there = (root / "lit_models" / "scan" / "native" for root in (ROOT, ours.parents[1]))
    assert {path.name for path in here.glob("_*.so")} <= {path.name for path in there.glob("_*.so")}
