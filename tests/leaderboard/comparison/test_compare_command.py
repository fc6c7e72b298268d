"""``rnnbench compare`` on folders of records."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from rnnbench.benchmark.command.cli import main
from tests.leaderboard.factory import RMSE, make_record, put

RECORDS = Path(__file__).parents[3] / "leaderboard" / "records"
SCORES = {"A": (0.10, 0.11, 0.12), "B": (0.30, 0.33, 0.31)}


def records(task, network, scores, **changes):
    return [
        make_record(
            val=(v,), test=(v,), metrics=(RMSE,), suite="own", task=task, network=network, instance=i, **changes
        )
        for i, v in enumerate(scores)
    ]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for task in ("X", "Y"):
        put(tmp_path / "theirs", *(r for network, scores in SCORES.items() for r in records(task, network, scores)))
    # A grid of two points, of which validation chose the second.
    for lr, scores in ((0.1, (0.5, 0.6, 0.5)), (0.01, SCORES["B"])):
        put(tmp_path / "theirs", *(r for r in records("Z", "B", scores, lr=lr, grid=(0.1, 0.01))))
    put(tmp_path / "theirs", *records("Z", "A", SCORES["A"]), *records("Z", "C", (0.2,)), *records("W", "D", (0.2,)))
    put(tmp_path / "mine", *records("X", "A", SCORES["B"]), *records("Y", "A", (0.10, 0.12)))
    (tmp_path / "afile").touch()
    return tmp_path


def test_two_networks_in_words_and_as_json_the_same_each_time(folder, capsys):
    assert main(["compare", "A", "B", "--records-dir", "theirs", "--task", "X", "Z"]) == 0
    text = capsys.readouterr().out
    assert text.splitlines()[-1].startswith("A is better than B on 2 of 2 tasks; over all tasks together ")
    outputs = []
    for _ in range(2):
        assert main(["compare", "A", "B", "--records-dir", "theirs", "--json"]) == 0
        outputs.append(capsys.readouterr().out)
    assert outputs[0] == outputs[1]
    (board,) = json.loads(outputs[0])["boards"]
    assert [(task["task"], task["better"], task["n"]) for task in board["tasks"]] == [(t, "A", 3) for t in "XYZ"]
    # The chosen point of the grid.
    assert board["tasks"][2]["differences"] == board["tasks"][0]["differences"] == pytest.approx([-0.2, -0.22, -0.19])


def test_a_folder_against_a_reference(folder, capsys):
    # What the reference says of other cells than ours is left out.
    interrupted = [make_record(suite="own", task=t, network="A", instance=9, status="interrupted") for t in "YZ"]
    put(folder / "theirs", *interrupted)
    assert main(["compare", "mine", "theirs"]) == 0
    text, error = capsys.readouterr()
    assert [line.split("/")[2] for line in error.splitlines()] == ["Y"]
    assert text.splitlines()[-1].startswith(
        "1 of 2 results of mine lie inside the 95 % interval of theirs; outside: X/A"
    )
    assert main(["compare", "mine", "--records-dir", "theirs", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [(cell["task"], cell["inside"], cell["mine"]["n"]) for cell in found["cells"]] == [
        ("X", False, 3), ("Y", True, 2)
    ]  # fmt: skip


def test_without_names_all_rows_are_ranked(folder, capsys):
    assert main(["compare", "--records-dir", "theirs", "--task", "X", "--json"]) == 0
    (board,) = json.loads(capsys.readouterr().out)
    assert {name: (row["rank"], row["mean"]) for name, row in board["ranks"].items()} == {"A": (1, 1.0), "B": (2, 2.0)}
    assert main(["compare", "--records-dir", "theirs"]) == 0
    lines = capsys.readouterr().out.splitlines()
    # No row has every task.
    assert [line.split()[1] for line in lines[2:]] == ["–"] * 4


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["A", "BB"], "compare BB: no record in theirs is of it: did you mean B? Known: A, B, C, D"),
        (["A", "A"], "compare A A: the two networks must differ"),
        (["A"], "compare A: no such folder; if it is a network, a second one is needed"),
        (["A", "mine"], "compare A mine: A is no folder; two networks or two folders can be compared"),
        (["A", "B", "--task", "x"], "--task x: no record in theirs is of it: did you mean X? Known: W, X, Y, Z"),
        (["A", "B", "--budget", "cpx"], "argument --budget: unknown budget 'cpx': did you mean cpu?"),
        (["A", "D"], "A and D cannot be compared: own, cpu, W: no record of A; own, cpu, X: no record of D; own, cpu"),
        (["mine", "theirs"], "compare takes exactly one of B, theirs, and --records-dir, theirs"),
        (["", "B"], "argument A: must name a network or a folder of records, got ''; this folder is '.'"),
        (["afile", "B"], "compare afile: is a file; two networks or two folders of records can be compared"),
        (["mine", "--task", "X", "--suite", "owl"], "--suite owl: no record in mine is of it: did you mean own?"),
    ],
)
def test_mistakes_end_in_one_message(folder, capsys, arguments, message):
    assert main(["compare", *arguments, "--records-dir", "theirs"]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert message in err.replace("\n", " ")


@pytest.mark.parametrize("words", [["A", "B"], ["--suite", "own"]])
def test_an_unreadable_subfolder_is_named_where_nothing_else_is_found(words, folder, monkeypatch, capsys):
    put(folder / "theirs", make_record(suite="readable"))
    scandir = os.scandir
    denied = PermissionError(13, "Permission denied")

    def refusing(path):
        if os.path.basename(path) == "own":
            raise denied
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refusing)
    assert main(["compare", *words, "--records-dir", "theirs"]) == 2
    assert capsys.readouterr().err.startswith("not compared: own: cannot be read: Permission denied\nerror: ")


def test_empty_and_damaged_folders(folder, capsys):
    (folder / "empty").mkdir()
    for command in (["mine", "empty"], ["--records-dir", "empty"], ["A", "B", "--records-dir", "empty"]):
        assert main(["compare", *command]) == 2
        assert "empty holds no records" in capsys.readouterr().err
    assert main(["compare", "mine", "theirs", "--task", "X", "Z"]) == 2
    assert "--task Z: no record in mine is of it" in capsys.readouterr().err
    # Where the published ones were searched, one's own may be meant.
    assert main(["compare", "LSTM", "my_network"]) == 2
    assert capsys.readouterr().err.endswith(" more; records of your own: --records-dir runs\n")
    (folder / "mine" / "broken.json").write_text("{")
    assert main(["compare", "mine", "theirs"]) == 2
    out, err = capsys.readouterr()
    assert "not compared: broken.json: is cut short" in err
    assert "1 of 2 results" in out


def test_a_copy_of_the_committed_records_is_inside_and_torch_is_not_imported(tmp_path):
    shutil.copytree(RECORDS / "truncated-training", tmp_path / "truncated-training")
    script = "import sys; from rnnbench.benchmark.command.cli import main; code = main(sys.argv[1:]); " \
        "assert not {'torch', 'lightning'} & sys.modules.keys(); sys.exit(code)"  # fmt: skip
    command = [sys.executable, "-c", script, "compare", str(tmp_path), str(tmp_path), "--suite", "truncated-training"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1].startswith("4 of 4 results of ")
