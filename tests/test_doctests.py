"""The examples of all docstrings, run in their modules as these are imported."""

import doctest
import importlib
import importlib.util
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ROOMS = ("benchmark", "datamodules", "leaderboard", "lit_models")
MODULES = sorted(
    ".".join(("rnnbench", *path.relative_to(ROOT).with_suffix("").parts)).removesuffix(".__init__")
    for path in (path for room in ROOMS for path in (ROOT / room).rglob("*.py"))
    if ">>> " in path.read_text(encoding="utf-8")
)


@pytest.mark.parametrize("name", ["rnnbench", *MODULES])
def test_examples(name: str) -> None:
    if "triton" in name and not importlib.util.find_spec("triton"):
        pytest.skip("triton, which has wheels for Linux alone, is not installed")
    module = importlib.import_module(name)
    failed, tried = doctest.testmod(module, optionflags=doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS)
    assert not failed
    assert tried
