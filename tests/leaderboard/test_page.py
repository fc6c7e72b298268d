"""The page to explore, as a file: what it holds of records, and that nothing in them can become markup or script."""

import base64
import hashlib
import json
import re

import pytest

from rnnbench.benchmark.command.cli import main
from rnnbench.leaderboard.page.cells import Limits
from rnnbench.leaderboard.page.write import write_page
from rnnbench.leaderboard.senders import Sent, write_senders
from rnnbench.leaderboard.statistics import select_cells
from rnnbench.leaderboard.store import place_of
from tests.leaderboard.factory import MSE, RMSE, TABLE2, full_disk, make_record, put, put_dynamics, synthetic_dynamics
from tests.leaderboard.test_board_page import instances, many

SCRIPT = "</script><script>window.hacked=1</script><img src=x onerror=window.hacked=1>"


def hostile():
    """Records whose every free text is an attack, and whose numbers are at the end of their range."""
    name = f"{SCRIPT[:150]}\u202e=1+1"
    texts = {"data_fingerprint": SCRIPT, "versions": {SCRIPT: SCRIPT}, "hardware": {SCRIPT: "\x1b[31m" + "A" * 1_900}}
    config = {"task": {SCRIPT: SCRIPT, "deep": [[SCRIPT]] * 1000}, "training": {"learning_rate": float("nan")}}
    odd = {"config": config, "code": {"commit": SCRIPT, "dirty": True}, **texts}
    return [
        *instances(0.9, 0.8, network=name, task="../../etc", **odd),
        *instances(1e308, 1e308, network="=cmd|' /C calc'!A0", task="../../etc", metrics=({**RMSE, "chance": 1e-300},)),
        *instances(0.5, network="__proto__", task="constructor", metrics=({**MSE, "chance": 0.0},)),
    ]


def page_of(tmp_path, *records, output="page.html"):
    put(tmp_path / "records", *records)
    return write_page(tmp_path / "records", tmp_path / output).page


def data_of(page):
    text = page.read_text(encoding="utf-8")
    return json.loads(re.search(r'<script type="application/json" id="data">(.*?)</script>', text, re.S)[1])


def test_cells_hold_what_the_records_say(tmp_path):
    published = {"source": TABLE2, "model": "WCRNN_best", "task": "sMNIST"}
    records = [*many(), *instances(0.9, 0.8, network="WCRNN_best", published=published)]
    data = data_of(page_of(tmp_path, *records))
    cells = select_cells(records)[0]
    assert {(data["networks"][c["network"]], data["columns"][c["column"]]["task"], c["n"]) for c in data["cells"]} == {
        (cell.first.network, cell.first.task, len(cell.finished)) for cell in cells
    }
    lstm = next(c for c in data["cells"] if c["parameters"] == 9880 and c["diverged"])
    assert lstm["instances"]["test"] == [0.9, 0.92, 0.94, 0.2]
    assert lstm["share"] == pytest.approx((0.92 - 0.1135) / (1 - 0.1135), rel=1e-4)
    assert lstm["text"] == "92.00 ± 2.00 (3)"
    (ours,) = [number["ours"] for number in data["published"] if number["model"] == "WCRNN_best" and number["ours"]]
    assert ours[0]["text"] == "85.00 ± 7.07 (2)"
    assert data["problems"] == [[data["problems"][0][0], "interrupted"]]


def test_what_is_left_out_of_very_many_records_is_said_and_counts_all_the_same(tmp_path, monkeypatch):
    whole = data_of(page_of(tmp_path, *many()))
    monkeypatch.setattr(Limits, "of", lambda cells: Limits(points=2, instances=3))
    thin = data_of(page_of(tmp_path, *many()))
    cut = ("curve", "instances")
    assert [{k: v for k, v in c.items() if k not in cut} for c in thin["cells"]] == [
        {k: v for k, v in c.items() if k not in cut} for c in whole["cells"]
    ]
    for ours, theirs in zip(thin["cells"], whole["cells"], strict=True):
        assert ours["curve"]["step"] == sorted({theirs["curve"]["step"][0], theirs["curve"]["step"][-1]})
        assert ours["instances"] == {name: values[:3] for name, values in theirs["instances"].items()}
    assert max(cell["records"] for cell in thin["cells"]) == 4
    assert whole["thinned"] == ""
    assert "at most 2 evaluations and of a cell the first 3 instances are listed" in thin["thinned"]


