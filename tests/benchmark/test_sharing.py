"""Records of others merged, and records exported: what is plausible gets in with its sender, all else is named."""

import json
from pathlib import Path

import pandas as pd
import pytest

from rnnbench.benchmark.command.cli import main
from rnnbench.leaderboard.frame import CURVE_COLUMNS, read_records
from rnnbench.leaderboard.publishing import publish
from rnnbench.leaderboard.record import write_record
from rnnbench.leaderboard.schema import Record
from rnnbench.leaderboard.senders import SENDERS, Sent, read_senders
from rnnbench.leaderboard.settings import config_id
from rnnbench.leaderboard.store import find_records, path_of, place_of
from tests.leaderboard.factory import ACCURACY, make_record, put

RATE = "training.learning_rate"


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def plausible(**changes) -> Record:
    """A record of a suite of somebody's own, whose ids are the hashes of its configuration."""
    true = {name: value for name, value in changes.items() if name != "steps"}
    made = make_record(**{"suite": "lab-suite", "lr": 0.1, "grid": (0.1, 0.3), **true})
    ids = {"experiment_id": config_id(made.config), "family_id": config_id(made.config, (RATE,))}
    made = made.model_copy(update={name: value for name, value in ids.items() if name not in changes})
    return made.model_copy(update={"steps": changes.get("steps", made.steps)})


def merge(*words: str) -> int:
    return main(["merge", "sent", "--sender", "Lab X", "--records-dir", "records", *words])


def test_merged_records_are_listed_with_their_sender_until_they_are_ours(tmp_path, capsys) -> None:
    theirs = [plausible(instance=i, test=(0.2, 0.5, 0.80 + i / 100)) for i in range(3)]
    ours = plausible(instance=0, test=(0.2, 0.5, 0.795), seconds_per_step=1.0)
    put(tmp_path / "sent", *theirs)
    assert merge() == 0
    assert merge() == 0
    assert "0 merged, 3 already there" in capsys.readouterr().out
    assert find_records(tmp_path / "records") == (theirs, [])
    places = [path_of(Path(), record).as_posix() for record in theirs]
    assert read_senders(tmp_path / "records") == dict.fromkeys(places, Sent("Lab X", "self-reported"))

    put(tmp_path / "checked", plausible(instance=0, test=(0.2, 0.5, 0.7)))
    assert merge("--reproduced", "checked") == 0
    assert "accuracy must be within 0.02 of the reported 0.81, got 0.7 here" in capsys.readouterr().err
    put(tmp_path / "checked", ours)
    assert merge("--reproduced", "checked") == 0
    assert read_senders(tmp_path / "records") == dict.fromkeys(places, Sent("Lab X", "reproduced here"))

    publish(tmp_path / "checked", tmp_path / "records", replace=True)
    assert read_senders(tmp_path / "records").keys() == {*places[1:]}


def test_a_record_of_ours_is_kept(tmp_path, capsys) -> None:
    ours, theirs = plausible(seconds_per_step=1.0), plausible()
    put(tmp_path / "records", ours)
    put(tmp_path / "sent", theirs)
    assert merge() == 2
    assert "another record of this instance is there and was kept" in capsys.readouterr().err
    assert find_records(tmp_path / "records") == ([ours], [])
    assert not (tmp_path / "records" / SENDERS).exists()


