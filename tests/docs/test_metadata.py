"""What others read of the repository: how to cite it, what runs before a commit, and what its workflows do."""

import re
from datetime import date
from pathlib import Path
from typing import Any

import pytest
import yaml

import rnnbench
from tests.docs.pages import DOCS

ROOT = DOCS.parent
#: Of the Citation File Format 1.2.0, which no living library checks: the keys that are used here, and their form.
CFF = {
    "cff-version": r"1\.2\.0",
    "message": r".+",
    "title": r".+",
    "type": r"software|dataset",
    "abstract": r".+",
    "version": re.escape(rnnbench.__version__),
    "license": r"Apache-2\.0",
}
REQUIRED = {"cff-version", "message", "title", "authors"}


def read(path: str) -> Any:
    return yaml.load((ROOT / path).read_text(encoding="utf-8"), yaml.BaseLoader)  # noqa: S506 (texts alone)


def test_citation_is_of_the_format_and_of_this_version() -> None:
    citation = read("CITATION.cff")
    authors, keywords = citation.pop("authors"), citation.pop("keywords")
    assert citation.keys() | {"authors"} >= REQUIRED
    assert {key: text for key, text in citation.items() if not re.fullmatch(CFF[key], text.strip())} == {}
    assert authors
    assert all(set(author) in ({"name"}, {"family-names", "given-names"}) for author in authors)
    assert len(set(keywords)) == len(keywords)
    assert citation.get("date-released", "2000-01-01") <= date.today().isoformat()


def test_hooks_before_a_commit_are_those_of_lint() -> None:
    (repository,) = read(".pre-commit-config.yaml")["repos"]
    entries = [hook["entry"].split() for hook in repository["hooks"]]
    assert repository["repo"] == "local"
    assert [words[0] for words in entries] == [".venv/bin/ruff", ".venv/bin/ruff", "make"]
    lint = re.search(r"^lint:.*?\n\n", (ROOT / "Makefile").read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)[0]
    assert "ruff check" in lint
    assert "mypy" in lint


@pytest.mark.parametrize(("job", "last"), [("newest", ".ci/run"), ("oldest", "make test")])
def test_checks_run_on_every_python_that_is_supported(job: str, last: str) -> None:
    steps = read(".github/workflows/test.yml")["jobs"][job]
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    supported = re.findall(r"Python :: (3\.\d+)", project)
    assert steps["strategy"]["matrix"]["python"] == supported
    assert f'requires-python = ">={supported[0]}"' in project
    commands = [step["run"] for step in steps["steps"] if "run" in step]
    assert commands[-1] == last
    assert ("make oldest" in commands) == (job == "oldest")


def test_what_workflows_run_exists() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for path in Path(ROOT / ".github" / "workflows").glob("*.yml"):
        commands = re.findall(r"run: (?:make ([a-z-]+)|(\.ci/\w+))", path.read_text(encoding="utf-8"))
        assert commands
        assert all(
            (ROOT / script).exists() if script else f"\n{target}:" in makefile or target == "venv"
            for target, script in commands
        )
