"""docs/speed.md says which backend scans which recurrence: compared with what dispatch runs."""

import ast
import re
from pathlib import Path

import pytest
import torch

import rnnbench
from rnnbench.datamodules.source_scan import find_classes
from rnnbench.lit_models.scan import dispatch
from rnnbench.lit_models.scan.native.availability import why_no_native

ROOT = Path(__file__).parents[3]
WORDS = {"native": "C", "eager": "PyTorch", "triton": "Triton", "linear": "whole sequence", "loop": "loop"}
TABLE = (ROOT / "docs" / "speed.md").read_text("utf-8").partition("<!-- scans -->")[2].partition("<!-- /scans -->")[0]
ROWS = re.findall(r"^\| `(\w+)(?:\((.*)\))?` \| (.+) \| (.+) \|$", TABLE, flags=re.MULTILINE)


def test_every_recurrence_is_documented():
    found = find_classes(ROOT / "lit_models" / "recurrences", "rnnbench.lit_models.recurrences", "Recurrence")
    assert len(ROWS) == TABLE.count("\n|") - 2
    # These scan other recurrences, as the page says.
    assert {name for name, *_ in ROWS} == found.keys() - {"StackedRNN", "GatedBlock", "FeedForwardTruncation"}


@pytest.mark.parametrize(("name", "settings", "on_cpu", "on_gpu"), ROWS, ids=lambda value: value or "defaults")
@pytest.mark.parametrize("backend", ["auto", "triton"])
def test_documented_backend_runs(name, settings, on_cpu, on_gpu, backend, monkeypatch):
    if backend == "triton":
        pytest.importorskip("triton")
    elif why_no_native() is not None:
        pytest.skip("nothing is compiled here")
    call = ast.parse(f"f({settings})", mode="eval").body
    keywords = {keyword.arg: ast.literal_eval(keyword.value) for keyword in call.keywords}
    recurrence = getattr(rnnbench, name)(2, 8, **keywords)
    ran = []
    scan_instances, scan_loop = dispatch.scan_instances, dispatch.scan_loop

    def by_kernel(kernel, *arguments):
        ran.append(type(kernel).__module__.split(".")[-2])
        return scan_instances(kernel, *arguments)

    def by_loop(*arguments):
        ran.append("loop")
        return scan_loop(*arguments)

    monkeypatch.setattr(dispatch, "scan_instances", by_kernel)
    monkeypatch.setattr(dispatch, "scan_loop", by_loop)
    with rnnbench.use_backend(backend):
        recurrence(torch.randn(3, 8, 2))
    assert [WORDS[each] for each in ran or ["linear"]] == [on_cpu if backend == "auto" else on_gpu]