MEASURED = {"status": "finished", "reason": None, "step": 300, "settings": {}, "arrays": []}
LATER = "2999-01-01T00:00:00+00:00"
IMPLAUSIBLE = {
    "markup": ({"network": "<script>alert(1)</script>"}, "network must be of letters, digits"),
    "path": ({"task": "../../etc"}, "task must be of letters, digits"),
    "right to left": ({"network": "LSTM\u202emtsl"}, r"got 'LSTM\u202emtsl'"),
    "formula": ({"suite": "=HYPERLINK(1)"}, "suite must be of letters, digits"),
    "long text": (
        {"hardware": {"processor": "x" * 10_000_000}},
        "texts must have at most 2000 characters, got 10000000",
    ),
    "beyond the best": ({"test": (0.2, 0.5, 1.5)}, "accuracy must lie between 0 and 1, got 1.5"),
    "below the range": ({"val": (-0.2, 0.6, 0.9)}, "accuracy must lie between 0 and 1, got -0.2"),
    "direction": (
        {"metrics": ({**ACCURACY, "direction": "min"},)},
        "direction of 'accuracy' must lead from its chance",
    ),
    "best_step": ({"best_step": 100}, "best_step does not follow from the curve"),
    "best_test": ({"best_test": {"accuracy": 0.99}}, "best_test does not follow from the curve"),
    "no parameters": ({"parameters": 0}, "parameters must be at least 1, got 0"),
    "no state": ({"state_size": 0}, "state_size must be at least 1, got 0"),
    "foreign id": ({"experiment_id": "ab12"}, "experiment_id must be the hash of its configuration"),
    "foreign family": ({"family_id": "ab12"}, "family_id must be the hash of its configuration"),
    "foreign point": ({"point": {RATE: 0.3}}, "point: 'training.learning_rate' must be the configuration's 0.1"),
    "shipped suite": ({"suite": "quick"}, "suite quick has no sMNIST/LSTM under budget cpu"),
    "shipped row": ({"suite": "quick", "task": "Digits"}, "settings, grid and pilots must be those of suite quick as"),
    "times": ({"started_at": "2025-01-02T00:00:00"}, "finished_at must not lie before started_at"),
    "future": ({"finished_at": LATER}, f"finished_at must not lie in the future, got {LATER}"),
    "steps": ({"steps": 250}, "the curve must end within the 250 steps of the training, got 300"),
    "more steps": ({"steps": 4000}, "must have the steps of its recipe and end with its curve, got 4000 steps"),
    "text of a measure": (
        {"measures": {"lyapunov": {"best": {**MEASURED, "summary": {"largest": "<b>"}}}}},
        "measures: 'largest' of 'lyapunov' must be a number, got '<b>'",
    ),
    "interrupted": ({"status": "interrupted"}, "status must be finished or diverged, got interrupted"),
}


ONLY_MERGE_REFUSES = (
    "markup",
    "path",
    "right to left",
    "formula",
    "shipped suite",
    "shipped row",
    "future",
    "interrupted",
)


@pytest.mark.parametrize("label", IMPLAUSIBLE)
def test_what_cannot_be_is_named_and_the_rest_merged(label, tmp_path, capsys) -> None:
    changes, message = IMPLAUSIBLE[label]
    good = plausible(instance=7)
    put(tmp_path / "sent", good, plausible(**changes))
    assert merge() == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("not merged: ")
    assert message in line
    assert len(line) < 1000
    assert find_records(tmp_path / "records") == ([good], [])
    # What merge alone refuses is a note, as runs and records of earlier versions may lie there.
    code = main(["check", "sent"])
    (line,) = capsys.readouterr().err.splitlines()
    assert message in line
    assert line.startswith("error: " if code == 2 else "note: sent: merge does not take 1 of its records: ")
    assert code == (0 if label in ONLY_MERGE_REFUSES else 2)
    assert main(["publish", "--runs-dir", "sent", "--records-dir", "published"]) == code
    assert good in find_records(tmp_path / "published")[0]


SUITE = """
tasks: {D: {class_path: SequentialDigits}}
networks: {LSTM: {class_path: LSTM, init_args: {hidden_size: 3}}}
training: {batch_size: 16, max_steps: 2, validate_every: 2}
"""


def test_every_command_that_reads_records_passes_over_what_cannot_be(tmp_path, capsys) -> None:
    good, bad = plausible(instance=7), plausible(best_step=100)
    put(tmp_path / "runs", good, bad)
    (tmp_path / "lab-suite.yaml").write_text(SUITE, encoding="utf-8")
    for command in (
        "leaderboard --records-dir runs --output board",
        "page --records-dir runs --output page.html",
        "export --records-dir runs --csv table.csv",
        "compare LSTM GRU --records-dir runs",
        "status lab-suite.yaml",
        "check runs",
    ):
        main(command.split())
        (line,) = (line for line in capsys.readouterr().err.splitlines() if "best_step" in line)
        assert f"{place_of(bad)}: best_step does not follow from the curve" in line, command
    with pytest.warns(UserWarning, match="best_step does not follow from the curve"):
        assert read_records("runs")["instance"].tolist() == [7]


def test_check_compares_what_instances_of_an_experiment_share(tmp_path, capsys) -> None:
    edited = {
        "parameters": {"parameters": 9881},
        "metrics": {"metrics": ({**ACCURACY, "chance": 0.2},)},
        "data_fingerprint": {"data_fingerprint": "ab"},
    }
    first = plausible()
    put(tmp_path / "runs", first, *(plausible(instance=n, **one) for n, one in enumerate(edited.values(), start=1)))
    assert main(["check", "runs"]) == 2
    for line, name in zip(capsys.readouterr().err.splitlines(), edited, strict=True):
        assert f"{name} must be as in {place_of(first)}, of the same experiment" in line
    (tmp_path / "runs").rename("sent")
    assert merge() == 2
    assert find_records(tmp_path / "records") == ([first], [])


