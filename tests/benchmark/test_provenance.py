"""Where a record says that its code came from: never from a repository that does not hold it."""

import importlib
import importlib.metadata
import subprocess
import sys
from pathlib import Path

import pytest

from rnnbench.benchmark.run import source as own
from rnnbench.benchmark.run.source import code_version, edited_since, repository_state

CELLS = """
from rnnbench.lit_models.recurrences.gated import GRU
from mylab.base import Base

class LabCell(Base, GRU):
    pass
"""
CONFIG = {
    "task": {"class_path": "Adding", "init_args": {}},
    "recurrence": {"class_path": "StackedRNN", "init_args": {"layer": {"class_path": "mylab.cells.LabCell"}}},
}


def git(folder: Path, *arguments: str) -> str:
    identity = ("-c", "user.name=a", "-c", "user.email=a@b.c")
    done = subprocess.run(["git", "-C", folder, *identity, *arguments], capture_output=True, text=True, check=True)
    return done.stdout.strip()


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A repository with one commit of a file."""
    git(tmp_path, "init")
    (tmp_path / "kept.py").write_text("1", encoding="utf-8")
    git(tmp_path, "add", "kept.py")
    git(tmp_path, "commit", "-m", "one")
    return tmp_path


def test_a_repository_that_does_not_track_the_code_gives_it_no_commit(repository, monkeypatch) -> None:
    installed = repository / ".venv" / "rnnbench" / "provenance.py"
    installed.parent.mkdir(parents=True)
    installed.write_text("1", encoding="utf-8")
    assert repository_state(installed, [installed.parent]) == (None, None)
    kept, head = repository / "kept.py", git(repository, "rev-parse", "HEAD")
    assert repository_state(kept, [kept]) == (head, False)
    kept.write_text("2", encoding="utf-8")
    # As in a hook of another repository's.
    monkeypatch.setenv("GIT_DIR", "/nowhere")
    assert repository_state(kept, [kept]) == (head, True)
    assert repository_state(kept, [installed.parent]) == (head, True)


def test_the_commit_of_rnnbench_is_its_own() -> None:
    root = Path(__file__).parents[2]
    try:
        expected = git(root, "rev-parse", "HEAD")
    except subprocess.CalledProcessError:
        expected = None
    assert code_version().commit == expected


@pytest.fixture
def package(repository, monkeypatch) -> Path:
    """A user's package ``mylab``, importable and not tracked."""
    folder = repository / "mylab"
    folder.mkdir()
    for name, text in (("cells", CELLS), ("base", "class Base: pass\n"), ("__init__", "")):
        (folder / f"{name}.py").write_text(text, encoding="utf-8")
    monkeypatch.syspath_prepend(repository)
    yield folder
    for name in [name for name in sys.modules if name.partition(".")[0] == "mylab"]:
        del sys.modules[name]
    own._code_of.cache_clear()


def test_code_of_a_users_own_is_recorded_with_what_it_derives_from(package, monkeypatch) -> None:
    base, cells = own.own_code(CONFIG)
    assert (base.module, cells.module) == ("mylab.base", "mylab.cells")
    assert (cells.version, cells.commit, cells.dirty) == (None, None, None)
    assert own.own_code({"recurrence": {"class_path": "GRU", "init_args": {}}}) == []
    # Once it is tracked and installed; another file of the package changes what it does.
    git(package.parent, "add", "mylab/*.py")
    git(package.parent, "commit", "-m", "two")
    monkeypatch.setattr(own, "_distributions", lambda: {"mylab": ["my-lab"]})
    monkeypatch.setattr(importlib.metadata, "version", lambda name: {"my-lab": "1.2"}[name])
    own._code_of.cache_clear()
    tracked = own.own_code(CONFIG)[1]
    assert (tracked.version, tracked.commit, tracked.dirty) == ("1.2", git(package, "rev-parse", "HEAD"), False)
    (package / "base.py").write_text("class Base:\n    rate = 2\n", encoding="utf-8")
    own._code_of.cache_clear()
    edited = own.own_code(CONFIG)[1]
    assert edited.dirty
    assert tracked.source == cells.source != edited.source
    assert edited_since([edited]) == ""
    change = f"mylab.cells {cells.source[:8]} → {edited.source[:8]}"
    assert edited_since([cells]) == change
    gone = cells.model_copy(update={"module": "mylab.gone"})
    assert edited_since([gone, edited]) == f"mylab.gone {cells.source[:8]} → none"


@pytest.mark.parametrize(
    ("edited", "counts"),
    [
        *(("base", True), ("sub/tools", True), ("sub/more", True), ("sub/__init__", True)),
        *(("unused", False), ("sub/unused", False), ("__init__", False)),
    ],
)
def test_an_edit_counts_where_the_class_imports_what_was_edited(edited: str, counts: bool, package: Path) -> None:
    (package / "sub").mkdir()
    texts = {"sub/__init__": "RATE = 1\n", "sub/tools": "import mylab.sub.more\n", "sub/more": "", "sub/unused": ""}
    texts["base"] = "class Base:\n    def late(self):\n        from .sub import RATE, tools\n"
    for name, text in texts.items():
        (package / f"{name}.py").write_text(text, encoding="utf-8")
    made = own.own_code(CONFIG)[1]
    older = made.model_copy(update={"source": made.package, "package": None})
    assert edited_since([older]) == ""
    with (package / f"{edited}.py").open("a", encoding="utf-8") as file:
        file.write("# edited\n")
    own._code_of.cache_clear()
    assert bool(edited_since([made])) == counts
    assert edited_since([older])


def test_a_link_in_a_package_to_its_own_folder_changes_nothing(package: Path) -> None:
    shared = package.with_name("shared")
    shared.mkdir()
    (package / "linked").symlink_to(shared)
    (shared / "tools.py").write_text("RATE = 1\n", encoding="utf-8")
    before = own.own_code(CONFIG)[1]
    (package / "itself").symlink_to(package)
    (shared / "back").symlink_to(package)
    own._code_of.cache_clear()
    assert own.own_code(CONFIG)[1] == before
    (shared / "tools.py").write_text("RATE = 2\n", encoding="utf-8")
    own._code_of.cache_clear()
    edited = own.own_code(CONFIG)[1]
    assert (edited.source, edited.package == before.package) == (before.source, False)
