"""Which line of a user's own code an error came through: not rnnbench's, a library's, or the standard library's."""

import functools
import importlib
import json
import sys
from pathlib import Path

import pytest

from rnnbench.datamodules.own_code import mark_as_own, own_line
from rnnbench.datamodules.sources import checked_sample

SOURCE = """
import json
from rnnbench.datamodules.sources import checked_sample

class Task:
    def sample(self):
        return checked_sample(None, 3)

    def read(self):
        return json.loads("{")
"""


def line_of(call) -> str:
    with pytest.raises(ValueError) as caught:  # noqa: PT011
        call()
    # Without this function, which is not rnnbench's either.
    caught.value.__traceback__ = caught.value.__traceback__.tb_next
    return own_line(caught.value)


@pytest.mark.parametrize("folder", ["", "lib/site-packages"])
def test_the_innermost_line_of_own_code_is_named(folder: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    name = f"own_code_{'installed' if folder else 'here'}"
    (tmp_path / folder).mkdir(parents=True, exist_ok=True)
    path = tmp_path / folder / f"{name}.py"
    path.write_text(SOURCE, encoding="utf-8")
    monkeypatch.syspath_prepend(path.parent)
    task = importlib.import_module(name).Task()
    lines = f"{path.relative_to(tmp_path)}, line 7", f"{path.relative_to(tmp_path)}, line 10"
    assert (line_of(task.sample), line_of(task.read)) == (("", "") if folder else lines)
    mark_as_own(type(task))
    assert (line_of(task.sample), line_of(task.read)) == lines
    assert line_of(functools.partial(checked_sample, None, 3)) == line_of(functools.partial(json.loads, "{")) == ""
    del sys.modules[name]
