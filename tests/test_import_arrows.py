"""The direction of imports between the four rooms, read from the source, and the size of files."""

import ast
import graphlib
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ROOMS = ("benchmark", "datamodules", "leaderboard", "lit_models")
TRAINING = {"torch", "lightning", "torchmetrics", "pytorch_lightning", "jsonargparse"}
FORBIDDEN = {
    "benchmark": set(),
    "lit_models": {"benchmark", "leaderboard"},
    "datamodules": {"benchmark", "leaderboard", "lit_models"},
    "leaderboard": {"benchmark", "lit_models", "datamodules"} | TRAINING,
}
LONGEST_FILE = 400
FILES = sorted(path for room in ROOMS for path in (ROOT / room).rglob("*.py"))
TESTS = sorted((ROOT / "tests").rglob("*.py"))


def imported_packages(source: str) -> set[str]:
    """Rooms and top-level packages that a file imports anywhere: at its top, in functions, or by ``importlib``."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.Call) and ast.unparse(node.func).split(".")[-1] in ("import_module", "__import__"):
            name = node.args[0]
            if isinstance(name, ast.Constant):
                names.add(name.value)
    return {name.removeprefix("rnnbench.").split(".")[0] for name in names}


@pytest.mark.parametrize(
    ("source", "package"),
    [
        ("import torch.nn as nn", "torch"),
        ("def f():\n    from rnnbench.lit_models.recurrence import Recurrence", "lit_models"),
        ("import importlib\nimportlib.import_module('rnnbench.benchmark.command.cli')", "benchmark"),
        ("from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import rnnbench.datamodules", "datamodules"),
    ],
)
def test_imports_are_found_wherever_they_stand(source: str, package: str) -> None:
    assert package in imported_packages(source)


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(("rnnbench", *parts[parts[0] == "rnnbench" :])).removesuffix(".__init__")


def arrows(source: str, modules: set[str]) -> set[str]:
    """Modules that a module imports anywhere, in functions too: ``from package import module`` is one to the module.

    What only type checkers execute is left out: annotations may name a class of a module above.
    """
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            node.body = [ast.Pass()]
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names = {alias.name: f"{node.module}.{alias.name}" for alias in node.names}
            found |= {full if full in modules else str(node.module) for full in names.values()}
    return found & modules


def circle(sources: dict[str, str]) -> list[str]:
    """Modules that import each other in a circle; none where there is no circle."""
    try:
        graphlib.TopologicalSorter({name: arrows(text, set(sources)) for name, text in sources.items()}).prepare()
    except graphlib.CycleError as error:
        return error.args[1]
    return []


@pytest.mark.parametrize("deferred", ["from b import f", "def g():\n    from b import f", "def g():\n    import b"])
def test_circles_are_found(deferred: str) -> None:
    assert set(circle({"a": deferred, "b": "import c", "c": "from a import g"})) == {"a", "b", "c"}
    assert not circle({"a": deferred, "b": "import c", "c": "if TYPE_CHECKING:\n    from a import g"})


def test_modules_import_each_other_in_no_circle() -> None:
    paths = [*FILES, *(ROOT / "rnnbench").glob("*.py")]
    sources = {module_name(path): path.read_text(encoding="utf-8") for path in paths}
    assert "rnnbench" in arrows(sources["rnnbench.benchmark.command.cli"], set(sources))
    assert len(sources) > 100
    assert not circle(sources)


@pytest.mark.parametrize(("folder", "most"), [("benchmark", 10), ("lit_models/scan", 12)])
def test_folder_has_few_entries(folder: str, most: int) -> None:
    assert len([path for path in (ROOT / folder).iterdir() if path.name != "__pycache__"]) <= most


def test_files_are_short_and_import_rooms_by_one_name() -> None:
    sources = {str(path.relative_to(ROOT)): path.read_text(encoding="utf-8") for path in (*FILES, *TESTS)}
    other_names = re.compile(rf"^\s*(from|import) ({'|'.join(ROOMS)})\b", flags=re.MULTILINE)
    assert [name for name, source in sources.items() if source.count("\n") > LONGEST_FILE] == []
    assert [name for name, source in sources.items() if other_names.search(source)] == []


def test_every_room_has_files() -> None:
    assert {path.relative_to(ROOT).parts[0] for path in FILES} == set(ROOMS)
    assert Path(__file__) in TESTS


def test_files_say_what_they_are_and_imports_point_downward() -> None:
    sources = {path.relative_to(ROOT): path.read_text(encoding="utf-8") for path in FILES}
    assert [str(path) for path, source in sources.items() if not ast.get_docstring(ast.parse(source))] == []
    upward = {str(path): imported_packages(source) & FORBIDDEN[path.parts[0]] for path, source in sources.items()}
    assert {name: packages for name, packages in upward.items() if packages} == {}
