"""``rnnbench list``, ``--help`` and ``--version``: complete, and without torch."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from rnnbench import __version__
from rnnbench.benchmark.command.cli import main
from rnnbench.benchmark.config.suite import suite_files
from rnnbench.benchmark.measures import MEASURES
from rnnbench.datamodules import registered_tasks
from rnnbench.lit_models.presets import PRESETS
from rnnbench.lit_models.recurrences import registered_recurrences

ROOT = Path(__file__).parents[2]


def test_torch_is_not_imported(tmp_path: Path) -> None:
    code = f"""
import sys
sys.path.insert(0, {str(ROOT)!r})
from rnnbench.benchmark.command.cli import main
for words in ("list", "list suites --json", "--help", "run --help", "speed --help", "status --all", "fit --help"):
    print(end="\\0")
    assert main(words.split()) == 0, words
    heavy = {{"torch", "lightning", "wandb", "matplotlib", "datasets"}} & set(sys.modules)
    assert not heavy, (words, heavy)
"""
    result = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    nothing, *printed = result.stdout.split("\0")
    assert not nothing
    assert all(printed)
    for option in ("--trainer.max_epochs", "--model.gradient_clip_norm", "WCRNN_best", "SequentialDigits"):
        assert option in printed[6]
    assert "lyapunov | memory | scaling | records | gpu | all" in " ".join(printed[4].split())


def test_json_lists_everything(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    names = {section: [entry["name"] for entry in entries] for section, entries in found.items()}
    assert names["tasks"] == list(registered_tasks())
    assert names["recurrences"] == list(registered_recurrences())
    assert names["presets"] == sorted(PRESETS)
    assert names["measures"] == list(MEASURES)
    assert names["suites"] == list(suite_files())
    table2 = next(entry for entry in found["suites"] if entry["name"] == "table2")
    assert table2["budgets"]["paper"] == {"experiments": 46, "instances": 5}
    wcrnn = next(entry for entry in found["recurrences"] if entry["name"] == "WCRNN")
    assert {"name": "gamma", "annotation": "float | tuple[float, float]", "default": "0.01"} in wcrnn["arguments"]


def test_text_names_everything(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list"]) == 0
    text = capsys.readouterr().out
    for name in [*registered_tasks(), *registered_recurrences(), *PRESETS, *suite_files()]:
        assert f"  {name}" in text


def test_one_section(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list", "tasks"]) == 0
    text = capsys.readouterr().out
    assert "Adding" in text
    assert "LSTM" not in text


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"rnnbench {__version__}\n"