DAMAGED = {
    "nan": (lambda text: text.replace('"parameters": 9880', '"parameters": NaN'), "NaN is not JSON"),
    "newer schema": (lambda text: text.replace('"schema_version": 1', '"schema_version": 2'), "update to read"),
    "text for a number": (lambda text: text.replace('"steps": 300', '"steps": "<b>"'), "steps: Input should be"),
    "large": (lambda text: text + " " * (17 << 20), "must be at most 16 MiB"),
}


@pytest.mark.parametrize(("damage", "message"), DAMAGED.values(), ids=DAMAGED)
@pytest.mark.parametrize("command", ["merge", "export"])
def test_what_is_no_record_of_this_schema_is_named(command, damage, message, tmp_path, capsys) -> None:
    records = [plausible(), plausible(instance=1)]
    put(tmp_path / "sent", *records)
    path = path_of(tmp_path / "sent", records[0])
    path.write_text(damage(path.read_text(encoding="utf-8")), encoding="utf-8")
    assert (merge() if command == "merge" else main(["export", "--records-dir", "sent", "--csv", "a.csv"])) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert message in line
    assert len(read_records("records") if command == "merge" else pd.read_csv("a.csv")) == 1


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("merge nowhere --sender X", "merge nowhere: no such folder"),
        ("merge sent", "--sender"),
        ("merge sent --sender \u202e", "--sender must be a printable name"),
        ("merge sent --sender X --reproduced nowhere", "--reproduced nowhere: no such folder"),
        ("export", "give exactly one of --csv and --parquet, got neither"),
        ("export --csv a --parquet b", "give exactly one of --csv and --parquet, got both"),
        ("export --csv a --records-dir nowhere", "nowhere: no such folder"),
        ("export --csv sent --records-dir sent", "Is a directory: sent"),
        ("merge sent --sender X --records-dir listed", "senders.csv: line 2 must be a record, its sender, and one of"),
    ],
)
def test_wrong_words(words, message, tmp_path, capsys) -> None:
    put(tmp_path / "sent", plausible())
    (tmp_path / "listed").mkdir()
    (tmp_path / "listed" / SENDERS).write_text("record,sender,tier\na,b,best\n", encoding="utf-8")
    assert main(words.split()) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert message in error


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_export_writes_the_tables(kind, tmp_path, capsys) -> None:
    measured = plausible(network='a,"b')
    put(tmp_path / "runs", measured, plausible(instance=1, diverged_at=250))
    read = pd.read_csv if kind == "csv" else pd.read_parquet
    assert main(["export", "--records-dir", "runs", f"--{kind}", "out/table"]) == 0
    assert capsys.readouterr().out == "out/table: 2 rows of 2 records\n"
    expected, table = read_records("runs"), read(tmp_path / "out" / "table")
    assert list(table.columns) == list(expected.columns)
    for name in ("network", "test", "diverged_at", "parameters", "config"):
        assert table[name].isna().tolist() == expected[name].isna().tolist()
        assert table[name].dropna().tolist() == expected[name].dropna().tolist()
    assert json.loads(table["config"][0]) == measured.config
    if kind == "parquet":
        pd.testing.assert_frame_equal(table, expected)
    assert main(["export", "--records-dir", "runs", f"--{kind}", "curves", "--curves"]) == 0
    curves = read(tmp_path / "curves")
    assert (list(curves.columns), len(curves)) == (list(CURVE_COLUMNS), 18)


def test_a_misplaced_record_of_others_is_named(tmp_path, capsys) -> None:
    write_record(tmp_path / "sent" / "mine.json", plausible())
    assert merge() == 2
    assert "does not lie where it belongs, at lab-suite/cpu/sMNIST/LSTM/" in capsys.readouterr().err


def test_check_reads_the_list_of_senders(tmp_path, capsys) -> None:
    put(tmp_path / "sent", plausible())
    assert merge() == 0
    assert main(["check", "records"]) == 0
    with (tmp_path / "records" / SENDERS).open("a", encoding="utf-8") as file:
        file.write("a/b/c/d.json,Y,self-reported\n")
    assert main(["check", "records"]) == 2
    assert "senders.csv: names a/b/c/d.json, where no record lies" in capsys.readouterr().err