def test_measures_sweeps_and_ranks_are_there(tmp_path):
    for r in (0.9, 0.95, 1.0, 1.05):
        for instance in range(2):
            config = {"recurrence": {"class_path": "WCRNN", "init_args": {"r": r}}}
            record = make_record(network=f"WCRNN_r{r}", instance=instance, config=config)
            put_dynamics(tmp_path / "records", record, *synthetic_dynamics(r, instance))
    data = data_of(page_of(tmp_path))
    (sweep,) = data["sweeps"]
    assert (sweep["values"], sweep["marks"]) == ([0.9, 0.95, 1.0, 1.05], [[1.0, "r = 1, log r = 0"]])
    measured = {one["title"]: one for one in data["series"]}
    longer = measured["Length generalisation before training"]
    assert (longer["y"], longer["lines"][0]["x"]) == ("test accuracy (%)", [60, 120, 240])
    assert longer["lines"][0]["mean"] == [90, 50, 20]
    assert data["cells"][0]["dynamics"]["slope/start"] == pytest.approx(-0.10536, abs=1e-5)
    assert [row[0] for row in data["boards"][0]["ranks"].values()] == [1, 1, 1, 1]


def test_records_of_others_are_marked_and_decide_nothing(tmp_path):
    put(tmp_path / "records", *instances(0.9, 0.8))
    write_senders(tmp_path / "records", {place_of(make_record()): Sent(SCRIPT)})
    (cell,) = data_of(page_of(tmp_path))["cells"]
    assert cell["sent"] == f"1 of 2 by {SCRIPT}, self-reported"


def test_texts_of_records_are_data_and_bounded(tmp_path):
    page = page_of(tmp_path, *hostile())
    text = page.read_text(encoding="utf-8")
    assert len(text) < 400_000
    assert "<img" not in text
    assert len(re.findall("<script", text)) == 2
    assert "\u202e" not in text
    assert [cell["share"] for cell in data_of(page)["cells"] if cell["n"] == 1] == [None]


def test_policy_lets_our_own_script_and_style_run_and_nothing_else(tmp_path):
    text = page_of(tmp_path).read_text(encoding="utf-8")
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', text)[1]
    for element in ("script", "style"):
        (inline,) = re.findall(rf"<{element}>(.*?)</{element}>", text, re.S)
        digest = base64.b64encode(hashlib.sha256(inline.encode()).digest()).decode()
        assert f"{element}-src 'sha256-{digest}';" in policy
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert not re.search(r"""(?:src|href)=["']?(?:https?:)?//""", text)


def test_same_records_give_the_same_bytes(tmp_path):
    pages = [page_of(tmp_path, *many(), output=name).read_bytes() for name in ("a.html", "b.html")]
    assert pages[0] == pages[1]


def test_command_writes_the_page_and_names_mistakes(tmp_path, capsys, monkeypatch):
    put(tmp_path / "records", *instances(0.9, suite="mine"))
    command = ["page", "--records-dir", str(tmp_path / "records"), "--output"]
    assert main([*command, str(tmp_path / "out" / "page.html")]) == 0
    assert "1 cells from 1 records" in capsys.readouterr().out
    assert main([*command, str(tmp_path / "page.txt")]) == 2
    assert "must be a file whose name ends in .html" in capsys.readouterr().err
    (tmp_path / "afile").touch()
    assert main([*command, str(tmp_path / "afile" / "deep" / "page.html")]) == 2
    assert "afile is a file; a folder is needed" in capsys.readouterr().err
    monkeypatch.setattr("rnnbench.leaderboard.page.write.write_atomically", full_disk)
    assert main([*command, str(tmp_path / "page.html")]) == 2
    assert "No space left on device" in capsys.readouterr().err
